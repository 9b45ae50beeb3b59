use super::{noise, on_threads, plain};
use crate::engine::ops::CrossEntropy;

const VOCAB: usize = 5003;

fn by_tiles(logits: &[f32], targets: &[u32], width: usize) -> Vec<f64> {
    let mut loss = CrossEntropy::new(targets.iter().copied());
    for first in (0..VOCAB).step_by(width) {
        let width = width.min(VOCAB - first);
        // Token 0 by itself, then the others.
        let tile =
            |rows: &[f32]| rows.chunks(VOCAB).flat_map(|row| row[first..first + width].to_vec()).collect::<Vec<_>>();
        loss.tile(0, first, width, &tile(&logits[..VOCAB]));
        loss.tile(1, first, width, &tile(&logits[VOCAB..]));
    }
    loss.finish()
}

#[test]
fn tiles_of_any_width_give_the_loss_of_the_whole() {
    let targets = [0, 7, VOCAB as u32 - 1, 2500, 1024];
    for span in [0.1, 3.0, 80.0, 1e4] {
        let logits = noise(5, targets.len() * VOCAB, span);
        for width in [1, 13, 999, 1024, 4096, VOCAB] {
            let found = by_tiles(&logits, &targets, width);
            for ((found, row), target) in found.iter().zip(logits.chunks(VOCAB)).zip(targets) {
                let expected = plain::nll(row, target as usize);
                assert!((found - expected).abs() <= 2e-7 * expected.abs().max(1.0), "{found} instead of {expected}");
            }
        }
    }
}

#[test]
fn a_maximum_that_grows_from_tile_to_tile() {
    let logits: Vec<f32> = (0..VOCAB).map(|at| at as f32 / 50.0 - 60.0).collect();
    for width in [10, 700] {
        let found = by_tiles(&logits, &[4000], width)[0];
        assert!((found - plain::nll(&logits, 4000)).abs() < 1e-5, "{found}");
    }
}

#[test]
fn a_nan_makes_the_loss_nan() {
    for at in [0, 1500, VOCAB - 1] {
        let mut logits = noise(6, 2 * VOCAB, 1.0);
        logits[VOCAB + at] = f32::NAN;
        let found = by_tiles(&logits, &[3, 3], 1000);
        assert!(found[0].is_finite() && found[1].is_nan());
    }
    assert!(by_tiles(&vec![f32::NAN; VOCAB], &[3], 1000)[0].is_nan());
    assert!(by_tiles(&noise(7, VOCAB, 1.0), &[VOCAB as u32], 1000)[0].is_nan(), "no tile held the target");
}

#[test]
fn logits_that_are_minus_infinity_have_no_weight() {
    let mut logits = noise(8, VOCAB, 1.0);
    logits[..3000].fill(f32::NEG_INFINITY);
    let found = by_tiles(&logits, &[4000], 1000)[0];
    assert!((found - plain::nll(&logits, 4000)).abs() < 1e-6, "{found}");
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let logits = noise(9, 40 * VOCAB, 5.0);
    let targets = [77; 40];
    let once = on_threads(1, || by_tiles(&logits, &targets, 512));
    assert_eq!(once, on_threads(3, || by_tiles(&logits, &targets, 512)));
}
