//! # Measures
//! How large the inputs of the cell are on the text.
//!
//! # Formula
//! A_j = mean over tokens of `x_tj^2`, one for each input column j; the score is `mean_j A_j`. Of an expert: over the tokens
//! sent to it. A_j is what llama.cpp's imatrix holds.
//!
//! # Unit
//! Squared activation units.
//!
//! # Direction
//! High = large inputs, so that an error of the weights makes a large error of the output.
//!
//! # Cost
//! One sweep over the inputs, which every metric of the inputs shares.
//!
//! # Misleads when
//! It sees the input only: q, k and v read the same one, and so do up and gate, which makes four distinct columns out of
//! seven. A norm's gain folded into the next matrices changes it without changing the model, and in many models it grows
//! with depth because the residual stream does.
//!
//! # Source
//! llama.cpp imatrix (pull request 4861): sums of squared inputs and token counts.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{Formula, Kind, Metric, Reads};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("input-energy"),
        title: Cow::Borrowed("Input energy"),
        summary: Cow::Borrowed("Mean square of the cell's inputs on the text."),
        unit: Cow::Borrowed("squared activation units"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Used,
        direction: Direction::High,
        scope: Scope::Input,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed(
            "Sees the input only; a factor can move from the input to the weights without changing the model.",
        ),
    },
    source: include_str!("input_energy.rs"),
    kind: Kind::Activations {
        reads: Reads::INPUTS,
        applies: |_| Ok(()),
        formula: Formula::Sums(|sums, cell| Ok(sums.input2 / (sums.tokens * cell.cols))),
    },
};
