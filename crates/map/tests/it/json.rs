//! `map.json`: what is written can be read, exactly; what is wrong is refused with its place.

use std::path::PathBuf;

use proptest::prelude::*;
use tomo_map::{Component, Map, MapErrorKind as Kind, Score, Status, read_json, write_json};

use crate::samples::{any_map, dense, info, map_of};

fn written(map: &Map) -> String {
    let mut bytes = Vec::new();
    write_json(map, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn reading_what_was_written_is_the_identity(map in any_map()) {
        let text = written(&map);
        let back = read_json(text.as_bytes()).unwrap();
        prop_assert_eq!(&back, &map);
        // Equality of floats forgives a lost sign of zero; the text does not.
        prop_assert_eq!(written(&back), text);
    }

    #[test]
    fn any_cut_or_changed_byte_gives_an_answer(map in any_map(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = written(&map).into_bytes();
        let at = at.index(bytes.len());
        let _ = read_json(&bytes[..at]);
        bytes[at] = byte;
        if let Ok(changed) = read_json(&bytes) {
            prop_assert!(changed.validate().is_ok());
        }
    }
}

#[test]
fn a_score_is_one_line() {
    let map = map_of(
        info("s"),
        1,
        &[
            (0, Component::AttnQ, None, Score::from_value(0.1).with_interval(0.05, 0.2)),
            (0, Component::AttnK, None, Score::missing(Status::NotMeasured, "stopped")),
        ],
    );
    let text = written(&map);
    assert!(text.starts_with("{\n \"schema\": \"tomograph.map/1\",\n \"provenance\": {\n  \"model\": \"\""), "{text}");
    assert!(text.contains("\n    {\"status\": \"ok\", \"value\": 0.1, \"interval\": [0.05, 0.2]},\n"), "{text}");
    assert!(text.contains("\n    {\"status\": \"not-measured\", \"reason\": \"stopped\"}\n   ]"), "{text}");
    let cell = r#"{"layer": 0, "component": "attn.q", "out_features": 2, "in_features": 3, "tensor": "#;
    assert!(text.contains(cell), "{text}");
    assert!(text.ends_with("}\n"));
}

/// A valid file, changed by replacing `from` by `to`, is refused with this kind and place.
#[test]
fn wrong_files_are_refused_with_kind_and_place() {
    let map = dense(info("s"), &[Component::AttnQ, Component::AttnK], &[&[1.5, 2.5], &[3.5, 4.5]]);
    let good = written(&map);
    assert!(read_json(good.as_bytes()).is_ok());
    let cases: &[(&str, &str, Kind, &str)] = &[
        ("tomograph.map/1", "tomograph.map/2", Kind::Schema, "schema"),
        ("\"schema\"", "\"scheme\"", Kind::Schema, "schema"),
        ("\"tomograph.map/1\"", "1", Kind::Schema, "schema"),
        ("\"provenance\"", "\"origin\"", Kind::Field, "line"),
        ("\"layers\": 2", "\"layers\": -2", Kind::Field, "line"),
        ("\"layers\": 2", "\"layers\": 1", Kind::Length, "grid.cells[2]"),
        ("\"layers\": 2", "\"layers\": 4000000000", Kind::Size, "grid.layers"),
        (
            "\"layer\": 1, \"component\": \"attn.k\"",
            "\"layer\": 0, \"component\": \"attn.k\"",
            Kind::Order,
            "grid.cells[3]",
        ),
        (
            "\"layer\": 1, \"component\": \"attn.k\"",
            "\"layer\": 1, \"component\": \"attn.q\"",
            Kind::Order,
            "grid.cells[3]",
        ),
        (
            "\"layer\": 1, \"component\": \"attn.k\"",
            "\"layer\": 1, \"component\": \"attn.q\", \"expert\": 1",
            Kind::Order,
            "grid.cells[3]",
        ),
        ("attn.k", "attn.z", Kind::Field, "line"),
        ("\"out_features\": 2", "\"out_features\": 0", Kind::Size, "grid.cells[0]"),
        ("\"out_features\": 2", "\"out_features\": 18446744073709551615", Kind::Size, "grid.cells[0]"),
        ("{\"status\": \"ok\", \"value\": 4.5}", "", Kind::Syntax, "line"),
        (",\n    {\"status\": \"ok\", \"value\": 4.5}", "", Kind::Length, "metrics[0].scores"),
        ("\"value\": 4.5", "\"value\": 1e999", Kind::Syntax, "line"),
        ("\"value\": 4.5", "\"value\": NaN", Kind::Syntax, "line"),
        ("\"value\": 4.5", "\"value\": null", Kind::Number, "metrics[0].scores[3]"),
        ("\"status\": \"ok\", \"value\": 4.5", "\"status\": \"undefined\"", Kind::Number, "metrics[0].scores[3]"),
        (
            "\"ok\", \"value\": 4.5",
            "\"undefined\", \"value\": 0.0, \"reason\": \"\"",
            Kind::Number,
            "metrics[0].scores[3]",
        ),
        ("\"value\": 4.5", "\"value\": 4.5, \"interval\": [5, 4]", Kind::Number, "metrics[0].scores[3]"),
        ("\"value\": 4.5", "\"value\": 4.5, \"interval\": [4]", Kind::Field, "line"),
        ("\"status\": \"ok\", \"value\": 4.5", "\"status\": \"fine\", \"value\": 4.5", Kind::Field, "line"),
        ("\"seconds\": 0.0", "\"seconds\": -1", Kind::Number, "provenance.seconds"),
        ("\"id\": \"s\"", "\"id\": \"\"", Kind::Field, "metrics[0].id"),
    ];
    for (from, to, kind, place) in cases {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        let error = read_json(bad.as_bytes()).expect_err(to);
        assert_eq!(error.kind(), *kind, "{to}: {error}");
        assert!(error.place().starts_with(place), "{to}: {error}");
    }
}

#[test]
fn a_metric_occurs_once() {
    let mut map = dense(info("s"), &[Component::AttnQ], &[&[1.0]]);
    let text = written(&map).replace("\"s\"", "\"t\"");
    map.columns.push(read_json(text.as_bytes()).unwrap().columns.remove(0));
    let two = written(&map);
    let error = read_json(two.replace("\"t\"", "\"s\"").as_bytes()).unwrap_err();
    assert_eq!((error.kind(), error.place()), (Kind::Order, "metrics[1]"), "{error}");
}

#[test]
fn missing_columns_must_be_missing_and_named_once() {
    let map = dense(info("s"), &[Component::AttnQ], &[&[1.0]]);
    let with =
        |missing: &str| written(&map).replacen("\"cells\": [", &format!("\"missing\": {missing},\n  \"cells\": ["), 1);
    let gate = r#"{"component": "mlp.gate", "reason": "ungated"}"#;
    assert_eq!(read_json(with(&format!("[{gate}]")).as_bytes()).unwrap().grid.missing.len(), 1);
    for bad in [format!("[{gate}, {gate}]"), gate.replace("mlp.gate", "attn.q").replace('{', "[{").replace('}', "}]")] {
        assert_eq!(read_json(with(&bad).as_bytes()).unwrap_err().kind(), Kind::Order, "{bad}");
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let deep = format!("{{\"schema\": \"tomograph.map/1\", \"x\": {}", "[".repeat(1_000_000));
    for bytes in [&b""[..], b"\xff\xfe", b"[]", b"null", b"{}", b"{\"schema\": \"tomograph.map/1\"}", deep.as_bytes()] {
        let error = read_json(bytes).unwrap_err();
        assert!(!error.to_string().chars().any(char::is_control), "{error}");
    }
    let shouting = format!("{{\"schema\": \"\u{1b}[31m{}\"}}", "x".repeat(10_000));
    let message = read_json(shouting.as_bytes()).unwrap_err().to_string();
    assert!(message.len() < 400 && !message.chars().any(char::is_control), "{message}");
}

#[test]
fn unknown_fields_are_passed_over() {
    let map = dense(info("s"), &[Component::AttnQ], &[&[1.0]]);
    let later = written(&map)
        .replacen("{\n", "{\n \"later\": {\"a\": [1, {}]},\n", 1)
        .replacen("\"status\"", "\"later\": null, \"status\"", 1)
        .replacen("\"layer\":", "\"later\": [1], \"layer\":", 1)
        .replacen("\"id\"", "\"later\": {\"x\": 1.5}, \"id\"", 1)
        .replacen("\"seed\"", "\"later\": \"\", \"seed\"", 1);
    assert_eq!(later.matches("later").count(), 5);
    assert_eq!(read_json(later.as_bytes()).unwrap(), map);
}

#[test]
fn an_invalid_map_is_not_written() {
    let mut map = dense(info("s"), &[Component::AttnQ], &[&[1.0]]);
    map.columns[0].scores.push(Score::from_value(2.0));
    let mut bytes = Vec::new();
    assert_eq!(write_json(&map, &mut bytes).unwrap_err().kind(), Kind::Length);
    map.columns[0].scores.pop();
    map.provenance.seconds = f64::NAN;
    assert_eq!(write_json(&map, &mut bytes).unwrap_err().kind(), Kind::Number);
    assert!(bytes.is_empty());
}

/// Every file in `fixtures/maps/v1` was written by some version and is readable for ever.
#[test]
fn maps_of_schema_1_stay_readable() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/maps/v1");
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "json") {
            let map = read_json(&std::fs::read(&path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(map.columns.iter().all(|c| map.default_view(&c.info.id).is_ok()));
            seen.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    seen.sort();
    assert_eq!(seen, ["changes.json", "first-light.json"]);
}

/// What the first fixture says, spelt out, so that "readable" means "means the same".
#[test]
fn the_first_fixture_says_what_it_said() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/maps/v1/first-light.json");
    let map = read_json(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!((map.grid.layers, map.grid.cells.len(), map.columns.len()), (2, 9, 2));
    assert_eq!(map.provenance.tokens, Some(2048));
    assert_eq!(map.grid.missing[0].component, Component::MlpGate);
    let cell = tomo_map::CellId { layer: 1, component: Component::MlpUp, expert: Some(1) };
    assert_eq!(map.score("rms", cell).unwrap().value(), Some(0.021_5));
    let cell = tomo_map::CellId { layer: 0, component: Component::AttnK, expert: None };
    assert_eq!(map.score("kl-int3", cell).unwrap().interval(), Some((-1e-7, 3.5e-5)));
    let cell = tomo_map::CellId { layer: 1, component: Component::AttnK, expert: None };
    assert_eq!(map.score("kl-int3", cell).unwrap().status(), Status::NotMeasured);
    assert_eq!(map.score("kl-int3", cell).unwrap().reason(), Some("the scan was stopped"));
}

/// A map of changes: what it was compared with, and the table beside the grid.
#[test]
fn the_fixture_of_changes_says_what_it_said() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/maps/v1/changes.json");
    let map = read_json(&std::fs::read(path).unwrap()).unwrap();
    let against = map.provenance.against.unwrap();
    assert_eq!((against.model.as_str(), against.format.as_str()), ("fixtures/parity/llama", "safetensors"));
    assert_eq!((against.cast, against.notes.len()), (None, 1));
    let [beside] = map.beside.as_slice() else { panic!("one table was written") };
    assert_eq!((beside.id.as_str(), beside.rows.len()), ("norm-gain-drift", 5));
    assert_eq!(beside.rows[2].layer, Some(1));
    assert_eq!(beside.rows[4].layer, None);
    assert_eq!(beside.rows[4].score.value(), Some(0.175_095_532_648_058_7));
}
