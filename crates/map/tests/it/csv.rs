//! `map.csv`: the header of the design, missing never 0, and the scores come back.

use proptest::prelude::*;
use tomo_map::{Component, MapErrorKind as Kind, Score, Status, read_csv, write_csv};

use crate::samples::{any_map, info, map_of};

#[test]
fn the_table_is_tidy_and_missing_is_never_zero() {
    let map = map_of(
        info("s"),
        2,
        &[
            (0, Component::AttnQ, None, Score::from_value(0.25).with_interval(-1e-9, 1e21)),
            (1, Component::MlpUp, Some(3), Score::missing(Status::Undefined, "no noise, \"none\"\nat all")),
        ],
    );
    let mut bytes = Vec::new();
    write_csv(&map, &mut bytes).unwrap();
    let expected = "layer,component,expert,metric,value,ci_low,ci_high,numel,status,reason\n\
        0,attn.q,,s,0.25,-1e-9,1e21,6,ok,\n\
        1,mlp.up,3,s,,,,6,undefined,\"no noise, \"\"none\"\"\nat all\"\n";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn wrong_tables_are_refused_with_their_line() {
    const HEADER: &str = "layer,component,expert,metric,value,ci_low,ci_high,numel,status,reason\n";
    for (body, kind) in [
        ("0,attn.q,,s,0.25,,,6,ok", Kind::Syntax),
        ("x,attn.q,,s,0.25,,,6,ok,", Kind::Syntax),
        ("0,attn.z,,s,0.25,,,6,ok,", Kind::Syntax),
        ("0,attn.q,,s,NaN,,,6,ok,", Kind::Number),
        ("0,attn.q,,s,inf,,,6,ok,", Kind::Number),
        ("0,attn.q,,s,,,,6,ok,", Kind::Number),
        ("0,attn.q,,s,0,,,6,undefined,why", Kind::Number),
        ("0,attn.q,,s,1,2,1,6,ok,", Kind::Number),
        ("0,attn.q,,s,1,0.5,,6,ok,", Kind::Number),
        ("0,attn.q,,s,,1,2,6,undefined,why", Kind::Number),
    ] {
        let error = read_csv(format!("{HEADER}{body}\n").as_bytes()).expect_err(body);
        assert_eq!(error.kind(), kind, "{body}: {error}");
        assert!(error.place().ends_with('2'), "{body}: {error}");
    }
    assert_eq!(read_csv(&b"layer,component\n"[..]).unwrap_err().kind(), Kind::Schema);
    assert_eq!(read_csv(HEADER.as_bytes()).unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_score_comes_back(map in any_map()) {
        let mut bytes = Vec::new();
        write_csv(&map, &mut bytes).unwrap();
        let rows = read_csv(bytes.as_slice()).unwrap();
        prop_assert_eq!(rows.len(), map.columns.len() * map.grid.cells.len());
        let mut rows = rows.into_iter();
        for column in &map.columns {
            for (cell, score) in map.grid.cells.iter().zip(&column.scores) {
                let row = rows.next().unwrap();
                prop_assert_eq!(row.id, cell.id);
                prop_assert_eq!(row.metric, column.info.id.as_ref());
                prop_assert_eq!(&row.score, score);
                prop_assert_eq!(row.numel, cell.out_features * cell.in_features);
            }
        }
    }
}
