//! # What it does
//! The cell is as it was: whatever an earlier change said of it is undone.
//!
//! # Algorithm
//! Changes are read in order and the last word on a cell counts, so `all=int3` followed by `L5=restored` is the model with
//! everything but layer 5 quantized.
//!
//! # Misleads when
//! It stands first: there is nothing to undo yet.
//!
//! # Source
//! The counterpart of ablation: what one part is worth when the rest is damaged (as in MoRF and LeRF curves, Samek et al., arXiv
//! 1509.06321).

use super::Edit;

pub(super) fn parse(words: &[&str]) -> Option<Edit> {
    words.is_empty().then_some(Edit::Restored)
}
