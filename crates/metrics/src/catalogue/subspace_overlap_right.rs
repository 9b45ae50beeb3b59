//! # Measures
//! Whether the k strongest directions among the cell's inputs are still the same: 1 = the same subspace, k/d = no more
//! than chance.
//!
//! # Formula
//! `||V0_k^T V1_k||_F^2 / k`, V0_k and V1_k being the k first right singular vectors before and after; mean squared
//! cosine of the principal angles. k is `--subspace-rank` (16).
//!
//! # Unit
//! Ratio between 0 and 1.
//!
//! # Direction
//! Low = the principal subspace moved.
//!
//! # Cost
//! The k first singular vectors of both matrices, from their Gram matrices by filtered subspace iteration; about as much
//! again as their singular values.
//!
//! # Misleads when
//! Compared between columns of different d without the chance level k/d (k = 16: .028 for d = 576, .083 for d = 192, .5
//! for d = 32). The k-th and the next singular value lie close together: then the subspace is hardly determined, and the
//! score says so where it is not determined at all. k must be below min(m, n).
//!
//! # Source
//! Normalised subspace similarity of LoRA, arXiv 2106.09685, section 7; principal angles in The Path Not Taken, arXiv
//! 2511.08567.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use crate::{DeltaNeeds, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("subspace-overlap-right"),
        title: Cow::Borrowed("Overlap of principal inputs"),
        summary: Cow::Borrowed("Share of the strongest right singular directions that the change left in place."),
        unit: Cow::Borrowed("ratio"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::Low,
        scope: Scope::Column,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("Chance level is k/d with d = n, the cell's number of inputs."),
    },
    source: include_str!("subspace_overlap_right.rs"),
    kind: Kind::Delta {
        needs: DeltaNeeds { principal: true, ..DeltaNeeds::NONE },
        score: |facts, _| facts.of_principal(|found| Score::from_value(found.overlap_right)),
    },
};
