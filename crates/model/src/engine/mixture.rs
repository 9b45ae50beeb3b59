//! A mixture of experts: the router, and each expert on the tokens that chose it.

use super::block::{MlpRun, MlpScratch, room};
use super::ops::linear;
use super::tap::{Rows, Tap};
use super::taps::{Group, Site};
use super::weights::MixtureWeights;
use crate::architecture::Experts;

/// Intermediate values of a mixture. R rows.
#[derive(Default)]
pub(crate) struct Scratch {
    /// `[R, E]`: logits, then weights, 0 where not chosen.
    routing: Vec<f32>,
    /// `[r, D]`: the rows that chose one expert.
    input: Vec<f32>,
    /// `[r, D]`: what that expert makes of them.
    output: Vec<f32>,
}

/// `out = sum over the chosen experts e of weight_e * mlp_e(x)`; x and out `[R, D]`.
pub(super) fn forward(
    run: &MlpRun<'_>,
    group: &Group,
    weights: &MixtureWeights,
    input: Rows<'_>,
    out: &mut [f32],
    mlp: &mut MlpScratch,
    scratch: &mut Scratch,
) {
    let Some(spec) = &run.spec.experts else { return };
    let (rows, hidden) = (group.rows(), input.cols());
    let routing = room(&mut scratch.routing, rows * spec.count);
    linear(input, &weights.router, None, routing);
    routing.chunks_exact_mut(spec.count).for_each(|row| choose(row, spec));
    let site = Site { tap: Tap::Routing, layer: run.layer, expert: None, bias: None };
    run.taps.hand_out(site, group, Rows::dense(routing, spec.count), None);

    out.fill(0.0);
    for (expert, weights) in weights.experts.iter().enumerate() {
        let chosen: Vec<usize> = (0..rows).filter(|t| routing[t * spec.count + expert] != 0.0).collect();
        if chosen.is_empty() {
            continue;
        }
        let gathered = room(&mut scratch.input, chosen.len() * hidden);
        for (to, &t) in gathered.chunks_exact_mut(hidden).zip(&chosen) {
            to.copy_from_slice(input.row(t));
        }
        let own = subgroup(group, &chosen);
        let result = room(&mut scratch.output, chosen.len() * hidden);
        let run = MlpRun { expert: u32::try_from(expert).ok(), ..*run };
        run.forward(&own, weights, Rows::dense(gathered, hidden), result, mlp);
        for (from, &t) in result.chunks_exact(hidden).zip(&chosen) {
            let weight = routing[t * spec.count + expert];
            out[t * hidden..][..hidden].iter_mut().zip(from).for_each(|(o, y)| *o += weight * y);
        }
    }
}

/// From logits to weights: softmax, the k largest (the first of equals), divided by their sum if the family does.
fn choose(row: &mut [f32], spec: &Experts) {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|x| *x = (*x - top).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= sum);
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|a, b| row[*b].total_cmp(&row[*a]).then(a.cmp(b)));
    let kept: f32 = order.iter().take(spec.top_k).map(|e| row[*e]).sum();
    for (rank, e) in order.into_iter().enumerate() {
        if rank >= spec.top_k {
            row[e] = 0.0;
        } else if spec.normalise {
            row[e] /= kept;
        }
    }
}

/// The group of the `chosen` rows (ascending) of `group`, gathered.
fn subgroup(group: &Group, chosen: &[usize]) -> Group {
    let count = |rows: &std::ops::Range<usize>| chosen.iter().filter(|t| rows.contains(t)).count();
    Group::new(group.spans().iter().map(|span| (span.sequence, count(&span.rows))))
}
