//! # Measures
//! How large the outputs of the cell are on the text.
//!
//! # Formula
//! `mean_t ||W x_t||^2`, without bias: what the matrix contributes. Of an expert: over the tokens sent to it, before the
//! routing weight.
//!
//! # Unit
//! Squared activation units.
//!
//! # Direction
//! High = the cell says more.
//!
//! # Cost
//! One sweep over the outputs.
//!
//! # Misleads when
//! A norm behind the matrix (q and k norms, post-norms) takes the size away again; in gated MLPs up and gate are multiplied,
//! so that a factor can move between them; k's component along the queries' mean changes no attention weight.
//! Wider outputs have larger sums.
//!
//! # Source
//! Output norms as in activation pruning. It does not change when a factor moves from the input to the weights.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{Formula, Kind, Metric, Reads};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("output-energy"),
        title: Cow::Borrowed("Output energy"),
        summary: Cow::Borrowed("Mean squared norm of what the matrix makes of its inputs, without bias."),
        unit: Cow::Borrowed("squared activation units"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Used,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("A norm or a multiplication behind the cell may take the size away again."),
    },
    source: include_str!("output_energy.rs"),
    kind: Kind::Activations {
        reads: Reads { outputs: true, ..Reads::INPUTS },
        applies: |_| Ok(()),
        formula: Formula::Sums(|sums, _| Ok(sums.output2 / sums.tokens)),
    },
};
