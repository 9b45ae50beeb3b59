//! The reference figure's levels, planted as the rms of the cells: five facts, one per group of columns.

use tomo_map::Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};

use super::figure::{flat, gate, level, step};
use super::{Fact, Plant};

pub(super) const VALUE_HIGH: Fact = Fact {
    id: "value-high",
    sentence: "attn.v has an rms of 0.15 to 0.16 in layers 0-15 and is paler, 0.14 to 0.15, in layers 18-27",
    metrics: &["rms"],
    check: |map| step(map, "rms", AttnV, (0.15, 0.16), (0.14, 0.15)),
    plant: Plant::Rms(|id| (id.component == AttnV).then(|| level(id))),
};

pub(super) const OUTPUT_STEP: Fact = Fact {
    id: "output-step",
    sentence: "attn.o has an rms of 0.15 to 0.16 in layers 0-15 and falls to 0.13 to 0.14 in layers 18-27",
    metrics: &["rms"],
    check: |map| step(map, "rms", AttnO, (0.15, 0.16), (0.13, 0.14)),
    plant: Plant::Rms(|id| (id.component == AttnO).then(|| level(id))),
};

pub(super) const QUERY_KEY_LOW: Fact = Fact {
    id: "query-key-low",
    sentence: "attn.q and attn.k have an rms of 0.12 to 0.13 in every layer",
    metrics: &["rms"],
    check: |map| flat(map, "rms", [AttnQ, AttnK], 0.12, 0.13),
    plant: Plant::Rms(|id| matches!(id.component, AttnQ | AttnK).then(|| level(id))),
};

pub(super) const UP_DOWN_MIDDLE: Fact = Fact {
    id: "up-down-middle",
    sentence: "mlp.up and mlp.down have an rms of 0.13 to 0.14 in every layer",
    metrics: &["rms"],
    check: |map| flat(map, "rms", [MlpUp, MlpDown], 0.13, 0.14),
    plant: Plant::Rms(|id| matches!(id.component, MlpUp | MlpDown).then(|| level(id))),
};

pub(super) const GATE_LOWEST: Fact = Fact {
    id: "gate-lowest",
    sentence: "mlp.gate has the lowest rms of its row, 0.12 to 0.13, in layers 0-15 and rises to 0.13 to 0.14 in 18-27",
    metrics: &["rms"],
    check: |map| gate(map, "rms"),
    plant: Plant::Rms(|id| (id.component == MlpGate).then(|| level(id))),
};
