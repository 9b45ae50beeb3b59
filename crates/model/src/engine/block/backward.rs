//! A block backward.

use super::mixture::{self, MixtureGradients};
use super::mlp::{MlpGradients, MlpPast};
use super::{Block, Tape, heads};
use crate::architecture::{Norm, Wiring};
use crate::engine::buffer::Buffer;
use crate::engine::gradient::{CellGradients, GradientObserver, ParameterGradient, Span};
use crate::engine::ops::{
    Columns, NormWeights, add, attention_backward, clamp_backward, linear_backward, norm_gradient, normalise_backward,
    normalise_heads_backward, rotate_back, scale,
};
use crate::engine::tap::Rows;
use crate::engine::taps::Group;
use crate::engine::weights::{FeedForward, Joined};

/// Who gets the gradients of a pass.
pub(crate) struct Gradients<'a, 'o> {
    pub(crate) observers: &'a mut [&'o mut dyn GradientObserver],
    /// K.
    pub(crate) objectives: usize,
    /// Whether anybody wants gradients of tensors that are no cells.
    pub(crate) parameters: bool,
}

impl Gradients<'_, '_> {
    /// Hands the cells of a joined matrix to every observer: input `[R, n]`, output `[R, m]`, `g` `[K R, m]`.
    pub(super) fn hand_out(
        &mut self,
        (layer, expert, spans): (u32, Option<u32>, &[Span]),
        joined: &Joined,
        input: Rows<'_>,
        output: Rows<'_>,
        g: &[f32],
    ) {
        let width = joined.outputs;
        for (part, weights) in joined.parts.iter().zip(joined.cells()) {
            let columns = |values| Rows::columns(values, width, part.rows.start, part.rows.len());
            let gradients: Vec<Rows<'_>> = g.chunks_exact(input.len() * width).map(columns).collect();
            let seen = CellGradients {
                cell: part.cell,
                id: tomo_map::CellId { layer, component: part.component, expert },
                weights: weights.values,
                bias: joined.bias.as_ref().filter(|_| part.has_bias).map(|bias| &bias[part.rows.clone()]),
                spans,
                input,
                output: output.part(part.rows.clone()),
                gradients: &gradients,
            };
            self.observers.iter_mut().for_each(|o| o.see(&seen));
        }
    }

    /// Hands out the gradient of a tensor.
    pub(crate) fn parameter(&mut self, tensor: &str, objective: usize, values: &[f32]) {
        let gradient = ParameterGradient { tensor, objective, values };
        self.observers.iter_mut().filter(|o| o.wants_parameters()).for_each(|o| o.parameter(&gradient));
    }
}

/// Gradients inside a block, allocated once and used for block after block; those of all K objectives one below the other.
#[derive(Default)]
pub(crate) struct BlockGradients {
    /// `[K R, D]`: of what a sublayer puts out.
    add: Buffer,
    /// `[K R, D]`: of what the sublayer reads.
    input: Buffer,
    /// `[K R, D]`: of what attention reads, where the MLP reads it too.
    shared: Buffer,
    /// `[K R, H C]`.
    context: Buffer,
    /// `[K R, (H + 2 K) C]`.
    qkv: Buffer,
    /// `[R, (H + 2 K) C]`: values before the clamp.
    unclamped: Buffer,
    mlp: MlpGradients,
    mixture: MixtureGradients,
    norms: NormSums,
    /// `[E, D]` per objective.
    router: Vec<Vec<f32>>,
}

/// Gradients of a block's norms, summed over groups: by which norm and objective.
#[derive(Default)]
struct NormSums(Vec<(Place, usize, Vec<f64>, Vec<f64>)>);

/// Which norm of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    AttentionIn,
    AttentionOut,
    MlpIn,
    MlpOut,
    Query,
    Key,
}

impl NormSums {
    fn add(
        &mut self,
        (place, objective): (Place, usize),
        norm: &NormWeights,
        columns: Columns,
        x: Rows<'_>,
        g: Rows<'_>,
    ) {
        let known = self.0.iter().position(|(p, k, ..)| (*p, *k) == (place, objective));
        let at = known.unwrap_or_else(|| {
            let bias = norm.bias.as_ref().map_or(0, Vec::len);
            self.0.push((place, objective, vec![0.0; norm.weight.len()], vec![0.0; bias]));
            self.0.len() - 1
        });
        let (_, _, weight, bias) = &mut self.0[at];
        norm_gradient(x, columns, norm, g, weight, norm.bias.as_ref().map(|_| bias.as_mut_slice()));
    }
}

impl Block<'_> {
    /// Runs the block backward on the rows of `group`, from the tape of its way forward. `stream` is `[K R, D]`: dL/d(residual
    /// after the block) of K objectives one below the other, and becomes dL/d(residual before it).
    pub(crate) fn backward(
        &self,
        group: &Group,
        tape: &Tape,
        stream: &mut [f32],
        own: &mut BlockGradients,
        gradients: &mut Gradients<'_, '_>,
    ) {
        let rows = group.rows();
        let before = &tape.before[..rows * self.hidden];
        let attention_out = (Place::AttentionOut, self.weights.attention_out.as_ref());
        // What attention adds reaches the loss by the stream alone, but where the MLP reads it.
        let sequential = self.spec.wiring == Wiring::Sequential;
        if !sequential {
            self.add_gradients(attention_out, (&tape.attention_out, stream), own, gradients);
            std::mem::swap(&mut own.add, &mut own.shared);
        }
        self.add_gradients((Place::MlpOut, self.weights.mlp_out.as_ref()), (&tape.mlp_out, stream), own, gradients);
        self.mlp_gradients(group, tape, own, gradients);
        match self.spec.wiring {
            Wiring::Sequential => {
                let between = &tape.between[..rows * self.hidden];
                self.residual_gradients(
                    (Place::MlpIn, self.weights.mlp_in.as_ref()),
                    between,
                    stream,
                    own,
                    gradients.parameters,
                );
                self.add_gradients(attention_out, (&tape.attention_out, stream), own, gradients);
                self.attention_gradients(group, tape, false, own, gradients);
            }
            Wiring::Parallel => {
                self.residual_gradients(
                    (Place::MlpIn, self.weights.mlp_in.as_ref()),
                    before,
                    stream,
                    own,
                    gradients.parameters,
                );
                std::mem::swap(&mut own.add, &mut own.shared);
                self.attention_gradients(group, tape, false, own, gradients);
            }
            Wiring::ParallelSharedNorm => {
                std::mem::swap(&mut own.add, &mut own.shared);
                self.attention_gradients(group, tape, true, own, gradients);
            }
        }
        let norm = (Place::AttentionIn, self.weights.attention_in.as_ref());
        self.residual_gradients(norm, before, stream, own, gradients.parameters);
    }

    /// From the gradient of the stream to `own.add`, that of what the last cell of a sublayer put out: through multiplier and
    /// norm. `x` is that output, where it was kept.
    fn add_gradients(
        &self,
        (place, norm): (Place, Option<&NormWeights>),
        (x, stream): (&[f32], &[f32]),
        own: &mut BlockGradients,
        gradients: &Gradients<'_, '_>,
    ) {
        let BlockGradients { add, norms, .. } = own;
        let out = add.room(stream.len());
        out.copy_from_slice(stream);
        scale(out, self.spec.residual_scale);
        let Some(norm) = norm else { return };
        let (size, parameters) = (stream.len() / gradients.objectives, gradients.parameters);
        let x = Rows::dense(&x[..size], self.hidden);
        for (objective, g) in out.chunks_exact_mut(size).enumerate() {
            if parameters {
                norms.add((place, objective), norm, self.whole_rows(), x, Rows::dense(g, self.hidden));
            }
            normalise_heads_backward(x, self.whole_rows(), norm, g);
        }
    }

    /// Adds to the gradient of the stream that of what a sublayer read (`own.input`), through its norm; `x` is the residual
    /// that was read, `[R, D]`.
    fn residual_gradients(
        &self,
        (place, norm): (Place, Option<&NormWeights>),
        x: &[f32],
        stream: &mut [f32],
        own: &mut BlockGradients,
        parameters: bool,
    ) {
        let g = &own.input[..stream.len()];
        let Some(norm) = norm else { return add(stream, g) };
        for (objective, (stream, g)) in stream.chunks_exact_mut(x.len()).zip(g.chunks_exact(x.len())).enumerate() {
            if parameters {
                let (x, g) = (Rows::dense(x, self.hidden), Rows::dense(g, self.hidden));
                own.norms.add((place, objective), norm, self.whole_rows(), x, g);
            }
            normalise_backward(x, norm, g, stream);
        }
    }

    /// From `own.add` to `own.input`, through the MLP.
    fn mlp_gradients(&self, group: &Group, tape: &Tape, own: &mut BlockGradients, gradients: &mut Gradients<'_, '_>) {
        let (rows, hidden) = (group.rows(), self.hidden);
        let stacked = gradients.objectives * rows * hidden;
        let input = self.mlp_input(&tape.input, &tape.mlp_input, rows);
        let kept = self.changes_adds(self.weights.mlp_out.as_ref());
        let output = if kept { &tape.mlp_out } else { &tape.mlp_add };
        let output = Rows::dense(&output[..rows * hidden], hidden);
        let (g, d_input) = (&own.add[..stacked], own.input.room(stacked));
        match &self.weights.mlp {
            FeedForward::Dense(weights) => {
                let (layer, spec, tape) = (self.layer, &self.spec.mlp, &tape.mlp);
                let past = MlpPast { layer, expert: None, spec, weights, spans: group.spans(), input, output, tape };
                past.backward(g, false, d_input, &mut own.mlp, gradients);
            }
            FeedForward::Mixture(weights) => {
                let place = (self.layer, &self.spec.mlp, weights);
                let router = mixture::backward(place, (&tape.mixture, input), g, d_input, &mut own.mixture, gradients);
                own.router.resize(router.len(), Vec::new());
                for (sum, router) in own.router.iter_mut().zip(router) {
                    match sum.is_empty() {
                        true => *sum = router,
                        false => add(sum, &router),
                    }
                }
            }
        }
    }

    /// From `own.add` to `own.input`, through attention; `joins`: added to what is there.
    fn attention_gradients(
        &self,
        group: &Group,
        tape: &Tape,
        joins: bool,
        own: &mut BlockGradients,
        gradients: &mut Gradients<'_, '_>,
    ) {
        let (rows, hidden, objectives) = (group.rows(), self.hidden, gradients.objectives);
        let spec = &self.spec.attention;
        let (width, query) = (self.weights.qkv.outputs, spec.heads * spec.head_dim);
        let place = (self.layer, None, group.spans());
        let context = Rows::dense(&tape.context[..rows * query], query);
        let kept = self.changes_adds(self.weights.attention_out.as_ref());
        let output = if kept { &tape.attention_out } else { &tape.attention_add };
        let output = Rows::dense(&output[..rows * hidden], hidden);
        let g = &own.add[..objectives * rows * hidden];
        gradients.hand_out(place, &self.weights.o, context, output, g);
        let d_context = own.context.room(objectives * rows * query);
        linear_backward(Rows::dense(g, hidden), &self.weights.o.values, false, d_context);

        let d_qkv = own.qkv.room(objectives * rows * width);
        self.scores_backward(group, tape, d_context, d_qkv);
        self.unprepare_heads(group, tape, (d_qkv, &mut own.unclamped), &mut own.norms, gradients.parameters);
        let projected = Rows::dense(&tape.projected[..rows * width], width);
        let input = Rows::dense(&tape.input[..rows * hidden], hidden);
        gradients.hand_out(place, &self.weights.qkv, input, projected, d_qkv);
        let d_input = own.input.room(objectives * rows * hidden);
        linear_backward(Rows::dense(d_qkv, width), &self.weights.qkv.values, joins, d_input);
    }

    /// From dL/d(context) to dL/d(q, k, v) as the scores see them.
    fn scores_backward(&self, group: &Group, tape: &Tape, d_context: &[f32], d_qkv: &mut [f32]) {
        let spec = &self.spec.attention;
        let (query, shared) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let (rows, width) = (group.rows(), self.weights.qkv.outputs);
        for span in group.spans() {
            let columns = |first, cols| {
                Rows::columns(&tape.qkv[span.rows.start * width..span.rows.end * width], width, first, cols)
            };
            let own = span.rows.start * query..span.rows.end * query;
            let g: Vec<Rows<'_>> =
                d_context.chunks_exact(rows * query).map(|g| Rows::dense(&g[own.clone()], query)).collect();
            let mut d: Vec<&mut [f32]> = d_qkv
                .chunks_exact_mut(rows * width)
                .map(|d| &mut d[span.rows.start * width..span.rows.end * width])
                .collect();
            attention_backward(
                heads(spec),
                columns(0, query),
                columns(query, shared),
                columns(query + shared, shared),
                Rows::dense(&tape.context[own], query),
                &g,
                &mut d,
            );
        }
    }

    /// Back through rotation, clamp and norms of q, k and v, in place.
    fn unprepare_heads(
        &self,
        group: &Group,
        tape: &Tape,
        (d_qkv, unclamped): (&mut [f32], &mut Buffer),
        norms: &mut NormSums,
        parameters: bool,
    ) {
        let (rows, width) = (group.rows(), self.weights.qkv.outputs);
        let (queries, keys) = self.head_columns();
        let projected = &tape.projected[..rows * width];
        if self.spec.attention.clip.is_some() {
            unclamped.copy(projected);
            self.normalise_projected(unclamped.room(rows * width), |_| true);
        }
        for (objective, d_qkv) in d_qkv.chunks_exact_mut(rows * width).enumerate() {
            if let Some(rope) = self.spec.attention.rope {
                for span in group.spans() {
                    let Some(table) = self.rotary.get(&(rope, span.rows.len())) else { continue };
                    let part = &mut d_qkv[span.rows.start * width..span.rows.end * width];
                    rotate_back(part, queries, table);
                    rotate_back(part, keys, table);
                }
            }
            if let Some(limit) = self.spec.attention.clip {
                clamp_backward(Rows::dense(&unclamped[..rows * width], width), limit, d_qkv);
            }
            for (columns, _, norm) in self.head_norms() {
                let place = if columns.first == 0 { Place::Query } else { Place::Key };
                let x = Rows::dense(projected, width);
                if parameters {
                    norms.add((place, objective), norm, columns, x, Rows::dense(d_qkv, width));
                }
                normalise_heads_backward(x, columns, norm, d_qkv);
            }
        }
    }

    /// Hands out the gradients of the tensors of the block that are no cells, summed over its groups, and forgets them.
    pub(crate) fn hand_out_parameters(&self, own: &mut BlockGradients, gradients: &mut Gradients<'_, '_>) {
        for (place, objective, weight, bias) in std::mem::take(&mut own.norms.0) {
            let attention = &self.spec.attention;
            let norm = match place {
                Place::AttentionIn => self.spec.attention_in.as_ref(),
                Place::AttentionOut => self.spec.attention_out.as_ref(),
                Place::MlpIn => self.spec.mlp_in.as_ref(),
                Place::MlpOut => self.spec.mlp_out.as_ref(),
                Place::Query => attention.query_norm.as_ref().map(|n| &n.norm),
                Place::Key => attention.key_norm.as_ref().map(|n| &n.norm),
            };
            if let Some(norm) = norm {
                hand_out_norm(norm, objective, (&weight, &bias), gradients);
            }
        }
        let router = self.spec.mlp.experts.as_ref().map(|e| e.router.as_str());
        for (objective, values) in std::mem::take(&mut own.router).into_iter().enumerate() {
            if let Some(router) = router {
                gradients.parameter(router, objective, &values);
            }
        }
    }
}

/// Hands out the gradients of a norm, tensor by tensor.
pub(crate) fn hand_out_norm(
    norm: &Norm,
    objective: usize,
    (weight, bias): (&[f64], &[f64]),
    gradients: &mut Gradients<'_, '_>,
) {
    for (names, values) in [(&norm.weight, weight), (&norm.bias, bias)] {
        if names.is_empty() || values.is_empty() {
            continue;
        }
        for (name, part) in names.iter().zip(values.chunks(values.len().div_ceil(names.len()))) {
            let part: Vec<f32> = part.iter().map(|x| *x as f32).collect();
            gradients.parameter(name, objective, &part);
        }
    }
}
