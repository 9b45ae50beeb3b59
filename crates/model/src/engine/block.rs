//! One block on a group of sequences, forward.

use std::collections::HashMap;

use tomo_map::Component;

use super::mixture;
use super::ops::{
    Columns, Heads, NormWeights, RotaryTable, activate, add, attention, clamp, gate, linear, normalise,
    normalise_heads, rotate, scale,
};
use super::tap::{Port, Rows, Tap};
use super::taps::{Group, Site, Taps};
use super::weights::{BlockWeights, FeedForward, Joined, MlpWeights};
use crate::architecture::{Attention, Layer, Mlp, Wiring};

/// Rotary tables by index of the rope and length of the sequence.
pub(crate) type RotaryTables = HashMap<(usize, usize), RotaryTable>;

/// One block, ready to run.
pub(crate) struct Block<'a> {
    pub(crate) layer: u32,
    pub(crate) hidden: usize,
    pub(crate) spec: &'a Layer,
    pub(crate) weights: &'a BlockWeights,
    pub(crate) rotary: &'a RotaryTables,
    pub(crate) taps: &'a Taps<'a>,
}

/// Intermediate values of a block for one group, kept between blocks so that nothing is allocated twice. R rows.
#[derive(Default)]
pub(crate) struct Scratch {
    /// `[R, D]`: what attention, then the MLP, reads.
    input: Vec<f32>,
    /// `[R, D]`: what the MLP reads where it is not what attention reads and both are needed at once.
    mlp_input: Vec<f32>,
    /// `[R, (H + 2 K) C]`.
    qkv: Vec<f32>,
    /// `[R, H C]`.
    context: Vec<f32>,
    /// `[R, D]`: what attention adds.
    attention_add: Vec<f32>,
    /// `[R, D]`: what the MLP adds.
    mlp_add: Vec<f32>,
    /// `[R, D]`: the residual before the block, for those who compare.
    before: Vec<f32>,
    pub(super) mlp: MlpScratch,
    pub(super) mixture: mixture::Scratch,
}

/// Intermediate values of an MLP. R rows.
#[derive(Default)]
pub(crate) struct MlpScratch {
    /// `[R, 2 F]`, or `[R, F]` without a gate.
    up_gate: Vec<f32>,
    /// `[R, F]`.
    activated: Vec<f32>,
}

/// The first `len` values of a buffer that grows when it must.
pub(super) fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

impl Block<'_> {
    /// Runs the block on the rows of `group`, in place. `residual` is `[R, D]`.
    pub(crate) fn forward(&self, group: &Group, residual: &mut [f32], scratch: &mut Scratch) {
        let (hidden, taps) = (self.hidden, self.taps);
        taps.hand_out(self.site(Tap::ResidualIn), group, Rows::dense(residual, hidden), None);
        let compares = taps.wants(Tap::ResidualOut);
        if compares {
            room(&mut scratch.before, residual.len()).copy_from_slice(residual);
        }
        self.normed(self.weights.attention_in.as_ref(), residual, &mut scratch.input);
        self.attention(group, scratch);
        let attention_add = room(&mut scratch.attention_add, residual.len());
        self.finish_add(Tap::AttentionAdd, self.weights.attention_out.as_ref(), group, attention_add, residual);
        match self.spec.wiring {
            Wiring::Sequential => {
                add(residual, attention_add);
                self.normed(self.weights.mlp_in.as_ref(), residual, &mut scratch.input);
                self.mlp(group, scratch, residual);
            }
            Wiring::Parallel => {
                self.normed(self.weights.mlp_in.as_ref(), residual, &mut scratch.mlp_input);
                std::mem::swap(&mut scratch.input, &mut scratch.mlp_input);
                self.mlp(group, scratch, residual);
                add(residual, &scratch.attention_add[..residual.len()]);
            }
            Wiring::ParallelSharedNorm => {
                self.mlp(group, scratch, residual);
                add(residual, &scratch.attention_add[..residual.len()]);
            }
        }
        add(residual, &scratch.mlp_add[..residual.len()]);
        let before = compares.then(|| Rows::dense(&scratch.before[..residual.len()], hidden));
        taps.hand_out(self.site(Tap::ResidualOut), group, Rows::dense(residual, hidden), before);
    }

    fn site(&self, tap: Tap) -> Site<'static> {
        Site { tap, layer: self.layer, expert: None, bias: None }
    }

    /// `norm(residual)`, or the residual itself where the family has no norm there.
    fn normed(&self, norm: Option<&NormWeights>, residual: &[f32], out: &mut Vec<f32>) {
        let out = room(out, residual.len());
        match norm {
            Some(norm) => normalise(residual, norm, out),
            None => out.copy_from_slice(residual),
        }
    }

    /// From what o or down put out to what is added to the residual: norm and multiplier.
    fn finish_add(&self, tap: Tap, norm: Option<&NormWeights>, group: &Group, addend: &mut [f32], residual: &[f32]) {
        if let Some(norm) = norm {
            let whole_rows = Columns { stride: self.hidden, first: 0, count: 1, width: self.hidden };
            normalise_heads(addend, whole_rows, norm);
        }
        scale(addend, self.spec.residual_scale);
        let residual = Rows::dense(residual, self.hidden);
        self.taps.hand_out(self.site(tap), group, Rows::dense(addend, self.hidden), Some(residual));
    }

    /// From `scratch.input` to `scratch.attention_add`.
    fn attention(&self, group: &Group, scratch: &mut Scratch) {
        let spec = &self.spec.attention;
        let rows = group.rows();
        let input = Rows::dense(&scratch.input[..rows * self.hidden], self.hidden);
        self.taps.hand_out(self.site(Tap::Input(Port::Attention)), group, input, None);
        let width = self.weights.qkv.outputs;
        let qkv = room(&mut scratch.qkv, rows * width);
        joined(self.taps, self.layer, None, group, &self.weights.qkv, input, qkv);
        self.prepare_heads(group, qkv);

        let (query, shared) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let context = room(&mut scratch.context, rows * query);
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
        let out = room(&mut scratch.attention_add, rows * self.hidden);
        joined(self.taps, self.layer, None, group, &self.weights.o, context, out);
    }

    /// Norms, clamp and rotation of q and k; clamp of v.
    fn prepare_heads(&self, group: &Group, qkv: &mut [f32]) {
        let Attention { heads, kv_heads, head_dim: width, .. } = self.spec.attention;
        let stride = self.weights.qkv.outputs;
        let queries = Columns { stride, first: 0, count: heads, width };
        let keys = Columns { stride, first: heads * width, count: kv_heads, width };
        let spec = &self.spec.attention;
        let norms =
            [(queries, &spec.query_norm, &self.weights.query_norm), (keys, &spec.key_norm, &self.weights.key_norm)];
        for (columns, spec, norm) in norms {
            if let (Some(spec), Some(norm)) = (spec, norm) {
                let columns = match spec.span {
                    crate::architecture::Span::Head => columns,
                    crate::architecture::Span::All => {
                        Columns { count: 1, width: columns.count * columns.width, ..columns }
                    }
                };
                normalise_heads(qkv, columns, norm);
            }
        }
        if let Some(limit) = spec.clip {
            clamp(qkv, limit);
        }
        if let Some(rope) = spec.rope {
            for span in group.spans() {
                let Some(table) = self.rotary.get(&(rope, span.rows.len())) else { continue };
                let part = &mut qkv[span.rows.start * stride..span.rows.end * stride];
                rotate(part, queries, table);
                rotate(part, keys, table);
            }
        }
    }

    /// From `scratch.input` to `scratch.mlp_add`.
    fn mlp(&self, group: &Group, scratch: &mut Scratch, residual: &[f32]) {
        let rows = group.rows();
        let input = Rows::dense(&scratch.input[..rows * self.hidden], self.hidden);
        let out = room(&mut scratch.mlp_add, rows * self.hidden);
        let run = MlpRun { taps: self.taps, layer: self.layer, expert: None, spec: &self.spec.mlp };
        match &self.weights.mlp {
            FeedForward::Dense(mlp) => run.forward(group, mlp, input, out, &mut scratch.mlp),
            FeedForward::Mixture(weights) => {
                mixture::forward(&run, group, weights, input, out, &mut scratch.mlp, &mut scratch.mixture);
            }
        }
        self.finish_add(Tap::MlpAdd, self.weights.mlp_out.as_ref(), group, out, residual);
    }
}

/// An MLP, or one expert, on rows.
pub(super) struct MlpRun<'a> {
    pub(super) taps: &'a Taps<'a>,
    pub(super) layer: u32,
    pub(super) expert: Option<u32>,
    pub(super) spec: &'a Mlp,
}

impl MlpRun<'_> {
    /// `out = down(act(gate(x)) * up(x))`, or `down(act(up(x)))`; x and out `[R, D]`.
    pub(super) fn forward(
        &self,
        group: &Group,
        weights: &MlpWeights,
        input: Rows<'_>,
        out: &mut [f32],
        scratch: &mut MlpScratch,
    ) {
        let (rows, width) = (group.rows(), weights.down.inputs);
        self.taps.hand_out(self.site(Tap::Input(Port::Mlp)), group, input, None);
        let up_gate = room(&mut scratch.up_gate, rows * weights.up_gate.outputs);
        joined(self.taps, self.layer, self.expert, group, &weights.up_gate, input, up_gate);
        let activated = room(&mut scratch.activated, rows * width);
        if self.spec.gated {
            gate(up_gate, self.spec.activation, width, activated);
        } else {
            activate(up_gate, self.spec.activation, activated);
        }
        let activated = Rows::dense(activated, width);
        self.taps.hand_out(self.site(Tap::Input(Port::MlpDown)), group, activated, None);
        joined(self.taps, self.layer, self.expert, group, &weights.down, activated, out);
    }

    fn site(&self, tap: Tap) -> Site<'static> {
        Site { tap, layer: self.layer, expert: self.expert, bias: None }
    }
}

/// The product with one or more cells that read the same rows, and the taps of their outputs.
fn joined(
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

fn heads(spec: &Attention) -> Heads {
    let Attention { heads, kv_heads, head_dim, scale, softcap, window, .. } = *spec;
    Heads { heads, kv_heads, head_dim, scale, softcap, window }
}
