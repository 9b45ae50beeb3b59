//! A block forward.

use tomo_map::Component;

use super::mlp::{MlpRun, keep};
use super::{Block, Tape, heads, mixture};
use crate::architecture::Wiring;
use crate::engine::buffer::Buffer;
use crate::engine::ops::{
    Columns, NormWeights, add, attention, clamp, linear, normalise, normalise_heads, rotate, scale,
};
use crate::engine::tap::{Port, Rows, Tap};
use crate::engine::taps::{Group, Site, Taps};
use crate::engine::weights::{FeedForward, Joined};

impl Block<'_> {
    /// Runs the block on the rows of `group`, in place. `residual` is `[R, D]`.
    pub(crate) fn forward(&self, group: &Group, residual: &mut [f32], tape: &mut Tape) {
        let (hidden, taps) = (self.hidden, self.taps);
        taps.hand_out(self.site(Tap::ResidualIn), group, Rows::dense(residual, hidden), None);
        let compares = taps.wants(Tap::ResidualOut);
        keep(tape.keeps || compares, &mut tape.before, residual);
        self.normed(self.weights.attention_in.as_ref(), residual, &mut tape.input);
        self.attention(group, tape, residual);
        match self.spec.wiring {
            Wiring::Sequential => {
                add(residual, &tape.attention_add[..residual.len()]);
                keep(tape.keeps, &mut tape.between, residual);
                self.normed(self.weights.mlp_in.as_ref(), residual, &mut tape.mlp_input);
                self.mlp(group, tape, residual);
            }
            Wiring::Parallel => {
                self.normed(self.weights.mlp_in.as_ref(), residual, &mut tape.mlp_input);
                self.mlp(group, tape, residual);
                add(residual, &tape.attention_add[..residual.len()]);
            }
            Wiring::ParallelSharedNorm => {
                self.mlp(group, tape, residual);
                add(residual, &tape.attention_add[..residual.len()]);
            }
        }
        add(residual, &tape.mlp_add[..residual.len()]);
        let before = compares.then(|| Rows::dense(&tape.before[..residual.len()], hidden));
        taps.hand_out(self.site(Tap::ResidualOut), group, Rows::dense(residual, hidden), before);
    }

    fn site(&self, tap: Tap) -> Site<'static> {
        Site { tap, layer: self.layer, expert: None, bias: None }
    }

    /// `norm(residual)`, or the residual itself where the family has no norm there.
    pub(super) fn normed(&self, norm: Option<&NormWeights>, residual: &[f32], out: &mut Buffer) {
        let out = out.room(residual.len());
        match norm {
            Some(norm) => normalise(residual, norm, out),
            None => out.copy_from_slice(residual),
        }
    }

    /// From what o or down put out to what is added to the residual: norm and multiplier.
    pub(super) fn finish_add(
        &self,
        tap: Tap,
        norm: Option<&NormWeights>,
        group: &Group,
        addend: &mut [f32],
        residual: &[f32],
    ) {
        if let Some(norm) = norm {
            normalise_heads(addend, self.whole_rows(), norm);
        }
        scale(addend, self.spec.residual_scale);
        let residual = Rows::dense(residual, self.hidden);
        self.taps.hand_out(self.site(tap), group, Rows::dense(addend, self.hidden), Some(residual));
    }

    /// From `tape.input` to `tape.attention_add`; `residual` is what that will be added to.
    fn attention(&self, group: &Group, tape: &mut Tape, residual: &[f32]) {
        let spec = &self.spec.attention;
        let rows = group.rows();
        let input = Rows::dense(&tape.input[..rows * self.hidden], self.hidden);
        self.taps.hand_out(self.site(Tap::Input(Port::Attention)), group, input, None);
        let width = self.weights.qkv.outputs;
        let qkv = tape.qkv.room(rows * width);
        joined(self.taps, self.layer, None, group, &self.weights.qkv, input, qkv);
        keep(tape.keeps, &mut tape.projected, qkv);
        self.prepare_heads(group, qkv, [true; 2]);

        let (query, shared) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let context = tape.context.room(rows * query);
        for span in group.spans() {
            let part = &qkv[span.rows.start * width..span.rows.end * width];
            attention(
                heads(spec),
                Rows::columns(part, width, 0, query),
                Rows::columns(part, width, query, shared),
                Rows::columns(part, width, query + shared, shared),
                &mut context[span.rows.start * query..span.rows.end * query],
            );
        }
        let context = Rows::dense(context, query);
        self.taps.hand_out(self.site(Tap::Input(Port::AttentionOut)), group, context, None);
        let out = tape.attention_add.room(rows * self.hidden);
        joined(self.taps, self.layer, None, group, &self.weights.o, context, out);
        let norm = self.weights.attention_out.as_ref();
        keep(tape.keeps && self.changes_adds(norm), &mut tape.attention_out, out);
        self.finish_add(Tap::AttentionAdd, norm, group, out, residual);
    }

    /// Whether what is added is not what the last cell of the sublayer put out.
    pub(super) fn changes_adds(&self, norm: Option<&NormWeights>) -> bool {
        norm.is_some() || self.spec.residual_scale != 1.0
    }

    /// Norms, clamp and rotation of q and k, of those that are `wanted`; clamp of all.
    pub(super) fn prepare_heads(&self, group: &Group, qkv: &mut [f32], wanted: [bool; 2]) {
        let (queries, keys) = self.head_columns();
        let wants = |columns: Columns| wanted[usize::from(columns.first != queries.first)];
        self.normalise_projected(qkv, wants);
        let spec = &self.spec.attention;
        if let Some(limit) = spec.clip {
            clamp(qkv, limit);
        }
        if let Some(rope) = spec.rope {
            let stride = queries.stride;
            for span in group.spans() {
                let Some(table) = self.rotary.get(&(rope, span.rows.len())) else { continue };
                let part = &mut qkv[span.rows.start * stride..span.rows.end * stride];
                for columns in [queries, keys].into_iter().filter(|columns| wants(*columns)) {
                    rotate(part, columns, table);
                }
            }
        }
    }

    /// From what the MLP reads to `tape.mlp_add`; `residual` is what that will be added to.
    fn mlp(&self, group: &Group, tape: &mut Tape, residual: &[f32]) {
        let rows = group.rows();
        let input = self.mlp_input(&tape.input, &tape.mlp_input, rows);
        let out = tape.mlp_add.room(rows * self.hidden);
        let run = MlpRun { taps: self.taps, layer: self.layer, expert: None, spec: &self.spec.mlp };
        match &self.weights.mlp {
            FeedForward::Dense(mlp) => run.forward(group, mlp, input, out, &mut tape.mlp),
            FeedForward::Mixture(weights) => {
                mixture::forward(&run, group, weights, input, out, &mut tape.mixture, tape.keeps);
            }
        }
        let norm = self.weights.mlp_out.as_ref();
        keep(tape.keeps && self.changes_adds(norm), &mut tape.mlp_out, out);
        self.finish_add(Tap::MlpAdd, norm, group, out, residual);
    }

    /// What the MLP reads, of what both read.
    pub(super) fn mlp_input<'t>(&self, attention: &'t [f32], own: &'t [f32], rows: usize) -> Rows<'t> {
        let values = if self.spec.wiring == Wiring::ParallelSharedNorm { attention } else { own };
        Rows::dense(&values[..rows * self.hidden], self.hidden)
    }
}

/// The product with one or more cells that read the same rows, and the taps of their outputs.
pub(super) fn joined(
    taps: &Taps<'_>,
    layer: u32,
    expert: Option<u32>,
    group: &Group,
    weights: &Joined,
    input: Rows<'_>,
    out: &mut [f32],
) {
    linear(input, &weights.values, weights.bias.as_deref(), out);
    for part in &weights.parts {
        let bias = weights.bias.as_ref().filter(|_| part.has_bias).map(|bias| &bias[part.rows.clone()]);
        let rows = Rows::columns(out, weights.outputs, part.rows.start, part.rows.len());
        let component: Component = part.component;
        taps.hand_out(Site { tap: Tap::Output(component), layer, expert, bias }, group, rows, None);
    }
}
