//! # Measures
//! Whether the inputs point where the matrix is strong.
//!
//! # Formula
//! `mean_t ||W x_t / ||x_t|| || / (||W||_F / sqrt n)`, without bias; tokens whose input is zero are left out. The denominator is
//! what a random direction gives on average (in the mean square), so that 1 says: no better than random. A closed form of
//! the normalised feature norm, without a random draw.
//!
//! # Unit
//! Ratio; 1 = a random direction.
//!
//! # Direction
//! High = inputs and weights are aligned. PLoP puts adapters on the module types where it is lowest.
//!
//! # Cost
//! One sweep over the outputs and one over the inputs.
//!
//! # Misleads when
//! One strong direction that every input shares (a massive activation, a mean that is not zero) makes it high by itself.
//!
//! # Source
//! PLoP, arXiv 2506.20629; its code draws Gaussian inputs for the denominator.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{CellFacts, Formula, Kind, Metric, Reads, Sums};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("nfn"),
        title: Cow::Borrowed("Normalised feature norm"),
        summary: Cow::Borrowed("Norm of the output for inputs of unit length, relative to random directions."),
        unit: Cow::Borrowed("ratio to a random direction"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Used,
        direction: Direction::Neutral,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: Some(1.0),
        proxy: false,
        caveat: Cow::Borrowed("One direction that all inputs share makes it high by itself."),
    },
    source: include_str!("nfn.rs"),
    kind: Kind::Activations {
        reads: Reads { gains: true, norm: true, ..Reads::INPUTS },
        applies: |_| Ok(()),
        formula: Formula::Sums(score),
    },
};

fn score(sums: &Sums, cell: &CellFacts) -> Result<f64, &'static str> {
    if sums.gain_tokens == 0.0 {
        return Err("every input is zero");
    }
    if cell.frobenius == 0.0 {
        return Err("all weights are zero");
    }
    Ok(sums.gain / sums.gain_tokens / (cell.frobenius / cell.cols.sqrt()))
}
