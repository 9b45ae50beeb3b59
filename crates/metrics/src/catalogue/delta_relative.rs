//! # Measures
//! How large the change of a cell is, against the cell.
//!
//! # Formula
//! `||dW||_F / ||W0||_F` with `dW = W1 - W0`, summed in f64.
//!
//! # Unit
//! Ratio; 0 where nothing changed.
//!
//! # Direction
//! High = trained hard.
//!
//! # Cost
//! Part of one sweep over both checkpoints that all sums share: reading speed, no matrix in memory.
//!
//! # Misleads when
//! A cell was only rescaled. In DeepSeek-R1-Distill-Qwen-7B every `attn.o` is the base's times 1.37 to 1.39 at a cosine
//! of .992 to .997, and that alone makes it the column that "changed most". So it is never shown without its two parts,
//! `delta-scale` and `delta-direction`; selecting it selects them. Of two checkpoints in different formats it includes
//! the rounding of both.
//!
//! # Source
//! The relative norms of mklabunde/localizing-reasoning, `weight_diff.ipynb` (0847d9d).

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::delta::{ZERO_BASE, undefined};
use crate::{DeltaNeeds, Kind, Metric, PairSums};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("delta-relative"),
        title: Cow::Borrowed("Relative change"),
        summary: Cow::Borrowed("Size of the change against the size of the weights before it."),
        unit: Cow::Borrowed("ratio"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("Rescaling alone makes it large: read it beside delta-scale and delta-direction."),
    },
    source: include_str!("delta_relative.rs"),
    kind: Kind::Delta { needs: DeltaNeeds::SUMS, score: |facts, _| facts.of_pair(score) },
};

fn score(sums: &PairSums) -> Score {
    if sums.base2 == 0.0 {
        return undefined(ZERO_BASE);
    }
    Score::from_value((sums.change.delta2 / sums.base2).sqrt())
}
