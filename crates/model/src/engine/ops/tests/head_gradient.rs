use safetensors::Dtype;

use super::reference::Reference;
use super::{bits, noise, on_threads};
use crate::engine::Rows;
use crate::engine::ops::{Against, CrossEntropy, HeadGradients, HeadLoss, HeadRows, Targets, head_weight_gradient};

/// Both sweeps, with the head in parts of `part` rows.
fn run(hidden: &[f32], cols: usize, head: HeadRows<'_>, part: usize, targets: &[Targets<'_>]) -> HeadGradients {
    let mut loss = HeadLoss::new(hidden, cols, targets);
    let parts = |take: &mut dyn FnMut(usize, HeadRows<'_>)| {
        for (at, weights) in head.weights.chunks(part * cols).enumerate() {
            let bias = head.bias.map(|bias| &bias[at * part..at * part + weights.len() / cols]);
            take(at * part, HeadRows { weights, bias, ..head });
        }
    };
    parts(&mut |first, head| loss.see(first, head));
    loss.settle(head.scale);
    if loss.has_labels() {
        parts(&mut |first, head| loss.resolve(first, head));
    }
    loss.finish(targets.len())
}

/// A divergence has the difference of two distributions, and their roundings.
fn slack(name: &str) -> f64 {
    if name.ends_with("divergence") { 5e-6 } else { 1e-6 }
}

#[test]
fn losses_draws_and_gradients_are_those_of_torch() {
    let reference = Reference::read();
    let (hidden, weights) = (reference.values("loss/hidden"), reference.values("loss/weight"));
    let (bias, other) = (reference.values("head/bias"), reference.values("head/reference"));
    let labels: Vec<u32> = reference.bytes("loss/targets", Dtype::I32).into_iter().map(u32::from_le_bytes).collect();
    let wide = |name: &str| reference.bytes(name, Dtype::F64).into_iter().map(f64::from_le_bytes).collect::<Vec<_>>();
    let uniforms = wide("head/uniforms");
    let targets = [Targets::Labels(&labels), Targets::Divergence(&other), Targets::Drawn(&uniforms)];
    for (cap, softcap) in [("0", None), ("5.0", Some(5.0))] {
        let head = HeadRows { weights: &weights, bias: Some(&bias), scale: 0.5, softcap };
        for part in [1, 100, 192, 301] {
            let found = run(&hidden, 12, head, part, &targets);
            for (at, name) in ["labels", "divergence", "drawn"].into_iter().enumerate() {
                let name = format!("head/{cap}/{name}");
                for (found, expected) in found.losses[at].iter().zip(wide(&format!("{name}/losses"))) {
                    assert!((found - expected).abs() < 1e-6, "{name}: {found} instead of {expected}");
                }
                let far = reference.distance(&found.gradients[at], &format!("{name}/hidden"));
                assert!(far < slack(&name), "{name}, parts of {part}: {far:e}");
            }
            let drawn = reference.bytes(&format!("head/{cap}/drawn/labels"), Dtype::I32);
            assert_eq!(found.labels[2], drawn.into_iter().map(u32::from_le_bytes).collect::<Vec<_>>());
            assert_eq!((&found.labels[0], found.labels[1].len()), (&labels, 0));
        }
    }
}

#[test]
fn gradients_of_the_head_are_those_of_torch() {
    let reference = Reference::read();
    let (hidden, weights) = (reference.values("loss/hidden"), reference.values("loss/weight"));
    let (bias, other) = (reference.values("head/bias"), reference.values("head/reference"));
    let labels: Vec<u32> = reference.bytes("loss/targets", Dtype::I32).into_iter().map(u32::from_le_bytes).collect();
    for (cap, softcap) in [("0", None), ("5.0", Some(5.0))] {
        let head = HeadRows { weights: &weights, bias: Some(&bias), scale: 0.5, softcap };
        let sums = |hidden: &[f32]| {
            let mut loss = CrossEntropy::new([0; 7].into_iter());
            loss.head(0, 0, Rows::dense(hidden, 12), head);
            loss.log_sums()
        };
        let (own, of_other) = (sums(&hidden), sums(&other));
        for (against, name) in
            [(Against::Labels(&labels), "labels"), (Against::Reference(&other, &of_other), "divergence")]
        {
            let (mut d_weights, mut d_bias) = (vec![0.0; weights.len()], vec![0.0; bias.len()]);
            for first in (0..301).step_by(100) {
                let last = 301.min(first + 100);
                let part =
                    HeadRows { weights: &weights[first * 12..last * 12], bias: Some(&bias[first..last]), ..head };
                let (w, b) = (&mut d_weights[first * 12..last * 12], &mut d_bias[first..last]);
                head_weight_gradient(Rows::dense(&hidden, 12), &own, against, first, part, w, Some(b));
            }
            for (found, part) in [(&d_weights, "weight"), (&d_bias, "bias")] {
                let far = reference.distance(found, &format!("head/{cap}/{name}/{part}"));
                assert!(far < slack(name), "{part} of {name}, cap {cap}: {far:e}");
            }
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_same_bits_and_draws_on_any_number_of_threads() {
    let (rows, cols, vocab) = (300, 20, 1000);
    let (hidden, other, weights) =
        (noise(1, rows * cols, 1.5), noise(2, rows * cols, 1.5), noise(3, vocab * cols, 1.5));
    let uniforms: Vec<f64> = noise(4, rows, 0.5).into_iter().map(|u| f64::from(u) + 0.5).collect();
    let head = HeadRows { weights: &weights, bias: None, scale: 1.0, softcap: Some(20.0) };
    let targets = [Targets::Drawn(&uniforms), Targets::Divergence(&other)];
    let on = |threads, rows: usize| {
        let uniforms = &uniforms[..rows];
        let other = &other[..rows * cols];
        on_threads(threads, || {
            run(&hidden[..rows * cols], cols, head, 400, &[Targets::Drawn(uniforms), Targets::Divergence(other)])
        })
    };
    let all = on_threads(2, || run(&hidden, cols, head, 400, &targets));
    for (threads, rows) in [(1, 300), (5, 300), (2, 1), (2, 2), (3, 65)] {
        let some = on(threads, rows);
        assert_eq!(some.labels[0], all.labels[0][..rows], "{threads} threads, {rows} rows");
        for (some, all) in some.gradients.iter().zip(&all.gradients) {
            assert!(bits(some) == bits(&all[..rows * cols]), "{threads} threads, {rows} rows");
        }
        for (some, all) in some.losses.iter().zip(&all.losses) {
            assert_eq!(some, &all[..rows]);
        }
    }
}

#[test]
fn a_model_has_no_divergence_from_itself() {
    let (hidden, weights) = (noise(1, 70 * 20, 2.0), noise(2, 500 * 20, 2.0));
    let head = HeadRows { weights: &weights, bias: None, scale: 1.0, softcap: None };
    let found = run(&hidden, 20, head, 500, &[Targets::Divergence(&hidden)]);
    assert!(found.losses[0].iter().all(|kl| *kl == 0.0));
    assert!(found.gradients[0].iter().all(|g| *g == 0.0));
}

#[test]
fn draws_have_the_frequencies_of_the_distribution() {
    let (rows, vocab) = (20_000, 400);
    // One hidden state whose logits are the weights themselves, drawn at equally spaced numbers.
    let weights = noise(2, vocab, 3.0);
    let uniforms: Vec<f64> = (0..rows).map(|i| (f64::from(i) + 0.5) / f64::from(rows)).collect();
    let head = HeadRows { weights: &weights, bias: None, scale: 1.0, softcap: None };
    let found = run(&vec![1.0; rows as usize], 1, head, 150, &[Targets::Drawn(&uniforms)]);
    let top = weights.iter().fold(0.0_f64, |sum, w| sum + f64::from(*w).exp());
    let mut counts = vec![0_u32; vocab];
    found.labels[0].iter().for_each(|label| counts[*label as usize] += 1);
    for (count, w) in counts.iter().zip(&weights) {
        let expected = f64::from(rows) * f64::from(*w).exp() / top;
        assert!((f64::from(*count) - expected).abs() <= 1.01, "{count} instead of {expected}");
    }
}

#[test]
fn numbers_at_the_ends_draw_what_is_possible() {
    let mut weights = noise(2, 500, 1.0);
    weights[0] = -1000.0;
    weights[499] = -1000.0;
    let head = HeadRows { weights: &weights, bias: None, scale: 1.0, softcap: None };
    let found = run(&[1.0; 4], 1, head, 192, &[Targets::Drawn(&[0.0, f64::MIN_POSITIVE, 1.0 - 1e-16, 1.0])]);
    assert_eq!(found.labels[0], [1, 1, 498, 498]);
    assert!(found.losses[0].iter().all(|loss| (4.0..9.0).contains(loss)), "{:?}", found.losses);
}

#[test]
fn a_nan_stays_in_its_row_and_a_label_beyond_the_vocabulary_has_no_loss() {
    let (mut hidden, weights) = (noise(1, 5 * 8, 1.0), noise(2, 300 * 8, 1.0));
    hidden[2 * 8 + 3] = f32::NAN;
    let head = HeadRows { weights: &weights, bias: None, scale: 1.0, softcap: None };
    let targets = [Targets::Labels(&[0, 1, 2, 300, 299]), Targets::Drawn(&[0.5; 5]), Targets::Divergence(&hidden)];
    let found = run(&hidden, 8, head, 300, &targets);
    for (at, (losses, gradient)) in found.losses.iter().zip(&found.gradients).enumerate() {
        for (row, (loss, g)) in losses.iter().zip(gradient.chunks(8)).enumerate() {
            assert_eq!(loss.is_nan(), row == 2 || (at == 0 && row == 3), "{at}, {row}");
            assert_eq!(g.iter().all(|g| g.is_nan()), row == 2, "{at}, {row}");
        }
    }
}
