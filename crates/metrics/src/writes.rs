//! What the metrics of the residual stream share.

use tomo_map::{CellId, Component};

/// Why no token says anything.
pub(crate) const NO_RESIDUAL: &str = "the residual stream is zero at every token";

/// Whether the cell's output is what its sublayer adds to the residual stream.
pub(crate) fn ends_a_sublayer(cell: CellId) -> Result<(), &'static str> {
    match cell.component {
        Component::AttnO | Component::MlpDown => Ok(()),
        _ => Err("only attn.o and mlp.down write to the residual stream"),
    }
}
