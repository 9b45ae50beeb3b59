use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Component;

/// The address of one weight matrix: a component of a layer, and for mixtures which expert.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct CellId {
    /// Layer, counted from 0.
    pub layer: u32,
    /// Which projection.
    pub component: Component,
    /// Expert index for mixtures of experts; `None` for a dense projection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expert: Option<u32>,
}

impl fmt::Display for CellId {
    /// `L12.mlp.down`, and `L12.mlp.down[3]` for an expert.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}.{}", self.layer, self.component)?;
        self.expert.map_or(Ok(()), |e| write!(f, "[{e}]"))
    }
}

/// One weight matrix as the map describes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// Its address.
    #[serde(flatten)]
    pub id: CellId,
    /// Output features (rows of W).
    pub out_features: u64,
    /// Input features (columns of W).
    pub in_features: u64,
    /// The tensor that holds it, as the checkpoint names it (fused tensors hold several cells).
    pub tensor: String,
    /// How the checkpoint stores it, e.g. `BF16` or `Q4_K`.
    pub dtype: String,
}

impl Cell {
    /// Number of weights; of a shape that [`Map::validate`](crate::Map::validate) refuses, the largest `u64`.
    pub fn numel(&self) -> u64 {
        self.out_features.saturating_mul(self.in_features)
    }
}

/// A column that the family does not have, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MissingColumn {
    /// The component that is absent from every layer.
    pub component: Component,
    /// For the reader: "starcoder2 has an ungated MLP".
    pub reason: String,
}

/// The cells of a model, in the order layer, component, expert.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Grid {
    /// Number of layers L.
    pub layers: u32,
    /// Cells, sorted by [`CellId`].
    pub cells: Vec<Cell>,
    /// Columns that no layer has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MissingColumn>,
}
