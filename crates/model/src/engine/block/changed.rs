//! A block of a model that differs from the original in some of the block's cells.
//!
//! What a change leaves alone is taken from the tape that the original left, where the residual before the block is the
//! original's. A product's rows and columns have the same bits whatever is computed beside them (`ops::linear`), so that this
//! gives what running the whole block gives.

use super::mlp::{MlpRun, MlpTape};
use super::{Block, Tape, heads, mixture};
use crate::architecture::Wiring;
use crate::engine::ops::{activate, attention, gate_rows, linear_into};
use crate::engine::tap::{Rows, Tap};
use crate::engine::taps::Group;
use crate::engine::weights::{FeedForward, Joined, JoinedPart, MlpWeights};
use tomo_map::Component;

/// What is done to a cell on the rows of a group.
pub(crate) enum Edit<'a> {
    /// Other weights, `[m, n]`.
    Weights(&'a [f32]),
    /// No output.
    Zero,
    /// One row for all tokens, `[m]`.
    Constant(&'a [f32]),
    /// Other rows in place of the first ones of each sequence of the group.
    Rows(Vec<Rows<'a>>),
}

/// The edits of a block, by index of the cell.
#[derive(Default)]
pub(crate) struct Edits<'a>(pub(crate) Vec<(usize, Edit<'a>)>);

impl Edits<'_> {
    fn of(&self, cell: usize) -> Option<&Edit<'_>> {
        self.0.iter().find(|(at, _)| *at == cell).map(|(_, edit)| edit)
    }

    fn touch(&self, weights: &Joined) -> bool {
        weights.parts.iter().any(|part| self.of(part.cell).is_some())
    }

    pub(super) fn touch_mlp(&self, weights: &MlpWeights) -> bool {
        self.touch(&weights.up_gate) || self.touch(&weights.down)
    }

    fn touch_any(&self, weights: &FeedForward) -> bool {
        match weights {
            FeedForward::Dense(mlp) => self.touch_mlp(mlp),
            FeedForward::Mixture(mixture) => mixture.experts.iter().any(|mlp| self.touch_mlp(mlp)),
        }
    }
}

impl Block<'_> {
    /// Runs the block with `edits` on the rows of `group`, in place. `residual` is `[R, D]`; `base`, where it is the original's,
    /// is what the original left of the same rows.
    pub(crate) fn changed(
        &self,
        group: &Group,
        base: Option<&Tape>,
        edits: &Edits<'_>,
        residual: &mut [f32],
        tape: &mut Tape,
    ) {
        let (size, wiring) = (residual.len(), self.spec.wiring);
        let attends = base.is_none() || edits.touch(&self.weights.qkv) || edits.touch(&self.weights.o);
        if base.is_none() {
            self.normed(self.weights.attention_in.as_ref(), residual, &mut tape.input);
            if wiring == Wiring::Parallel {
                self.normed(self.weights.mlp_in.as_ref(), residual, &mut tape.mlp_input);
            }
        }
        if attends {
            self.changed_attention(group, base, edits, tape, residual);
        }
        let own = |changed: bool| base.filter(|_| !changed);
        self.add_to(residual, &own(attends).unwrap_or(tape).attention_add);
        let mlp_base = own(attends && wiring == Wiring::Sequential);
        if wiring == Wiring::Sequential && attends {
            self.normed(self.weights.mlp_in.as_ref(), residual, &mut tape.mlp_input);
        }
        let mlps = mlp_base.is_none() || edits.touch_any(&self.weights.mlp);
        if mlps {
            self.changed_mlp(group, mlp_base, edits, tape, residual);
        }
        debug_assert_eq!(size, residual.len());
        self.add_to(residual, &own(mlps).unwrap_or(tape).mlp_add);
    }

    fn add_to(&self, residual: &mut [f32], addend: &[f32]) {
        crate::engine::ops::add(residual, &addend[..residual.len()]);
    }

    /// To `tape.attention_add`.
    fn changed_attention(
        &self,
        group: &Group,
        base: Option<&Tape>,
        edits: &Edits<'_>,
        tape: &mut Tape,
        residual: &[f32],
    ) {
        let rows = group.rows();
        let query = self.weights.o.inputs;
        if base.is_none() || edits.touch(&self.weights.qkv) {
            self.changed_heads(group, base, edits, tape);
        }
        let context = match base {
            Some(base) if !edits.touch(&self.weights.qkv) => &base.context,
            _ => &tape.context,
        };
        let context = Rows::dense(&context[..rows * query], query);
        let out = tape.attention_add.room(rows * self.hidden);
        products(group, &self.weights.o, edits, true, context, out);
        self.finish_add(Tap::AttentionAdd, self.weights.attention_out.as_ref(), group, out, residual);
    }

    /// To `tape.context`: queries, keys and values that are not changed are the original's.
    fn changed_heads(&self, group: &Group, base: Option<&Tape>, edits: &Edits<'_>, tape: &mut Tape) {
        let spec = &self.spec.attention;
        let (rows, width) = (group.rows(), self.weights.qkv.outputs);
        let input = base.map_or(&tape.input, |base| &base.input);
        let input = Rows::dense(&input[..rows * self.hidden], self.hidden);
        let own = tape.qkv.room(rows * width);
        products(group, &self.weights.qkv, edits, base.is_none(), input, own);
        let fresh = |component| {
            let part = self.weights.qkv.parts.iter().find(|p| p.component == component);
            base.is_none() || part.is_some_and(|p| edits.of(p.cell).is_some())
        };
        let fresh = [Component::AttnQ, Component::AttnK, Component::AttnV].map(fresh);
        self.prepare_heads(group, own, [fresh[0], fresh[1]]);

        let (query, shared) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let context = tape.context.room(rows * query);
        for span in group.spans() {
            let source = |fresh: bool| match base {
                Some(base) if !fresh => &base.qkv[span.rows.start * width..span.rows.end * width],
                _ => &own[span.rows.start * width..span.rows.end * width],
            };
            attention(
                heads(spec),
                Rows::columns(source(fresh[0]), width, 0, query),
                Rows::columns(source(fresh[1]), width, query, shared),
                Rows::columns(source(fresh[2]), width, query + shared, shared),
                &mut context[span.rows.start * query..span.rows.end * query],
            );
        }
    }

    /// To `tape.mlp_add`; `base`, where the MLP reads what it reads in the original.
    fn changed_mlp(&self, group: &Group, base: Option<&Tape>, edits: &Edits<'_>, tape: &mut Tape, residual: &[f32]) {
        let rows = group.rows();
        let (input, own_input) = match base {
            Some(base) => (&base.input, &base.mlp_input),
            None => (&tape.input, &tape.mlp_input),
        };
        let input = self.mlp_input(input, own_input, rows);
        let out = tape.mlp_add.room(rows * self.hidden);
        let run = MlpRun { taps: self.taps, layer: self.layer, expert: None, spec: &self.spec.mlp };
        match &self.weights.mlp {
            FeedForward::Dense(mlp) => {
                run.changed(group, mlp, base.map(|b| &b.mlp), edits, input, out, &mut tape.mlp);
            }
            FeedForward::Mixture(weights) => {
                let base = base.map(|b| &b.mixture);
                mixture::changed(&run, group, (weights, base, edits), input, out, &mut tape.mixture);
            }
        }
        self.finish_add(Tap::MlpAdd, self.weights.mlp_out.as_ref(), group, out, residual);
    }

    /// What `component`, of no expert, put out on the rows of a kept tape.
    pub(crate) fn kept_output<'t>(&self, tape: &'t Tape, component: Component, rows: usize) -> Option<Rows<'t>> {
        let part = |weights: &Joined, values: &'t [f32]| {
            let part = weights.parts.iter().find(|p| p.component == component)?;
            let values = &values[..rows * weights.outputs];
            Some(Rows::columns(values, weights.outputs, part.rows.start, part.rows.len()))
        };
        let kept = |norm: Option<_>, out: &'t [f32], add: &'t [f32]| if self.changes_adds(norm) { out } else { add };
        let mlp = match &self.weights.mlp {
            FeedForward::Dense(mlp) => Some(mlp),
            FeedForward::Mixture(_) => None,
        };
        match component {
            Component::AttnQ | Component::AttnK | Component::AttnV => part(&self.weights.qkv, &tape.projected),
            Component::AttnO => {
                let norm = self.weights.attention_out.as_ref();
                part(&self.weights.o, kept(norm, &tape.attention_out, &tape.attention_add))
            }
            Component::MlpUp | Component::MlpGate => part(&mlp?.up_gate, &tape.mlp.up_gate),
            Component::MlpDown => part(&mlp?.down, kept(self.weights.mlp_out.as_ref(), &tape.mlp_out, &tape.mlp_add)),
        }
    }
}

impl MlpRun<'_> {
    /// [`MlpRun::forward`] with `edits`; `base`, where the rows are the original's, is what the original left of them.
    #[expect(clippy::too_many_arguments, reason = "as many things to be told apart")]
    pub(super) fn changed(
        &self,
        group: &Group,
        weights: &MlpWeights,
        base: Option<&MlpTape>,
        edits: &Edits<'_>,
        input: Rows<'_>,
        out: &mut [f32],
        tape: &mut MlpTape,
    ) {
        let (rows, width) = (group.rows(), weights.down.inputs);
        let activated = match base {
            Some(base) if !edits.touch(&weights.up_gate) => &base.activated[..rows * width],
            _ => {
                let outputs = weights.up_gate.outputs;
                let own = tape.up_gate.room(rows * outputs);
                products(group, &weights.up_gate, edits, base.is_none(), input, own);
                let source = |part: &JoinedPart| {
                    let values = match base {
                        Some(base) if edits.of(part.cell).is_none() => &base.up_gate[..rows * outputs],
                        _ => &own[..],
                    };
                    Rows::columns(values, outputs, part.rows.start, part.rows.len())
                };
                let activated = tape.activated.room(rows * width);
                match weights.up_gate.parts.as_slice() {
                    [up, gate] => gate_rows(source(up), source(gate), self.spec.activation, activated),
                    _ => activate(own, self.spec.activation, activated),
                }
                &*activated
            }
        };
        products(group, &weights.down, edits, true, Rows::dense(activated, width), out);
    }
}

/// Outputs of the cells of `weights` that are changed, or of all where `all` says so, into their columns of `out`.
fn products(group: &Group, weights: &Joined, edits: &Edits<'_>, all: bool, input: Rows<'_>, out: &mut [f32]) {
    let (inputs, stride) = (weights.inputs, weights.outputs);
    let product = |rows: std::ops::Range<usize>, values: &[f32], out: &mut [f32]| {
        let bias = weights.bias.as_ref().map(|bias| &bias[rows.clone()]);
        linear_into(input, values, bias, out, stride, rows.start);
    };
    let of_original = |rows: &std::ops::Range<usize>| &weights.values[rows.start * inputs..rows.end * inputs];
    // Cells side by side that are not changed are one product.
    let mut plain = 0..0;
    for part in &weights.parts {
        let Some(edit) = edits.of(part.cell) else {
            if all {
                plain = if plain.end == part.rows.start && !plain.is_empty() { plain.start } else { part.rows.start }
                    ..part.rows.end;
            }
            continue;
        };
        if !plain.is_empty() {
            product(plain.clone(), of_original(&plain), out);
            plain = 0..0;
        }
        match edit {
            Edit::Weights(values) => product(part.rows.clone(), values, out),
            Edit::Zero => columns(out, stride, part).for_each(|row| row.fill(0.0)),
            Edit::Constant(value) => columns(out, stride, part).for_each(|row| row.copy_from_slice(value)),
            Edit::Rows(others) => {
                let covered = group.spans().iter().zip(others).all(|(span, rows)| rows.len() >= span.rows.len());
                if !covered {
                    product(part.rows.clone(), of_original(&part.rows), out);
                }
                for (span, others) in group.spans().iter().zip(others) {
                    let own = &mut out[span.rows.start * stride..span.rows.end * stride];
                    columns(own, stride, part).zip(others.iter()).for_each(|(row, other)| row.copy_from_slice(other));
                }
            }
        }
    }
    if !plain.is_empty() {
        product(plain.clone(), of_original(&plain), out);
    }
}

/// The columns of one cell, row by row.
fn columns<'o>(out: &'o mut [f32], stride: usize, part: &JoinedPart) -> impl Iterator<Item = &'o mut [f32]> {
    let columns = part.rows.clone();
    out.chunks_exact_mut(stride).map(move |row| &mut row[columns.clone()])
}
