//! Metrics of a change: pairs with a planted change read what was planted; numpy's, scipy's and torch's numbers on made-up pairs
//! (`tools/reference/delta.py`).

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;
use tomo_map::{Score, Status};
use tomo_metrics::{Cast, DeltaFacts, DeltaNeeds, Kind, METRICS, Options};
use tomo_testkit::{Within, assert_close};

use crate::support::{Weights, metric};

const ALL: DeltaNeeds = DeltaNeeds { sums: true, delta_spectrum: true, spectra: true, principal: true };

/// A cell before and after.
struct Change {
    base: Weights,
    tuned: Weights,
    options: Options,
}

impl Change {
    fn new(base: Weights, change: impl Fn(usize, usize, f64) -> f64) -> Self {
        let tuned = Weights::from_fn(base.rows, base.cols, |i, j| change(i, j, base.get(i, j)));
        Self { base, tuned, options: Options::default() }
    }

    fn score(&self, id: &str) -> Score {
        let facts = DeltaFacts::of_matrices(self.base.matrix(), self.tuned.matrix(), ALL, &self.options);
        let Kind::Delta { score, .. } = metric(id).kind else { panic!("{id} is not of a change") };
        score(&facts, &self.options)
    }

    #[track_caller]
    fn value(&self, id: &str) -> f64 {
        let score = self.score(id);
        score.value().unwrap_or_else(|| panic!("{id}: {:?}", score.reason()))
    }

    #[track_caller]
    fn reads(&self, id: &str, expected: f64, within: Within) {
        assert_close(self.value(id), expected, within);
    }
}

fn ids() -> impl Iterator<Item = &'static str> {
    METRICS.iter().filter(|m| m.info.family == "delta").map(|m| m.info.id.as_ref())
}

/// Multiples of 1/64 below 2: exact in bf16 and under multiplication by small numbers; every fourth column is 0.
fn coarse(rows: usize, cols: usize) -> Weights {
    Weights::from_fn(
        rows,
        cols,
        |i, j| if j % 4 == 3 { 0.0 } else { ((i * 37 + j * 101) % 127) as f64 / 64.0 - 0.992_187_5 },
    )
}

#[test]
fn nothing_changed_is_exactly_nothing() {
    let change = Change::new(Weights::gaussian(40, 56, 0.02, 1), |_, _, w| w);
    for id in [
        "delta-relative",
        "delta-scale",
        "delta-direction",
        "update-density",
        "update-density-tol",
        "update-density-bf16",
        "delta-rank",
        "spectrum-drift",
        "sign-flips",
    ] {
        assert_eq!(change.value(id), 0.0, "{id}");
    }
    for id in ["delta-cosine", "subspace-overlap-left", "subspace-overlap-right"] {
        assert_eq!(change.value(id), 1.0, "{id}");
    }
    for id in ["density-lower-bound", "delta-stable-rank", "delta-effective-rank", "delta-on-principal"] {
        let score = change.score(id);
        assert_eq!(score.status(), Status::Undefined, "{id}");
        assert!(score.reason().unwrap().contains("identical"), "{id}: {:?}", score.reason());
    }
}

/// W1 = 3/2 W0 and W1 = 11/8 W0, exactly: c is that factor, nothing is left, the spectrum moves by it.
#[test]
fn a_mere_rescaling_is_scale_and_no_direction() {
    for factor in [1.5, 1.375, 0.5] {
        let change = Change::new(coarse(48, 64), |_, _, w| factor * w);
        let off = f64::abs(factor - 1.0);
        change.reads("delta-relative", off, Within::Relative(1e-14));
        change.reads("delta-scale", off, Within::Relative(1e-14));
        change.reads("delta-cosine", 1.0, Within::Relative(1e-14));
        change.reads("spectrum-drift", off, Within::Relative(1e-12));
        change.reads("subspace-overlap-left", 1.0, Within::Relative(1e-9));
        change.reads("subspace-overlap-right", 1.0, Within::Relative(1e-9));
        // Below the rounding of the sums it says 0.
        assert_eq!(change.value("delta-direction"), 0.0, "{factor}");
        assert_eq!(change.value("sign-flips"), 0.0);
        // Three columns of four are not 0.
        change.reads("update-density", 0.75 - zeros_among_nonzero_columns(&change.base), Within::Relative(1e-12));
        assert_eq!(change.value("delta-stable-rank"), {
            let own = change.base.value("stable-rank");
            change.reads("delta-stable-rank", own, Within::Relative(1e-9));
            change.value("delta-stable-rank")
        });
    }
}

/// Share of entries that are 0 by chance, outside the columns that are 0 by construction.
fn zeros_among_nonzero_columns(w: &Weights) -> f64 {
    let zeros = (0..w.rows * w.cols).filter(|at| at % w.cols % 4 != 3 && w.values[*at] == 0.0).count();
    zeros as f64 / (w.rows * w.cols) as f64
}

/// dW lives in the columns where W0 is 0, so it is at right angles to it: the sine of the angle is |dW| / |W1|.
#[test]
fn a_change_at_right_angles_is_direction_and_no_scale() {
    let change = Change::new(coarse(48, 64), |i, j, w| if j % 4 == 3 { ((i + j) % 5) as f64 / 8.0 } else { w });
    let square = |w: &Weights| w.values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let (before, after) = (square(&change.base), square(&change.tuned));
    assert_eq!(change.value("delta-scale"), 0.0);
    change.reads("delta-direction", ((after - before) / after).sqrt(), Within::Relative(1e-13));
    change.reads("delta-cosine", (before / after).sqrt(), Within::Relative(1e-13));
    change.reads("delta-relative", ((after - before) / before).sqrt(), Within::Relative(1e-13));
    assert_eq!(change.value("sign-flips"), 0.0);
}

/// Sums of r outer products of small integers, in steps of 1/64: exact in f32.
#[test]
fn a_change_of_rank_r_has_rank_r() {
    for rank in [1, 3, 8] {
        let product = |i: usize, j: usize| -> f64 {
            (0..rank).map(|r| ((i * (r + 3) + r) % 31) as f64 * (((j * (2 * r + 5) + 1) % 37) as f64 - 18.0)).sum()
        };
        let change = Change::new(coarse(48, 64), |i, j, w| w + product(i, j) / 64.0);
        change.reads("delta-rank", rank as f64 / 48.0, Within::Relative(1e-15));
        assert!(change.value("delta-stable-rank") <= rank as f64 + 1e-9);
        assert!(change.value("delta-effective-rank") <= rank as f64 + 1e-6);
    }
    // One outer product: one direction.
    let change = Change::new(coarse(48, 64), |i, j, w| w + ((i % 7) as f64 - 3.0) * ((j % 5) as f64 - 2.0) / 64.0);
    change.reads("delta-stable-rank", 1.0, Within::Relative(1e-12));
    change.reads("delta-effective-rank", 1.0, Within::Relative(1e-6));
}

/// Every tenth entry moves by 1/8, up and down in turn: a tenth of all, all by one size, so the bound by norms is reached.
#[test]
fn a_tenth_of_the_entries_is_a_tenth() {
    let base = Weights::from_fn(50, 60, |i, j| 0.25 + ((i * 7 + j) % 9) as f64 / 16.0);
    let change = Change::new(base.clone(), |i, j, w| {
        let at = i * 60 + j;
        if at % 10 == 4 { w + if at % 20 == 4 { 0.125 } else { -0.125 } } else { w }
    });
    for id in ["update-density", "update-density-tol", "update-density-bf16", "density-lower-bound"] {
        change.reads(id, 0.1, Within::Relative(1e-13));
    }
    assert_eq!(change.value("sign-flips"), 0.0);
    let flipped = Change::new(base, |i, j, w| if (i * 60 + j) % 10 == 4 { -w } else { w });
    assert_eq!(flipped.value("sign-flips"), 0.1);
    assert_eq!(flipped.value("update-density"), 0.1);
}

/// The four densities where they differ. 600 weights of 1.0, of which 100 each become 1 + 2^-20 (not seen by bf16) and 1 + 2^-7 (one
/// bf16 step); 600 of 2^-14, of which 100 each become 2^-14 (1 + 2^-7) (a step of 4.8e-7: below 1e-5) and 2^-14 + 2^-16 (1.5e-5).
#[test]
fn densities_differ_where_they_should() {
    let small = 1.0 / 16384.0;
    let base = Weights::from_fn(20, 60, |i, _| if i < 10 { 1.0 } else { small });
    let change = Change::new(base, |i, j, w| match (i < 10, j) {
        (true, 0..10) => w + 1.0 / f64::from(1 << 20),
        (true, 10..20) => w + 1.0 / 128.0,
        (false, 0..10) => w * (1.0 + 1.0 / 128.0),
        (false, 10..20) => w + 1.0 / 65536.0,
        _ => w,
    });
    assert_eq!(change.value("update-density"), 400.0 / 1200.0);
    assert_eq!(change.value("update-density-bf16"), 300.0 / 1200.0);
    assert_eq!(change.value("update-density-tol"), 200.0 / 1200.0);
}

/// The tolerance is 1e-5 as a bf16, 1.0014e-5, and the difference is rounded to bf16 before it is compared: half way to the next
/// bf16 still counts as equal. 0x3728 is that bf16, 0x37288000 half way.
#[test]
fn the_tolerance_is_that_of_bf16() {
    // 0 as base: the difference is the tuned value, exactly. What is beyond half way rounds up as f32 entries of W1 too.
    let steps = [0x3727_c5ac_u32, 0x3728_0000, 0x3728_8000, 0x3728_8001, 0x3729_0000];
    let mut change = Change::new(Weights::from_fn(1, 5, |_, _| 0.0), |_, _, w| w);
    change.tuned.values = steps.map(f32::from_bits).to_vec();
    assert_eq!(change.value("update-density-tol"), 2.0 / 5.0);
    // Differences of two bf16 that are none themselves: 0x3728 as a float plus 2^-25 is half way and rounds to the even 0x3728;
    // plus 2^-25 (1 + 1/128) it is beyond and rounds to 0x3729.
    let half = 1.0 / f64::from(1 << 25);
    let step = f64::from(f32::from_bits(0x3728_0000));
    let between = Weights::from_fn(1, 2, |_, j| if j == 0 { -half } else { -half * (1.0 + 1.0 / 128.0) });
    assert_eq!(Change::new(between, |_, _, _| step).value("update-density-tol"), 1.0 / 2.0);
}

/// The change acts within the first two directions only: on them it is all there, away from them nothing.
#[test]
fn a_change_on_the_principal_directions_is_found_there() {
    let diagonal = |i: usize| if i < 4 { 8.0 - i as f64 } else { 0.25 };
    let base = Weights::from_fn(24, 32, |i, j| if i == j { diagonal(i) } else { 0.0 });
    let mut on = Change::new(base.clone(), |i, j, w| if i == j && i < 4 { w + 0.5 } else { w });
    let mut off = Change::new(base, |i, j, w| if i == j && i >= 4 { w + 0.125 } else { w });
    on.options.subspace_rank = 4;
    off.options.subspace_rank = 4;
    // All of it is sqrt(m n) / k times chance.
    on.reads("delta-on-principal", (24.0_f64 * 32.0).sqrt() / 4.0, Within::Relative(1e-12));
    off.reads("delta-on-principal", 0.0, Within::Absolute(1e-12));
    on.reads("subspace-overlap-left", 1.0, Within::Relative(1e-12));
}

/// The strongest direction leaves for another: of two compared directions one is still there.
#[test]
fn half_of_the_principal_subspace_is_half() {
    let at = |strong: [usize; 2]| {
        move |i: usize, j: usize| match (i == j, strong.contains(&i)) {
            (true, true) => 4.0,
            (true, false) => 0.5,
            _ => 0.0,
        }
    };
    let base = Weights::from_fn(20, 30, |i, j| at([0, 1])(i, j));
    let mut change = Change::new(base, |i, j, _| at([1, 2])(i, j));
    change.options.subspace_rank = 2;
    change.reads("subspace-overlap-left", 0.5, Within::Relative(1e-12));
    change.reads("subspace-overlap-right", 0.5, Within::Relative(1e-12));
    // The same strengths elsewhere.
    change.reads("spectrum-drift", 0.0, Within::Absolute(1e-12));
    change.options.subspace_rank = 20;
    assert_eq!(change.score("subspace-overlap-left").status(), Status::NotApplicable);
    assert!(change.score("delta-on-principal").reason().unwrap().contains("below min(m, n) = 20"));
}

#[test]
fn quotients_without_a_value_say_why() {
    let from_zero = Change::new(Weights::from_fn(20, 30, |_, _| 0.0), |i, j, _| (i + j) as f64);
    for id in ["delta-relative", "delta-scale", "delta-cosine", "sign-flips", "spectrum-drift"] {
        assert_eq!(from_zero.score(id).status(), Status::Undefined, "{id}");
    }
    assert_eq!(from_zero.value("delta-direction"), 1.0);
    let to_zero = Change::new(Weights::gaussian(20, 30, 1.0, 3), |_, _, _| 0.0);
    assert_eq!(to_zero.value("delta-relative"), 1.0);
    assert_eq!(to_zero.value("delta-scale"), 1.0);
    assert_eq!(to_zero.value("sign-flips"), 1.0);
    assert_eq!(to_zero.score("delta-cosine").status(), Status::Undefined);
    assert_eq!(to_zero.score("delta-direction").status(), Status::Undefined);
    for id in ["subspace-overlap-left", "delta-on-principal"] {
        assert_eq!(to_zero.score(id).status(), Status::Undefined, "{id}");
    }
}

/// A principal subspace that is not determined is said to be so.
#[test]
fn equal_strengths_determine_no_subspace() {
    let base = Weights::from_fn(20, 20, |i, j| if i == j { 1.0 } else { 0.0 });
    let change = Change::new(base, |i, j, w| if i == 0 && j == 1 { 0.5 } else { w });
    let score = change.score("subspace-overlap-left");
    assert!(score.reason().unwrap().contains("not determined"), "{score:?}");
}

fn fixture(name: &str) -> Vec<u8> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    std::fs::read(folder.join(name)).unwrap()
}

/// Every metric on every made-up pair, as it is and rounded to bf16 and f16 on both sides.
#[test]
fn metrics_of_a_change_are_those_of_numpy_and_torch() {
    let bytes = fixture("delta-pairs.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let about: Value = serde_json::from_slice(&fixture("delta-pairs.json")).unwrap();
    let weights = |name: &str, cast: Cast| {
        let view = tensors.tensor(name).unwrap();
        let mut values: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        cast.apply(&mut values);
        Weights { rows: view.shape()[0], cols: view.shape()[1], values }
    };
    let mut compared = 0;
    for (name, by_cast) in about["pairs"].as_object().unwrap() {
        for cast in Cast::ALL {
            let [base, tuned] = ["base", "tuned"].map(|side| weights(&format!("{side}/{name}"), cast));
            let change = Change { base, tuned, options: Options::default() };
            for id in ids() {
                let gap = by_cast[&cast.to_string()]["subspace:gap"].as_f64().unwrap();
                let expected = by_cast[&cast.to_string()][id].as_f64().unwrap_or_else(|| panic!("{name} has no {id}"));
                let within = match id {
                    // A subspace is off by rounding over the gap behind its last direction; both programs round.
                    "subspace-overlap-left" | "subspace-overlap-right" | "delta-on-principal" => {
                        1e-7_f64.max(1e-13 / gap)
                    }
                    // The rounding of f32 beneath a change of low rank is below what a Gram matrix tells from 0.
                    "delta-effective-rank" if name == "low-rank" => 1e-5,
                    _ => 1e-7,
                };
                let found = change.score(id).value().unwrap_or(f64::NAN);
                let off = (found - expected).abs();
                assert!(
                    off <= within * expected.abs(),
                    "{id} of {name} as {cast}: {found}, {expected} expected, gap {gap}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 9 * 3 * 17, "{compared}");
}
