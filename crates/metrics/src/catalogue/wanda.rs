//! # Measures
//! How large the products of weights and inputs are: what pruning by Wanda compares.
//!
//! # Formula
//! `s_ij = |W_ij| sqrt(A_j)` with A_j the mean square of input column j over tokens; the score is the mean of s over all
//! weights.
//!
//! # Unit
//! Weight units times activation units.
//!
//! # Direction
//! High = keep.
//!
//! # Cost
//! One sweep over the inputs and one over the weights (sums of |W| by column), shared with `owl-outliers`.
//! The interval takes the columns' energies of every resample: sequences x columns x resamples products.
//!
//! # Misleads when
//! It compares weights within a row in its own method, not matrices with each other: across columns of the map it follows
//! the sizes of W and x. Inputs are taken as uncorrelated.
//!
//! # Source
//! Sun et al. 2023, arXiv 2306.11695. The reference implementation sums over the tokens of a sequence and takes the
//! mean over sequences, a constant factor with sequences of one length; here it is the mean over tokens.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{Formula, Kind, Metric, Reads};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("wanda"),
        title: Cow::Borrowed("Wanda"),
        summary: Cow::Borrowed("Mean of |W| times the root mean square of its input."),
        unit: Cow::Borrowed("weight x activation units"),
        family: Cow::Borrowed("activations"),
        meaning: Meaning::Used,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed("Follows the sizes of weights and inputs; inputs are taken as uncorrelated."),
    },
    source: include_str!("wanda.rs"),
    kind: Kind::Activations {
        reads: Reads::INPUTS,
        applies: |_| Ok(()),
        formula: Formula::Salience(|salience| salience.mean),
    },
};
