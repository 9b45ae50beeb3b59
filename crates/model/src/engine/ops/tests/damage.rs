use super::{noise, on_threads};
use crate::engine::Rows;
use crate::engine::ops::{CrossEntropy, Damage, HeadRows, Original, OriginalTile};

/// A head that hands rows of V values on as they are, so that logits are what a test says.
fn identity(vocab: usize) -> Vec<f32> {
    (0..vocab * vocab).map(|at| f32::from(u8::from(at % (vocab + 1) == 0))).collect()
}

/// What changing logits, `[N, V]`, to each of `others` does: KL, rise of the loss, and whether the top is the same.
fn compare(
    vocab: usize,
    logits: &[f32],
    others: &[&[f32]],
    targets: &[u32],
    split: usize,
) -> Vec<Vec<(f64, f64, bool)>> {
    let weights = identity(vocab);
    let part = |range: std::ops::Range<usize>| HeadRows {
        weights: &weights[range.start * vocab..range.end * vocab],
        bias: None,
        scale: 1.0,
        softcap: None,
    };
    let mut loss = CrossEntropy::new(targets.iter().copied());
    let x = Rows::dense(logits, vocab);
    loss.head(0, 0, x, part(0..vocab));
    let mut originals: Vec<Original> =
        loss.sums_and_losses().into_iter().zip(targets).map(|((sum, _), t)| Original::new(*t, sum)).collect();
    let mut damages = vec![vec![Damage::NONE; targets.len()]; others.len()];
    let mut tile = OriginalTile::default();
    for (first, range) in [(0, 0..split), (split, split..vocab)] {
        tile.see(first, x, part(range.clone()), &mut originals, 2);
        let variants = others.iter().copied().zip(damages.iter_mut().map(Vec::as_mut_slice)).collect();
        tile.compare(vocab, part(range), &originals, variants);
    }
    // What is left to go on from is all there is.
    let originals = Original::restore(&Original::save(&originals)).unwrap();
    let finish = |damages: &Vec<Damage>| {
        let damages = Damage::restore(&Damage::save(damages)).unwrap();
        damages.iter().zip(&originals).map(|(damage, original)| damage.finish(original)).collect()
    };
    damages.iter().map(finish).collect()
}

/// Of n entries all logits are 0 but one, whose probability is p = e^a / (e^a + n - 1). Raised by e it gives
/// `KL = ln E e^(e x) - e E x`, the cumulants of a coin: `p q e^2 / 2 + p q (1 - 2 p) e^3 / 6 + p q (1 - 6 p q) e^4 / 24 + ...`
#[test]
fn a_divergence_of_a_ten_millionth_has_six_digits_wherever_the_logits_are() {
    let (vocab, at) = (300, 200);
    for (a, step) in [(0.0_f32, 0.03125_f32), (6.0, 4.882_812_5e-4), (6.0, -4.882_812_5e-4), (3.0, 1.220_703_1e-4)] {
        let p = f64::from(a).exp() / (f64::from(a).exp() + vocab as f64 - 1.0);
        let (pq, e) = (p * (1.0 - p), f64::from(step));
        let expected =
            pq * e * e / 2.0 + pq * (1.0 - 2.0 * p) * e.powi(3) / 6.0 + pq * (1.0 - 6.0 * pq) * e.powi(4) / 24.0;
        // A common shift changes no distribution; all of these are exact in f32.
        for shift in [0.0, 64.0, -64.0] {
            let mut logits = vec![0.0; vocab];
            logits[at] = a;
            let mut other = vec![shift; vocab];
            other[at] = a + step + shift;
            let found = compare(vocab, &logits, &[&other], &[at as u32], 77)[0][0];
            assert!((found.0 - expected).abs() < 1e-6 * expected + 1e-14, "{found:?} instead of {expected:e}");
            // ln(p e^e + q) - e
            let rise = (p * (e.exp() - 1.0)).ln_1p() - e;
            assert!((found.1 - rise).abs() < 1e-12 && found.2 == (a > 0.0), "{found:?}, rise {rise:e}");
        }
    }
}

fn log_softmax(row: &[f32]) -> Vec<f64> {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|x| (f64::from(*x) - f64::from(top)).exp()).sum();
    row.iter().map(|x| f64::from(*x) - f64::from(top) - sum.ln()).collect()
}

#[test]
fn distributions_far_apart_are_what_f64_gives() {
    let (vocab, tokens) = (401, 70);
    let targets: Vec<u32> = (0..tokens as u32).map(|t| t * 97 % vocab as u32).collect();
    for span in [0.01, 1.0, 30.0, 300.0] {
        let (logits, other) = (noise(1, tokens * vocab, span), noise(2, tokens * vocab, span));
        let shifted: Vec<f32> = other.iter().map(|x| x - 90.0).collect();
        for found in compare(vocab, &logits, &[&other, &shifted], &targets, 250) {
            for (t, found) in found.iter().enumerate() {
                let row = |all: &[f32]| log_softmax(&all[t * vocab..(t + 1) * vocab]);
                let (p, q) = (row(&logits), row(&other));
                let kl: f64 = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
                let rise = p[targets[t] as usize] - q[targets[t] as usize];
                assert!((found.0 - kl).abs() < 2e-5 * kl.max(0.05), "{span}: {} instead of {kl}", found.0);
                assert!((found.1 - rise).abs() < 2e-5 * rise.abs().max(1.0), "{span}: {} instead of {rise}", found.1);
            }
        }
    }
}

#[test]
fn equal_logits_are_no_damage_at_all() {
    let (vocab, tokens) = (300, 40);
    let logits = noise(3, tokens * vocab, 40.0);
    let targets = vec![9; tokens];
    for found in compare(vocab, &logits, &[&logits], &targets, 100)[0].iter() {
        assert_eq!(*found, (0.0, 0.0, true));
    }
}

#[test]
fn of_equal_tops_the_first_counts() {
    let vocab = 200;
    let mut logits = vec![0.0; vocab];
    (logits[50], logits[150]) = (5.0, 5.0);
    let (mut second, mut first) = (logits.clone(), logits.clone());
    (second[50], first[150]) = (4.0, 4.0);
    let found = compare(vocab, &logits, &[&first, &second, &logits], &[0], 100);
    assert_eq!([found[0][0].2, found[1][0].2, found[2][0].2], [true, false, true]);
}

#[test]
fn numbers_that_are_none_are_infinite_damage() {
    let vocab = 200;
    let logits = noise(4, vocab, 3.0);
    let broken = |at: usize, value: f32| {
        let mut other = logits.clone();
        other[at] = value;
        compare(vocab, &logits, &[&other], &[7], 100)[0][0]
    };
    // The product with the zeros of the head makes every logit of such a row NaN.
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [7, 199] {
            let (kl, rise, agrees) = broken(at, value);
            assert!(kl == f64::INFINITY && rise == f64::INFINITY && !agrees, "{value} {at}: {kl} {rise}");
        }
    }
    // A logit that no f64 exponential holds, and one that has no weight left.
    let (kl, rise, agrees) = broken(9, 3e38);
    assert!(kl == f64::INFINITY && rise == f64::INFINITY && !agrees);
    let (kl, rise, _) = broken(9, -3e38);
    assert!(kl > 1e30 && rise.is_finite(), "{kl} {rise}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn damage_has_the_same_bits_on_any_number_of_threads_and_rows() {
    let (vocab, tokens) = (200, 700);
    let (logits, other) = (noise(5, tokens * vocab, 4.0), noise(6, tokens * vocab, 4.0));
    let targets = vec![5; tokens];
    let run = |threads: usize, count: usize| {
        let part = |all: &'static str| if all == "l" { &logits[..count * vocab] } else { &other[..count * vocab] };
        on_threads(threads, || compare(vocab, part("l"), &[part("o")], &targets[..count], 120).swap_remove(0))
    };
    let all = run(2, tokens);
    for (threads, count) in [(1, tokens), (5, tokens), (1, 1), (2, 257), (2, 129)] {
        assert!(run(threads, count) == all[..count], "{threads} threads, {count} tokens");
    }
}
