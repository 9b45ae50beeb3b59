//! What a map of changes says: how a checkpoint differs from its base, over all its metrics.
//!
//! A change may be spread or concentrated, may rescale or turn, may have low rank or not, and what of it a number format
//! stores depends on the size of the weights. Each of these is a statement about several metrics at once, made where
//! the map holds them.

mod gather;
mod rank;
mod sentence;

use std::fmt::Write;

use tomo_map::{Component, Map, RankCorrelation};

use super::claim::Claim;
use super::words::{column, number};
use super::{escape, findings, measured};

pub(super) use gather::claims;

/// Family of the metrics that compare two checkpoints.
const FAMILY: &str = "delta";
/// Metrics that count changed weights.
const DENSITIES: [&str; 4] = ["update-density", "update-density-tol", "update-density-bf16", "density-lower-bound"];
/// Size of the base's weights.
const SIZE: &str = "base-rms";

/// One statement about what changed between two checkpoints.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Change {
    /// Some cells are as they were.
    Untouched {
        /// How many.
        cells: usize,
        /// Cells that were compared.
        of: usize,
        /// Columns of which no cell changed.
        columns: Vec<Component>,
    },
    /// How evenly the change is spread over the weights.
    Spread {
        /// Cells with a change.
        cells: usize,
        /// Share of the weights over which an even change of this unevenness would be spread, above 0 and up to 1.
        even_over: f64,
    },
    /// What the most changed cells hold.
    Most {
        /// How many cells: a tenth, those with most change per weight.
        cells: usize,
        /// Their share of the change.
        change: f64,
        /// Their share of the weights.
        weights: f64,
    },
    /// How much of the change is a rescaling of the matrix.
    Scaled {
        /// Share of the change.
        share: f64,
        /// Columns in which it is at least half, with its share there.
        columns: Vec<(Component, f64)>,
    },
    /// The column that changed most is another one once rescaling is left out.
    Misleads {
        /// By `delta-relative`.
        relative: Component,
        /// By `delta-direction`.
        direction: Component,
    },
    /// Numerical rank of the change.
    Rank {
        /// Cells in which it is full.
        full: usize,
        /// Cells in which it is at most a quarter of the full rank.
        low: usize,
        /// Cells with a rank.
        of: usize,
    },
    /// Effective rank of the change beside that of random matrices of the same shape.
    EffectiveRank {
        /// Median over cells of the one over the other.
        median: f64,
        /// Smallest and largest.
        range: (f64, f64),
        /// Cells with one.
        cells: usize,
    },
    /// Whether a density goes with 1 / rms of the base.
    Size {
        /// Id of the density.
        metric: String,
        /// Rank correlation of the two.
        order: RankCorrelation,
    },
    /// What bf16 does to small updates.
    Absorbs,
    /// What one metric says of the columns.
    By {
        /// Id of the metric.
        metric: String,
        /// What it says.
        claim: Box<Claim>,
    },
    /// In which columns a metric changes along depth.
    Depth {
        /// Id of the metric.
        metric: String,
        /// The changes.
        changes: Vec<Claim>,
    },
}

/// The section; empty for a map that compares no checkpoints.
pub(super) fn section(map: &Map, claims: &[Change]) -> String {
    if claims.is_empty() {
        return String::new();
    }
    let mut text = "## What training changed\n\n".to_owned();
    claims.iter().for_each(|claim| text.push_str(&format!("- {}\n", sentence::of(claim))));
    text.push('\n');
    text.push_str(&beside_size(map));
    text
}

/// Densities beside the size of the base's weights, by column; empty without both, or where nothing changed.
fn beside_size(map: &Map) -> String {
    let views: Vec<_> = [SIZE].iter().chain(&DENSITIES).filter_map(|id| measured(map, map.column(id)?)).collect();
    let changed = views.iter().skip(1).any(|v| v.values().any(|(_, _, value)| value != 0.0));
    if views.len() < 2 || views[0].info.id != SIZE || !changed {
        return String::new();
    }
    let mut text = "Medians by column, densities beside the size of the base's weights:\n\n| column |".to_owned();
    views.iter().for_each(|v| text.push_str(&format!(" {} |", escape::code(&v.info.id))));
    text.push_str("\n|:--|");
    views.iter().for_each(|_| text.push_str("--:|"));
    text.push('\n');
    for component in Component::ALL {
        let medians: Vec<Option<f64>> = views.iter().map(|v| Some(v.profile(component)?.median)).collect();
        if medians.iter().all(Option::is_none) {
            continue;
        }
        let shown = medians.into_iter().map(|m| m.map_or_else(|| "-".to_owned(), number));
        let _ = writeln!(text, "| {} | {} |", column(component), shown.collect::<Vec<_>>().join(" | "));
    }
    text.push('\n');
    text
}

/// What the statements of this section rest on.
pub(super) const READING: &str = "\
- The change of a cell is ||dW||², the sum of squared differences. Were all of it spread evenly over a share s of the
  weights and none over the rest, the sum over cells of (share of change)² / (share of weights) would be 1 / s; that s is
  given, and called uniform from 80 % up and concentrated up to 50 %.
- dW is split into the part along W (rescaling) and the part across it (turning); their squares add up to ||dW||².
- 1 / rms is held against a density by Spearman's rank correlation; its square is the share of the variation in ranks that
  the one explains of the other. Intervals come from resampling cells.
- The effective rank of random matrices is that of independent entries in the limit of large matrices of the shape.
";
