//! A variant that leaves another one has the bits of running by itself.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use tomo_map::CellId;
use tomo_model::change::{Defaults, Edit, EditContext, Shared};
use tomo_model::engine::{Branch, EngineOptions, PassProgress, Resume, Round, Variant};

use super::{Case, Change, Found, Sink, lengths, options, resample, run, run_rounds, variant, weights, zero};
use crate::parity::cases;

/// Every cell changed; and the same with one cell of each layer changed otherwise, as branches of it.
fn family(cells: &[CellId]) -> Vec<Variant> {
    let whole: Vec<(usize, Change)> = (0..cells.len()).map(|cell| (cell, weights(1.0, 0.002))).collect();
    let mut all = vec![variant(whole.clone())];
    let layers = cells.iter().map(|id| id.layer).max().unwrap() + 1;
    for layer in 0..layers {
        for (cell, _) in cells.iter().enumerate().filter(|(_, id)| id.layer == layer).take(2) {
            for other in [weights(0.9, 0.0), zero()] {
                let mut changes = whole.clone();
                changes[cell].1 = other;
                all.push(Variant { changes, branch: Some(Branch { of: 0, layer }) });
            }
        }
    }
    all
}

fn alone(variants: &[Variant]) -> Vec<Variant> {
    variants.iter().map(|v| Variant { branch: None, ..v.clone() }).collect()
}

#[test]
fn a_branch_has_the_bits_of_running_by_itself() {
    for folder in cases() {
        let case = Case::read(&folder);
        let engine = case.engine(|_| ());
        let ids: Vec<CellId> = engine.model().cells().iter().map(|cell| cell.id).collect();
        let mut variants = family(&ids);
        // A branch of one that joins late, where it is still the original.
        let last = ids.len() - 1;
        variants.push(variant([(last, weights(0.7, 0.0))]));
        let of = variants.len() - 1;
        let early = [(0, weights(1.1, 0.0)), variants[of].changes[0].clone()];
        variants.push(Variant { changes: early.to_vec(), branch: Some(Branch { of, layer: 0 }) });
        let expected = run(&engine, &case.sequences, &alone(&variants));
        let found = run(&engine, &case.sequences, &variants);
        assert!(found == expected, "{}", case.name);
        // Without the other in the round it runs by itself.
        let count = case.sequences.len();
        let apart: Vec<Round> =
            (0..variants.len()).map(|v| Round { sequences: (0..count).collect(), variants: vec![v] }).collect();
        assert!(run_rounds(&engine, &case.sequences, &variants, &apart) == expected, "{}: apart", case.name);
        let differs = |v: usize| expected.damages[&(v, 0)] != expected.damages[&(0, 0)];
        assert!((1..variants.len()).filter(|v| differs(*v)).count() > variants.len() / 2, "{}: all alike", case.name);
    }
}

#[test]
fn a_branch_goes_on_after_it_was_ended() {
    let case = Case::read(&cases()[0]);
    let engine = case.engine_with(EngineOptions { save_every: Some(0), ..options() });
    let ids: Vec<CellId> = engine.model().cells().iter().map(|cell| cell.id).collect();
    let variants = family(&ids);
    let expected = run(&engine, &case.sequences, &alone(&variants));
    let plan = engine.plan_compare(&lengths(&case.sequences), &variants).unwrap();
    let compare = |folder: &Path, after: usize| {
        let resume = Resume { folder: folder.join("pass"), key: "branches".to_owned() };
        let (sink, looks) = (Sink::default(), Looks { after, seen: AtomicUsize::new(0) });
        let round = &plan.rounds[0];
        let ran = engine.compare(&case.sequences, &variants, round, &plan, &sink, Some(&resume), &looks).unwrap();
        (ran, sink.0.into_inner().unwrap(), looks.seen.into_inner())
    };
    let (_, _, looks) = compare(tempfile::tempdir().unwrap().path(), usize::MAX);
    assert!(plan.rounds.len() == 1);
    let mut fewer = 0;
    for part in 1..8 {
        let folder = tempfile::tempdir().unwrap();
        assert!(!compare(folder.path(), looks * part / 8).0);
        let (ran, found, left) = compare(folder.path(), usize::MAX);
        assert!(ran && found == expected, "ended after {part} of 8 parts");
        fewer += usize::from(left < looks);
    }
    assert!(fewer > 3, "it went on {fewer} times");
}

/// Ends a pass after so many looks, and counts them.
struct Looks {
    after: usize,
    seen: AtomicUsize,
}

impl PassProgress for Looks {
    fn start(&self, _steps: usize) {}
    fn step(&self, _layer: u32) {}
    fn is_cancelled(&self) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed) >= self.after
    }
}

#[test]
fn a_branch_that_is_none_is_refused() {
    let case = Case::read(&cases()[0]);
    let engine = case.engine(|_| ());
    let base = variant([(0, weights(0.9, 0.0))]);
    let refuse = |second: Variant, phrase: &str| {
        let error = engine.plan_compare(&lengths(&case.sequences), &[base.clone(), second]).unwrap_err().to_string();
        assert!(error.contains(phrase), "{error}");
    };
    let branch = |of, layer| Some(Branch { of, layer });
    // Equal numbers, but not known to be the same change.
    refuse(Variant { branch: branch(0, 1), ..variant([(0, weights(0.9, 0.0))]) }, "differ below");
    refuse(Variant { branch: branch(0, 1), ..Variant::default() }, "differ below");
    refuse(Variant { branch: branch(1, 0), ..base.clone() }, "no branch itself");
    refuse(Variant { branch: branch(2, 0), ..base.clone() }, "no branch itself");
    refuse(Variant { branch: branch(0, 99), ..base.clone() }, "no such layer");
    let other = Variant { branch: branch(0, 1), ..base.clone() };
    assert!(engine.plan_compare(&lengths(&case.sequences), &[base.clone(), other]).is_ok());
    let resampled = Variant { branch: branch(0, 1), ..variant([base.changes[0].clone(), (1, resample())]) };
    refuse(resampled, "differ below");
}

#[test]
fn shared_changes_have_the_bits_of_changes_made_anew() {
    for name in ["llama", "mixtral"] {
        let case = Case::read(cases().iter().find(|f| f.file_name().is_some_and(|n| n == name)).unwrap());
        let engine = case.engine(|_| ());
        let model = engine.model();
        let defaults = Defaults { group: 4, seed: 0 };
        let context = EditContext { model, against: None, means: None, sequences: case.sequences.len(), defaults };
        let edits = |texts: [&str; 2]| -> Vec<(usize, Edit)> {
            (0..model.cells().len()).map(|cell| (cell, texts[cell % 2].parse().unwrap())).collect()
        };
        let all = [["int2:g4", "int3:g8"], ["int3:g8", "int3:g8"], ["int2:g4", "noise:0.1"]].map(edits);
        let made = |shared: Option<&Shared>| -> Vec<Variant> {
            let one = |edits: &Vec<(usize, Edit)>| match shared {
                Some(shared) => context.variant_sharing(edits, shared),
                None => context.variant(edits),
            };
            all.iter().map(|edits| one(edits).unwrap().variant).collect()
        };
        let expected: Found = run(&engine, &case.sequences, &made(None));
        for bytes in [0, 2_000, 1 << 30] {
            assert!(
                run(&engine, &case.sequences, &made(Some(&Shared::new(bytes)))) == expected,
                "{name}, {bytes} bytes"
            );
        }
    }
}
