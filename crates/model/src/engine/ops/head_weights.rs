//! The gradient of losses to the weights of the head, for those who train.

use super::head::HeadRows;
use super::head_gradient::slope;
use super::linear::{linear, scale, softcap, weight_gradient};
use crate::engine::Rows;

/// What the distribution of each row is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Against<'a> {
    /// One label per row.
    Labels(&'a [u32]),
    /// The distributions of other hidden states, `[N, D]`, with their log-sum-exp, `[N]`.
    Reference(&'a [f32], &'a [f64]),
}

/// Adds to the gradients of some rows of the head: entries of the vocabulary from `first` on, m of them; hidden `[N, D]`, the
/// log-sum-exp of its logits `[N]`; weights `[m, D]`, bias `[m]`.
pub(crate) fn head_weight_gradient(
    hidden: Rows<'_>,
    log_sums: &[f64],
    against: Against<'_>,
    first: usize,
    head: HeadRows<'_>,
    weights: &mut [f32],
    bias: Option<&mut [f32]>,
) {
    let width = head.weights.len() / hidden.cols();
    let mut g = logits(hidden, head, width);
    let slopes: Option<Vec<f32>> = head.softcap.map(|cap| g.iter().map(|logit| slope(*logit, cap)).collect());
    into_probabilities(&mut g, width, log_sums);
    match against {
        Against::Labels(labels) => {
            for (row, label) in g.chunks_exact_mut(width).zip(labels) {
                if let Some(g) = (*label as usize).checked_sub(first).and_then(|at| row.get_mut(at)) {
                    *g -= 1.0;
                }
            }
        }
        Against::Reference(reference, log_sums) => {
            let mut others = logits(Rows::dense(reference, hidden.cols()), head, width);
            into_probabilities(&mut others, width, log_sums);
            g.iter_mut().zip(others).for_each(|(g, other)| *g -= other);
        }
    }
    if let Some(slopes) = slopes {
        g.iter_mut().zip(slopes).for_each(|(g, slope)| *g *= slope);
    }
    scale(&mut g, head.scale);
    weight_gradient(Rows::dense(&g, width), hidden, true, weights);
    if let Some(bias) = bias {
        let mut sums = vec![0.0_f64; width];
        for row in g.chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, g)| *sum += f64::from(*g));
        }
        bias.iter_mut().zip(sums).for_each(|(bias, sum)| *bias += sum as f32);
    }
}

/// Final logits, `[N, width]`.
fn logits(hidden: Rows<'_>, head: HeadRows<'_>, width: usize) -> Vec<f32> {
    let mut logits = vec![0.0; hidden.len() * width];
    linear(hidden, head.weights, head.bias, &mut logits);
    scale(&mut logits, head.scale);
    if let Some(cap) = head.softcap {
        softcap(&mut logits, cap);
    }
    logits
}

/// Turns rows of logits into probabilities.
fn into_probabilities(logits: &mut [f32], width: usize, log_sums: &[f64]) {
    for (row, log_sum) in logits.chunks_exact_mut(width).zip(log_sums) {
        row.iter_mut().for_each(|x| *x = (f64::from(*x) - log_sum).exp() as f32);
    }
}
