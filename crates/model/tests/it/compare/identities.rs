//! Zeros that are one function.

use tomo_model::engine::Variant;

use super::{Case, run, variant, weights, zero};
use crate::parity::cases;

/// Zero ablation has three distinct columns of seven where no bias stands between; which are told apart is found by running.
#[test]
fn zeros_that_are_said_to_be_one_function_are_and_others_are_not() {
    let (mut shared, mut told_apart) = (0, 0);
    for folder in cases() {
        let case = Case::read(&folder);
        let engine = case.engine(|_| ());
        let cells = engine.model().cells();
        let variants: Vec<Variant> = (0..cells.len()).map(|cell| variant([(cell, zero())])).collect();
        let same = engine.same_function(&variants).unwrap();
        let found = run(&engine, &case.sequences, &variants);
        let of = |cell: usize| (0..case.sequences.len()).map(|s| &found.damages[&(cell, s)]).collect::<Vec<_>>();
        for a in 0..cells.len() {
            assert!(same[a] <= a && same[same[a]] == same[a]);
            for b in 0..a {
                let what = format!("{}: {} and {}", case.name, cells[a].id, cells[b].id);
                if same[a] == same[b] {
                    assert!(of(a) == of(b), "{what}");
                    shared += 1;
                } else if of(a) == of(b) {
                    // Experts that no token chose, and attention over one token each.
                    assert!(of(a).iter().flat_map(|t| t.iter()).all(|t| t.kl == 0.0), "{what} are one function too");
                } else {
                    told_apart += 1;
                }
            }
        }
    }
    assert!(shared > 300 && told_apart > 3000, "{shared} {told_apart}");
}

/// Sets of zeros, and changes that are no zeros.
#[test]
fn variants_of_several_zeros_are_told_by_what_they_silence() {
    let case = Case::read(&cases().into_iter().find(|c| c.ends_with("qwen3_plain")).unwrap());
    let engine = case.engine(|_| ());
    let zeros = |cells: &[usize]| variant(cells.iter().map(|cell| (*cell, zero())));
    let variants = [
        zeros(&[3]),
        zeros(&[2, 3]),
        zeros(&[2]),
        zeros(&[2, 4]),
        zeros(&[5, 3]),
        variant([(3, weights(0.0, 0.0))]),
        zeros(&[]),
        zeros(&[]),
    ];
    assert_eq!(engine.same_function(&variants).unwrap(), [0, 0, 0, 3, 3, 5, 6, 6]);
}
