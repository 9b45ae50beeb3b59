//! # What it does
//! The cell puts out what it puts out on another sequence of the text.
//!
//! # Algorithm
//! The output at a position becomes the one that the unchanged model has at the same position of the next sequence (of the first
//! after the last). Positions that the next sequence does not have are left as they are.
//!
//! # Misleads when
//! There are few sequences: each has one partner only. Not for one sequence, and not for experts, whose tokens have no partner.
//!
//! # Source
//! Resample ablation of causal scrubbing (Chan et al. 2022).

use super::Edit;

pub(super) fn parse(words: &[&str]) -> Option<Edit> {
    words.is_empty().then_some(Edit::Resample)
}
