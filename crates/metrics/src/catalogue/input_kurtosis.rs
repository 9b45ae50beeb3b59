//! # Measures
//! How heavy the tails of the inputs are.
//!
//! # Formula
//! `E[(x - mu)^4] / var^2`, pooled over tokens and columns; 3 for a Gaussian.
//!
//! # Unit
//! Ratio; 3 = Gaussian.
//!
//! # Direction
//! High = a few activations stand out: hard to quantise activations (and a hint at columns that weights must keep).
//!
//! # Cost
//! Three more sums in the sweep over the inputs.
//!
//! # Misleads when
//! Pooled: columns of unequal size count as tails, and one token with a massive activation (often the first of a sequence)
//! can be most of it. Sees the input only: four distinct columns out of seven.
//!
//! # Source
//! Fourth standardised moment. Activation outliers as the obstacle: LLM.int8, arXiv 2208.07339.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{CellFacts, Formula, Kind, Metric, Moments, Reads, Sums};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("input-kurtosis"),
        title: Cow::Borrowed("Input kurtosis"),
        summary: Cow::Borrowed("Kurtosis of the cell's inputs over tokens and columns; 3 for a Gaussian."),
        unit: Cow::Borrowed("kurtosis (Gaussian 3)"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Input,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("One token with a massive activation can be most of it."),
    },
    source: include_str!("input_kurtosis.rs"),
    kind: Kind::Activations {
        reads: Reads { moments: true, ..Reads::INPUTS },
        applies: |_| Ok(()),
        formula: Formula::Sums(score),
    },
};

fn score(sums: &Sums, cell: &CellFacts) -> Result<f64, &'static str> {
    let moments = Moments {
        count: sums.tokens * cell.cols,
        sum: sums.input,
        sum2: sums.input2,
        sum3: sums.input3,
        sum4: sums.input4,
        ..Moments::default()
    };
    let (m2, m4) = moments.central();
    // Below this the variance is what rounding left of two equal numbers.
    if m2 <= 1e-12 * sums.input2 / moments.count {
        return Err("the inputs do not vary");
    }
    Ok(m4 / (m2 * m2))
}
