use tomo_map::{Score, Status};
use tomo_verify::{Options, VerifyError, agree};

use crate::made_up::{causal, grid, high, map, noise, quick, source};

#[test]
fn maps_of_other_matrices_are_refused_and_of_other_weights_unless_forced() {
    let grid = grid(12);
    let truth = source(map(&grid, vec![(causal("cost"), noise(84, 1))]));
    let mut other = source(map(&grid, vec![(high("score"), noise(84, 2))]));
    other.name = "other".into();
    other.map.provenance.model_digest = "fedcba".into();
    let both = [truth.clone(), other.clone()];
    let error = agree(&both, &quick()).unwrap_err();
    assert!(matches!(error, VerifyError::Model { .. }), "{error:?}");
    let words = error.to_string();
    assert!(words.contains("other is a map of another model") && words.contains("--force"), "{words}");
    let found = agree(&both, &Options { force: true, ..quick() }).unwrap();
    assert!(found.notes.iter().any(|n| n.contains("other is a map of another model")), "{:?}", found.notes);

    type Edit = fn(&mut tomo_map::Grid);
    let grids: [(Edit, &str); 3] = [
        (|g| g.layers = 13, "layers: expected 12, found 13"),
        (|g| drop(g.cells.pop()), "number of cells: expected 84, found 83"),
        (|g| g.cells[3].in_features += 1, "cell 3: expected L0.attn.o of"),
    ];
    for (edit, words) in grids {
        let mut other = other.clone();
        edit(&mut other.map.grid);
        // Whatever is forced.
        let error = agree(&[truth.clone(), other], &Options { force: true, ..quick() }).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    // How the checkpoint stores a matrix is no other matrix.
    let mut stored = truth.clone();
    stored.map.grid.cells[0].dtype = "Q4_1".into();
    stored.map.grid.cells[0].tensor = "blk.0.attn_q.weight".into();
    agree(&[truth, stored], &quick()).unwrap();
}

#[test]
fn a_ground_truth_has_to_be_there_and_to_order_cells() {
    let grid = grid(2);
    let none = agree(&[source(map(&grid, vec![(high("score"), noise(14, 1))]))], &quick()).unwrap_err();
    assert_eq!(none, VerifyError::NoTruth { found: vec![] });
    let two = map(&grid, vec![(causal("a"), noise(14, 1)), (causal("b"), noise(14, 2))]);
    let error = agree(&[source(two.clone())], &quick()).unwrap_err().to_string();
    assert!(error.contains("a, b"), "{error}");
    let asked = Options { with: Some("quant-kl".into()), ..quick() };
    let error = agree(&[source(two.clone())], &asked).unwrap_err();
    assert_eq!(error, VerifyError::NoSuchMetric { asked: "quant-kl".into(), known: vec!["a".into(), "b".into()] });
    // Any metric may be asked for, measured or not.
    agree(&[source(two.clone())], &Options { with: Some("b".into()), ..quick() }).unwrap();

    let mut few = map(&grid, vec![(causal("cost"), noise(14, 3))]);
    (0..5).for_each(|at| few.columns[0].scores[at] = Score::missing(Status::NotMeasured, "ended before"));
    let error = agree(&[source(few)], &quick()).unwrap_err();
    assert_eq!(error, VerifyError::TooFewCells { metric: "cost".into(), expected: 10, found: 9 });
    let error = agree(&[source(map(&grid, vec![(causal("cost"), vec![0.5; 14])]))], &quick()).unwrap_err();
    assert!(error.to_string().contains("cost orders too few cells"), "{error}");
    assert_eq!(agree(&[], &quick()), Err(VerifyError::NoMap));
}
