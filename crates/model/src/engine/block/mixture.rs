//! A mixture of experts: the router, and each expert on the tokens that chose it, forward and backward.

use super::backward::Gradients;
use super::changed::Edits;
use super::mlp::{MlpGradients, MlpPast, MlpRun, MlpTape};
use crate::architecture::{Experts, Mlp};
use crate::engine::buffer::Buffer;
use crate::engine::ops::{linear, linear_backward, weight_gradient};
use crate::engine::tap::{Rows, Tap};
use crate::engine::taps::{Group, Site};
use crate::engine::weights::MixtureWeights;

/// Intermediate values of a mixture. R rows.
#[derive(Default)]
pub(super) struct Tape {
    /// `[R, E]`: logits, then weights, 0 where not chosen.
    routing: Buffer,
    /// `[R, E]`: the softmax over all experts. Kept only.
    probabilities: Buffer,
    /// One per expert that has tokens where they are kept; else the first serves all.
    experts: Vec<ExpertTape>,
}

/// Intermediate values of an expert on the r rows that chose it.
#[derive(Default)]
struct ExpertTape {
    expert: usize,
    /// The rows, ascending.
    chosen: Vec<usize>,
    /// Whose rows they are, gathered.
    group: Group,
    /// `[r, D]`.
    input: Buffer,
    mlp: MlpTape,
    /// `[r, D]`: what it makes of them.
    output: Buffer,
}

/// `out = sum over the chosen experts e of weight_e * mlp_e(x)`; x and out `[R, D]`.
pub(super) fn forward(
    run: &MlpRun<'_>,
    group: &Group,
    weights: &MixtureWeights,
    input: Rows<'_>,
    out: &mut [f32],
    tape: &mut Tape,
    keeps: bool,
) {
    let Some(spec) = &run.spec.experts else { return };
    let (rows, hidden) = (group.rows(), input.cols());
    let Tape { routing, probabilities, experts } = tape;
    let routing = routing.room(rows * spec.count);
    linear(input, &weights.router, None, routing);
    routing.chunks_exact_mut(spec.count).for_each(softmax);
    if keeps {
        probabilities.copy(routing);
    }
    routing.chunks_exact_mut(spec.count).for_each(|row| choose(row, spec));
    let site = Site { tap: Tap::Routing, layer: run.layer, expert: None, bias: None };
    run.taps.hand_out(site, group, Rows::dense(routing, spec.count), None);

    out.fill(0.0);
    let mut used = 0;
    for (expert, weights) in weights.experts.iter().enumerate() {
        let chosen = who_chose(routing, spec, expert);
        if chosen.is_empty() {
            continue;
        }
        if experts.len() <= used {
            experts.push(ExpertTape::default());
        }
        let own = &mut experts[used];
        used += usize::from(keeps);
        own.group = subgroup(group, &chosen);
        let gathered = gather(&chosen, input, &mut own.input);
        let result = own.output.room(chosen.len() * hidden);
        let run = MlpRun { expert: u32::try_from(expert).ok(), ..*run };
        run.forward(&own.group, weights, gathered, result, &mut own.mlp);
        add_weighted(routing, spec, expert, (&chosen, result), out);
        (own.expert, own.chosen) = (expert, chosen);
    }
    experts.truncate(used.max(1));
}

/// [`forward`] with `edits`; `base`, where the rows are the original's, is what the original left of them: then only the changed
/// experts run.
pub(super) fn changed(
    run: &MlpRun<'_>,
    group: &Group,
    (weights, base, edits): (&MixtureWeights, Option<&Tape>, &Edits<'_>),
    input: Rows<'_>,
    out: &mut [f32],
    tape: &mut Tape,
) {
    let Some(spec) = &run.spec.experts else { return };
    let (rows, hidden) = (group.rows(), input.cols());
    let Tape { routing, experts, .. } = tape;
    if experts.is_empty() {
        experts.push(ExpertTape::default());
    }
    let (own, routing) = (&mut experts[0], routing.room(rows * spec.count));
    match base {
        Some(base) => routing.copy_from_slice(&base.routing[..rows * spec.count]),
        None => route(spec, weights, input, routing),
    }
    out.fill(0.0);
    let mut of_base = base.map(|base| base.experts.as_slice()).unwrap_or_default().iter();
    for (expert, mlp) in weights.experts.iter().enumerate() {
        let chosen = who_chose(routing, spec, expert);
        if chosen.is_empty() {
            continue;
        }
        // The original left its experts in this order, those that were chosen.
        let past = of_base.next();
        let add = |result: &[f32], out: &mut [f32]| add_weighted(routing, spec, expert, (&chosen, result), out);
        match past {
            Some(past) if !edits.touch_mlp(mlp) => add(&past.output[..chosen.len() * hidden], out),
            _ => {
                own.group = subgroup(group, &chosen);
                let gathered = gather(&chosen, input, &mut own.input);
                let result = own.output.room(chosen.len() * hidden);
                let past = past.map(|past| &past.mlp);
                run.changed(&own.group, mlp, past, edits, gathered, result, &mut own.mlp);
                add(result, out);
            }
        }
    }
}

/// The routing of every row: weights of the experts, 0 where not chosen.
fn route(spec: &Experts, weights: &MixtureWeights, input: Rows<'_>, routing: &mut [f32]) {
    linear(input, &weights.router, None, routing);
    for row in routing.chunks_exact_mut(spec.count) {
        softmax(row);
        choose(row, spec);
    }
}

/// Rows that chose an expert, ascending.
fn who_chose(routing: &[f32], spec: &Experts, expert: usize) -> Vec<usize> {
    let weights = routing.chunks_exact(spec.count).map(|row| row[expert]);
    weights.enumerate().filter(|(_, weight)| *weight != 0.0).map(|(t, _)| t).collect()
}

/// The `chosen` rows of `input`, one after the other.
fn gather<'t>(chosen: &[usize], input: Rows<'_>, into: &'t mut Buffer) -> Rows<'t> {
    let hidden = input.cols();
    let gathered = into.room(chosen.len() * hidden);
    for (to, &t) in gathered.chunks_exact_mut(hidden).zip(chosen) {
        to.copy_from_slice(input.row(t));
    }
    Rows::dense(gathered, hidden)
}

/// Adds what an expert makes of the `chosen` rows, by its weight.
fn add_weighted(routing: &[f32], spec: &Experts, expert: usize, (chosen, result): (&[usize], &[f32]), out: &mut [f32]) {
    let hidden = result.len() / chosen.len().max(1);
    for (from, &t) in result.chunks_exact(hidden).zip(chosen) {
        let weight = routing[t * spec.count + expert];
        out[t * hidden..][..hidden].iter_mut().zip(from).for_each(|(o, y)| *o += weight * y);
    }
}

/// Gradients inside a mixture, those of all K objectives one below the other.
#[derive(Default)]
pub(super) struct MixtureGradients {
    mlp: MlpGradients,
    /// `[K r, D]`: of one expert's output, then of its input.
    output: Buffer,
    input: Buffer,
    /// `[K R, E]`: of the weights, then of the router's logits.
    routing: Buffer,
}

/// From `g`, dL/d(output), to `d_input`, dL/dx; both `[K R, D]`. Returns dL/d(router) per objective, `[E, D]` each, where
/// `parameters` asks for it.
pub(super) fn backward(
    (layer, spec, weights): (u32, &Mlp, &MixtureWeights),
    (tape, input): (&Tape, Rows<'_>),
    g: &[f32],
    d_input: &mut [f32],
    own: &mut MixtureGradients,
    gradients: &mut Gradients<'_, '_>,
) -> Vec<Vec<f32>> {
    let Some(experts) = &spec.experts else { return Vec::new() };
    let (rows, hidden, count, objectives) = (input.len(), input.cols(), experts.count, gradients.objectives);
    let MixtureGradients { mlp, output, input: d_gathered, routing: d_routing } = own;
    let d_routing = d_routing.room(objectives * rows * count);
    d_routing.fill(0.0);
    d_input.fill(0.0);
    for past in tape.experts.iter().filter(|e| !e.chosen.is_empty()) {
        let chosen = past.chosen.len();
        let d_output = output.room(objectives * chosen * hidden);
        for (row, d_output) in d_output.chunks_exact_mut(hidden).enumerate() {
            let (objective, t) = (row / chosen, past.chosen[row % chosen]);
            let g = &g[(objective * rows + t) * hidden..][..hidden];
            let y = &past.output[row % chosen * hidden..][..hidden];
            let agreement: f64 = g.iter().zip(y).map(|(g, y)| f64::from(*g) * f64::from(*y)).sum();
            d_routing[(objective * rows + t) * count + past.expert] = agreement as f32;
            let weight = tape.routing[t * count + past.expert];
            d_output.iter_mut().zip(g).for_each(|(d, g)| *d = weight * g);
        }
        let d_gathered = d_gathered.room(objectives * chosen * hidden);
        let run = MlpPast {
            layer,
            expert: u32::try_from(past.expert).ok(),
            spec,
            weights: &weights.experts[past.expert],
            spans: past.group.spans(),
            input: Rows::dense(&past.input[..chosen * hidden], hidden),
            output: Rows::dense(&past.output[..chosen * hidden], hidden),
            tape: &past.mlp,
        };
        run.backward(d_output, false, d_gathered, mlp, gradients);
        for (row, from) in d_gathered.chunks_exact(hidden).enumerate() {
            let at = row / chosen * rows + past.chosen[row % chosen];
            d_input[at * hidden..][..hidden].iter_mut().zip(from).for_each(|(d, x)| *d += x);
        }
    }
    for (row, d) in d_routing.chunks_exact_mut(count).enumerate() {
        let at = row % rows * count;
        choose_backward(&tape.routing[at..][..count], &tape.probabilities[at..][..count], experts, d);
    }
    linear_backward(Rows::dense(d_routing, count), &weights.router, true, d_input);
    if !gradients.parameters {
        return Vec::new();
    }
    let of_objective = |d: &[f32]| {
        let mut router = vec![0.0; count * hidden];
        weight_gradient(Rows::dense(d, count), input, false, &mut router);
        router
    };
    d_routing.chunks_exact(rows * count).map(of_objective).collect()
}

/// From dL/d(weight) of the chosen experts (0 of the others) to dL/d(logit), in place.
fn choose_backward(weights: &[f32], probabilities: &[f32], spec: &Experts, d: &mut [f32]) {
    // Divided by their sum, the weights are the softmax over the chosen experts' logits alone.
    let p = if spec.normalise { weights } else { probabilities };
    let mean: f64 = p.iter().zip(d.iter()).map(|(p, d)| f64::from(*p) * f64::from(*d)).sum();
    d.iter_mut().zip(p).for_each(|(d, p)| *d = p * (*d - mean as f32));
}

/// From logits to probabilities.
fn softmax(row: &mut [f32]) {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|x| *x = (*x - top).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= sum);
}

/// From probabilities to weights: the k largest (the first of equals), divided by their sum if the family does.
fn choose(row: &mut [f32], spec: &Experts) {
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
