//! An MLP, or one expert, on rows, forward and backward.

use super::backward::Gradients;
use crate::architecture::Mlp;
use crate::engine::buffer::Buffer;
use crate::engine::gradient::Span;
use crate::engine::ops::{activate, activate_backward, gate, gate_backward, linear_backward};
use crate::engine::tap::{Port, Rows, Tap};
use crate::engine::taps::{Group, Site, Taps};
use crate::engine::weights::MlpWeights;

/// Intermediate values of an MLP. R rows.
#[derive(Default)]
pub(crate) struct MlpTape {
    /// `[R, 2 F]`, or `[R, F]` without a gate: outputs of up and gate.
    pub(super) up_gate: Buffer,
    /// `[R, F]`.
    pub(super) activated: Buffer,
}

/// An MLP, or one expert, on its way forward.
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
        tape: &mut MlpTape,
    ) {
        let (rows, width) = (group.rows(), weights.down.inputs);
        self.taps.hand_out(self.site(Tap::Input(Port::Mlp)), group, input, None);
        let up_gate = tape.up_gate.room(rows * weights.up_gate.outputs);
        super::forward::joined(self.taps, self.layer, self.expert, group, &weights.up_gate, input, up_gate);
        let activated = tape.activated.room(rows * width);
        if self.spec.gated {
            gate(up_gate, self.spec.activation, width, activated);
        } else {
            activate(up_gate, self.spec.activation, activated);
        }
        let activated = Rows::dense(activated, width);
        self.taps.hand_out(self.site(Tap::Input(Port::MlpDown)), group, activated, None);
        super::forward::joined(self.taps, self.layer, self.expert, group, &weights.down, activated, out);
    }

    fn site(&self, tap: Tap) -> Site<'static> {
        Site { tap, layer: self.layer, expert: self.expert, bias: None }
    }
}

/// What an MLP read and made on its way forward, and on which rows.
pub(super) struct MlpPast<'a> {
    pub(super) layer: u32,
    pub(super) expert: Option<u32>,
    pub(super) spec: &'a Mlp,
    pub(super) weights: &'a MlpWeights,
    pub(super) spans: &'a [Span],
    /// `[R, D]`.
    pub(super) input: Rows<'a>,
    /// `[R, D]`: the output of down.
    pub(super) output: Rows<'a>,
    pub(super) tape: &'a MlpTape,
}

/// Gradients inside an MLP, those of all K objectives one below the other.
#[derive(Default)]
pub(super) struct MlpGradients {
    /// `[K R, F]`.
    activated: Buffer,
    /// `[K R, 2 F]`.
    up_gate: Buffer,
}

impl MlpPast<'_> {
    /// From `g`, dL/d(output of down), to `d_input`, dL/dx; both `[K R, D]`, K objectives one below the other. `add`: to
    /// what is in `d_input`.
    pub(super) fn backward(
        &self,
        g: &[f32],
        add: bool,
        d_input: &mut [f32],
        own: &mut MlpGradients,
        gradients: &mut Gradients<'_, '_>,
    ) {
        let (rows, width) = (self.input.len(), self.weights.down.inputs);
        let (stacked, joined) = (gradients.objectives * rows, self.weights.up_gate.outputs);
        let place = (self.layer, self.expert, self.spans);
        let activated = Rows::dense(&self.tape.activated[..rows * width], width);
        gradients.hand_out(place, &self.weights.down, activated, self.output, g);
        let d_activated = own.activated.room(stacked * width);
        linear_backward(Rows::dense(g, self.weights.down.outputs), &self.weights.down.values, false, d_activated);

        let up_gate = &self.tape.up_gate[..rows * joined];
        let d_up_gate = own.up_gate.room(stacked * joined);
        let objectives = d_activated.chunks_exact(rows * width).zip(d_up_gate.chunks_exact_mut(rows * joined));
        for (d_activated, d_up_gate) in objectives {
            if self.spec.gated {
                gate_backward(up_gate, self.spec.activation, width, d_activated, d_up_gate);
            } else {
                activate_backward(up_gate, self.spec.activation, d_activated, d_up_gate);
            }
        }
        gradients.hand_out(place, &self.weights.up_gate, self.input, Rows::dense(up_gate, joined), d_up_gate);
        linear_backward(Rows::dense(d_up_gate, joined), &self.weights.up_gate.values, add, d_input);
    }
}

/// Keeps `values` in `buffer` where the way back needs them.
pub(super) fn keep(keeps: bool, buffer: &mut Buffer, values: &[f32]) {
    if keeps {
        buffer.copy(values);
    }
}
