//! # What it does
//! The cell puts out 0, its bias included, whatever it reads.
//!
//! # Algorithm
//! `y = 0` in place of `y = W x + b`, before any norm, clamp or rotation. Of an expert: for the tokens routed to it.
//!
//! # Misleads when
//! The model relies on the cell's mean rather than on what it says about a token: `mean` asks that. Zero ablation has fewer
//! distinct columns than there are components: q and k at 0 are the same function (attention becomes uniform), so are v and o,
//! and up, gate and down of a gated MLP, where no bias or norm comes between.
//!
//! # Source
//! Best practices of activation patching (Heimersheim and Nanda, arXiv 2404.15255).

use super::Edit;

pub(super) fn parse(words: &[&str]) -> Option<Edit> {
    words.is_empty().then_some(Edit::Zero)
}
