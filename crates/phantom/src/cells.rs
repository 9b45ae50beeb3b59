use tomo_map::{CellId, Component};

/// Layers L.
pub const LAYERS: u32 = 28;
/// Hidden width D.
pub const HIDDEN: usize = 64;
/// MLP width F.
pub const FFN: usize = 128;
/// Query heads H.
pub const HEADS: usize = 4;
/// Key/value heads K.
pub const KV_HEADS: usize = 2;
/// Head width C.
pub const HEAD_DIM: usize = 16;
/// Vocabulary V.
pub const VOCAB: usize = 256;

/// Rows and columns, `out x in`, of a cell of `component`.
pub(crate) const fn shape(component: Component) -> (usize, usize) {
    match component {
        Component::AttnQ => (HEADS * HEAD_DIM, HIDDEN),
        Component::AttnK | Component::AttnV => (KV_HEADS * HEAD_DIM, HIDDEN),
        Component::AttnO => (HIDDEN, HEADS * HEAD_DIM),
        Component::MlpUp | Component::MlpGate => (FFN, HIDDEN),
        Component::MlpDown => (HIDDEN, FFN),
    }
}

/// Name of a cell's tensor in the llama dialect of Hugging Face.
pub(crate) fn tensor_name(layer: u32, component: Component) -> String {
    let module = match component {
        Component::AttnQ => "self_attn.q_proj",
        Component::AttnK => "self_attn.k_proj",
        Component::AttnV => "self_attn.v_proj",
        Component::AttnO => "self_attn.o_proj",
        Component::MlpUp => "mlp.up_proj",
        Component::MlpDown => "mlp.down_proj",
        Component::MlpGate => "mlp.gate_proj",
    };
    format!("model.layers.{layer}.{module}.weight")
}

/// A dense cell's address.
pub(crate) const fn cell(layer: u32, component: Component) -> CellId {
    CellId { layer, component, expert: None }
}

/// Every cell, in the order layer, component.
pub(crate) fn all() -> impl Iterator<Item = CellId> {
    (0..LAYERS).flat_map(|layer| Component::ALL.into_iter().map(move |component| cell(layer, component)))
}
