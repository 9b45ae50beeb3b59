//! # Measures
//! Whether training changed what the cell was already strongest at: above 1 on the principal directions, below 1 away
//! from them.
//!
//! # Formula
//! `||U0_k^T dW V0_k||_F / ||dW||_F`, divided by `k / sqrt(m n)`, its root mean square for a dW without direction. U0_k
//! and V0_k are the k first singular vectors of W0; k is `--subspace-rank` (16).
//!
//! # Unit
//! Times chance. `sqrt(m n) / k` is the most.
//!
//! # Direction
//! Neither. Reinforcement learning is reported to stay off the principal directions (below 1), supervised tuning to go on
//! them (above 1).
//!
//! # Cost
//! The k first singular vectors of W0, shared with `subspace-overlap-*`, and two thin products.
//!
//! # Misleads when
//! The change is mostly a rescaling, which lies on the principal directions as W0 does. Rounding of either checkpoint
//! counts as a change without direction.
//!
//! # Source
//! The Path Not Taken, arXiv 2511.08567.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score};

use super::delta::{UNCHANGED, undefined};
use crate::{DeltaFacts, DeltaNeeds, Kind, Metric, Options};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("delta-on-principal"),
        title: Cow::Borrowed("Change on principal directions"),
        summary: Cow::Borrowed(
            "Share of the change that acts within the strongest directions before it, in units of chance.",
        ),
        unit: Cow::Borrowed("times chance"),
        family: Cow::Borrowed("delta"),
        meaning: Meaning::Changed,
        direction: Direction::Neutral,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: Some(1.0),
        proxy: false,
        caveat: Cow::Borrowed("Chance is that of a change without direction: k / sqrt(m n)."),
    },
    source: include_str!("delta_on_principal.rs"),
    kind: Kind::Delta { needs: DeltaNeeds { sums: true, principal: true, ..DeltaNeeds::NONE }, score },
};

fn score(facts: &DeltaFacts, _: &Options) -> Score {
    let delta2 = match &facts.change {
        Ok(change) => change.delta2,
        Err(score) => return score.clone(),
    };
    if delta2 == 0.0 {
        return undefined(UNCHANGED);
    }
    let numel = facts.rows as f64 * facts.cols as f64;
    facts.of_principal(|found| Score::from_value(found.core / delta2.sqrt() * numel.sqrt() / found.rank as f64))
}
