use super::{bits, distance, noise, on_threads, plain};
use crate::engine::Rows;
use crate::engine::ops::{Heads, attention, attention_backward};

const PLAIN: Heads = Heads { heads: 6, kv_heads: 2, head_dim: 8, scale: 0.35, softcap: None, window: None };

/// `[q | k | v]` of a sequence, and where each part is.
struct Sequence {
    values: Vec<f32>,
    shape: Heads,
}

impl Sequence {
    fn new(shape: Heads, tokens: usize, span: f32) -> Self {
        Self { values: noise(tokens as u64, tokens * (shape.heads + 2 * shape.kv_heads) * shape.head_dim, span), shape }
    }

    fn part(&self, first: usize, heads: usize) -> Rows<'_> {
        let Heads { heads: all, kv_heads, head_dim, .. } = self.shape;
        Rows::columns(&self.values, (all + 2 * kv_heads) * head_dim, first * head_dim, heads * head_dim)
    }

    fn parts(&self) -> [Rows<'_>; 3] {
        let Heads { heads, kv_heads, .. } = self.shape;
        [self.part(0, heads), self.part(heads, kv_heads), self.part(heads + kv_heads, kv_heads)]
    }

    fn run(&self) -> Vec<f32> {
        let [q, k, v] = self.parts();
        let mut out = vec![f32::NAN; q.len() * q.cols()];
        attention(self.shape, q, k, v, &mut out);
        out
    }

    fn check(&self) {
        let [q, k, v] = self.parts();
        let far = distance(&self.run(), &plain::attention(self.shape, q, k, v));
        assert!(far < 2e-6, "{} tokens, {:?}: {far:e}", q.len(), self.shape);
    }
}

#[test]
fn lengths_and_windows() {
    for tokens in [1, 2, 13, 63, 64, 65, 67, 130, 600] {
        for window in [None, Some(1), Some(2), Some(7), Some(64), Some(100), Some(513), Some(5000)] {
            Sequence::new(Heads { window, ..PLAIN }, tokens, 2.0).check();
        }
    }
}

#[test]
fn more_than_two_blocks_of_keys() {
    for window in [None, Some(700), Some(1030)] {
        Sequence::new(Heads { heads: 2, kv_heads: 1, head_dim: 4, window, ..PLAIN }, 1200, 3.0).check();
    }
}

#[test]
fn groups_and_widths_of_heads() {
    for (heads, kv_heads, head_dim) in [(1, 1, 1), (1, 1, 64), (3, 3, 5), (8, 2, 16), (24, 2, 6), (71, 1, 2)] {
        for tokens in [1, 3, 35] {
            Sequence::new(Heads { heads, kv_heads, head_dim, ..PLAIN }, tokens, 2.0).check();
        }
    }
}

#[test]
fn soft_caps() {
    for softcap in [0.5, 5.0, 50.0] {
        for window in [None, Some(9)] {
            Sequence::new(Heads { softcap: Some(softcap), window, ..PLAIN }, 67, 6.0).check();
        }
    }
}

#[test]
fn scores_far_apart_neither_overflow_nor_vanish() {
    let shape = Heads { scale: 40.0, ..PLAIN };
    let sequence = Sequence::new(shape, 600, 10.0);
    let [q, k, v] = sequence.parts();
    let expected = plain::attention(shape, q, k, v);
    // A score of 10^4 has a rounding error of 10^-3, so the weights have one of that size.
    assert!(distance(&sequence.run(), &expected) < 1e-2);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_same_bits_on_any_number_of_threads_and_whatever_follows() {
    let single = Heads { heads: 2, ..PLAIN };
    for (shape, window) in [(PLAIN, None), (PLAIN, Some(1)), (PLAIN, Some(50)), (PLAIN, Some(600)), (single, None)] {
        let shape = Heads { window, ..shape };
        let long = Sequence::new(shape, 700, 2.0);
        let all = on_threads(2, || long.run());
        assert!(bits(&all) == bits(&on_threads(1, || long.run())));
        assert!(bits(&all) == bits(&on_threads(5, || long.run())));
        let [q, ..] = long.parts();
        for tokens in [1, 2, 3, 33, 64, 65, 66, 513, 577] {
            let short = Sequence { values: long.values[..tokens * q.stride()].to_vec(), shape };
            assert!(bits(&short.run()) == bits(&all[..tokens * q.cols()]), "{tokens} tokens, {shape:?}");
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn gradients_have_the_same_bits_on_any_number_of_threads_and_beside_other_objectives() {
    for (shape, tokens) in [(PLAIN, 300), (Heads { window: Some(50), softcap: Some(3.0), ..PLAIN }, 130)] {
        let sequence = Sequence::new(shape, tokens, 2.0);
        let ([q, k, v], out) = (sequence.parts(), sequence.run());
        let out = Rows::dense(&out, q.cols());
        let g: Vec<Vec<f32>> = (0..3).map(|seed| noise(seed, tokens * q.cols(), 1.0)).collect();
        let g: Vec<Rows<'_>> = g.iter().map(|g| Rows::dense(g, q.cols())).collect();
        let run = |threads, g: &[Rows<'_>]| {
            let mut d = vec![vec![f32::NAN; sequence.values.len()]; g.len()];
            let mut parts: Vec<&mut [f32]> = d.iter_mut().map(Vec::as_mut_slice).collect();
            on_threads(threads, || attention_backward(shape, q, k, v, out, g, &mut parts));
            d.iter().map(|d| bits(d)).collect::<Vec<_>>()
        };
        let all = run(2, &g);
        assert!(all == run(1, &g) && all == run(5, &g));
        assert!(all[2..] == run(3, &g[2..]));
    }
}

#[test]
fn a_nan_reaches_those_who_see_it() {
    let (tokens, at) = (200, 70);
    let Heads { heads, kv_heads, head_dim, .. } = PLAIN;
    for (column, touched) in [(0, 0), (heads * head_dim, 0), ((heads + kv_heads) * head_dim, 0)] {
        let mut sequence = Sequence::new(PLAIN, tokens, 1.0);
        let stride = sequence.parts()[0].stride();
        sequence.values[at * stride + column] = f32::NAN;
        let out = sequence.run();
        let is_nan =
            |t: usize, head: usize| out[(t * heads + head) * head_dim..][..head_dim].iter().any(|x| x.is_nan());
        assert!(is_nan(at, touched));
        assert!(!is_nan(10, touched), "an earlier tile saw it");
        if column > 0 {
            assert!((at..tokens).all(|t| (0..heads / kv_heads).all(|head| is_nan(t, head))));
        }
        assert!(!(0..tokens).any(|t| is_nan(t, heads - 1)), "another head saw it");
    }
}
