//! # What it does
//! The cell puts out the same row for every token: the mean of what it puts out on the text.
//!
//! # Algorithm
//! `y = m` in place of `y = W x + b`; m is the mean of y over all positions of all sequences, in the unchanged model, summed in
//! f64. A pass before the measurement collects it. Of an expert, the mean over the tokens routed to it; an expert that saw no
//! token is left as it is, and that is said.
//!
//! # Misleads when
//! One token with a giant output (often the first) pulls the mean to where no token is. Several cells set to their means: each
//! mean is of the unchanged model.
//!
//! # Source
//! Wang et al. 2022 (arXiv 2211.00593), with the whole text as the reference distribution.

use super::Edit;

pub(super) fn parse(words: &[&str]) -> Option<Edit> {
    words.is_empty().then_some(Edit::Mean)
}
