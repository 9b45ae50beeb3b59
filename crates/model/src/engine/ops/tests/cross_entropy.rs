use super::{noise, on_threads, plain};
use crate::engine::Rows;
use crate::engine::ops::{CrossEntropy, HeadRows};

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

/// A head of so many entries, handed over in two parts, and what it gives for each token.
fn by_head(x: Rows<'_>, head: HeadRows<'_>, split: usize, targets: &[u32]) -> Vec<f64> {
    let mut loss = CrossEntropy::new(targets.iter().copied());
    let (first, second) = head.weights.split_at(split * x.cols());
    let bias = head.bias.map(|bias| bias.split_at(split));
    loss.head(0, 0, x, HeadRows { weights: first, bias: bias.map(|b| b.0), ..head });
    loss.head(0, split, x, HeadRows { weights: second, bias: bias.map(|b| b.1), ..head });
    loss.finish()
}

#[test]
fn a_head_gives_the_loss_of_its_logits() {
    let (vocab, hidden, stride) = (701, 20, 24);
    for tokens in [1, 2, 65, 300] {
        let values = noise(10, tokens * stride, 2.0);
        let x = Rows::columns(&values, stride, 4, hidden);
        let (w, bias) = (noise(11, vocab * hidden, 1.0), noise(12, vocab, 1.0));
        let targets: Vec<u32> = (0..tokens as u32).map(|t| t * 97 % vocab as u32).collect();
        for (bias, scale, softcap) in
            [(None, 1.0, None), (Some(bias.as_slice()), 1.0, None), (Some(&bias), 0.3, Some(2.0))]
        {
            let found = by_head(x, HeadRows { weights: &w, bias, scale, softcap }, 333, &targets);
            let products = plain::linear(x, &w, bias);
            for ((found, row), target) in found.iter().zip(products.chunks(vocab)).zip(&targets) {
                let scaled = row.iter().map(|y| y * f64::from(scale));
                let cap = |y: f64| softcap.map_or(y, |cap: f32| f64::from(cap) * (y / f64::from(cap)).tanh());
                let logits: Vec<f64> = scaled.map(cap).collect();
                let expected = logits.iter().map(|y| y.exp()).sum::<f64>().ln() - logits[*target as usize];
                assert!(
                    (found - expected).abs() <= 1e-5,
                    "{tokens} tokens, cap {softcap:?}: {found} instead of {expected}"
                );
            }
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_head_has_the_same_bits_on_any_number_of_threads_and_tokens() {
    let (vocab, hidden, tokens) = (500, 40, 700);
    let (x, w) = (noise(13, tokens * hidden, 2.0), noise(14, vocab * hidden, 1.0));
    let head = HeadRows { weights: &w, bias: None, scale: 1.0, softcap: None };
    let targets = vec![5; tokens];
    let run = |threads: usize, count: usize| {
        on_threads(threads, || by_head(Rows::dense(&x[..count * hidden], hidden), head, 250, &targets[..count]))
    };
    let all = run(2, tokens);
    for (threads, count) in [(1, tokens), (5, tokens), (1, 1), (2, 257), (2, 129)] {
        assert!(run(threads, count) == all[..count], "{threads} threads, {count} tokens");
    }
}

#[test]
fn a_nan_in_the_head_or_its_input_makes_the_loss_nan() {
    let (vocab, hidden) = (300, 10);
    let (mut x, mut w) = (noise(15, 3 * hidden, 1.0), noise(16, vocab * hidden, 1.0));
    x[hidden + 2] = f32::NAN;
    let run = |x: &[f32], w: &[f32]| {
        let head = HeadRows { weights: w, bias: None, scale: 0.5, softcap: Some(3.0) };
        by_head(Rows::dense(x, hidden), head, 100, &[1, 2, 3]).iter().map(|nll| nll.is_nan()).collect::<Vec<_>>()
    };
    assert_eq!(run(&x, &w), [false, true, false]);
    x[hidden + 2] = 0.0;
    w[2777] = f32::NAN;
    assert_eq!(run(&x, &w), [true; 3]);
}
