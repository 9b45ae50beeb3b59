//! What a checkpoint holds, by name and size: enough to say how large a file becomes and what other programs call its parts.

use serde::{Deserialize, Serialize};

/// What a tensor, or a cell's part of one, is called in the two dialects of checkpoints.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Names {
    /// The tensor in GGUF, `blk.3.attn_q.weight`; several cells may share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gguf: Option<String>,
    /// The tensor in a Hugging Face checkpoint, `model.layers.3.self_attn.q_proj.weight`; several cells may share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugging_face: Option<String>,
}

/// A tensor that holds no cell: an embedding, a norm, a bias.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OtherTensor {
    /// Its name in the checkpoint.
    pub tensor: String,
    /// What it is for: `embedding`, `head`, `norm`, `bias`, `router`, …; `unknown` where nothing claims it.
    pub role: String,
    /// Dimensions, slowest first.
    pub shape: Vec<u64>,
    /// How the checkpoint stores it, e.g. `F32`.
    pub dtype: String,
    /// Bytes it takes there.
    pub bytes: u64,
    /// What it is called.
    #[serde(flatten)]
    pub names: Names,
}

/// What a GGUF file has beside its tensors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GgufHeader {
    /// Bytes of all metadata entries as a quantizer writes them: with `general.quantization_version` and `general.file_type`, and
    /// without what numbers the parts of a split file.
    pub metadata_bytes: u64,
    /// Tensors start at multiples of so many bytes.
    pub alignment: u64,
}

/// Names of the cells and tensors that are no cells, of the checkpoint a map was made from.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// Parallel to the cells of the grid.
    pub cells: Vec<Names>,
    /// All tensors that hold no cell, sorted by name.
    pub others: Vec<OtherTensor>,
    /// Of a GGUF file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gguf: Option<GgufHeader>,
}
