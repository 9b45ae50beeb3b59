use tomo_map::{MetricInfo, Score};

use crate::Facts;

/// One entry of the registry: the metric's description, its manual and how it is computed.
pub struct Metric {
    /// What travels in the map.
    pub info: MetricInfo,
    /// The metric's own source file; its `//!` header is the manual that `explain` prints.
    pub source: &'static str,
    /// What it reads and how it is computed.
    pub kind: Kind,
}

/// What a metric reads.
#[non_exhaustive]
pub enum Kind {
    /// The weights of one cell, nothing else.
    Weights {
        /// Which shared facts it reads.
        needs: Needs,
        /// The score of one cell.
        score: fn(&Facts<'_>, &Options) -> Score,
        /// For metrics with an `@null` form: the power p with which the score scales when W is multiplied by c
        /// (`score(c W) = c^p score(W)`), so that one unit-variance baseline serves every cell of a shape.
        null: Option<i32>,
    },
}

/// Shared facts a weight metric can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// [`Facts::moments`].
    pub moments: bool,
    /// [`Facts::spectrum`].
    pub spectrum: bool,
    /// [`Facts::robust_sd`].
    pub robust_sd: bool,
    /// The entries themselves, for a sweep of its own.
    pub entries: bool,
}

impl Needs {
    /// None of them; for struct update in a `static`.
    pub const NONE: Self = Self { moments: false, spectrum: false, robust_sd: false, entries: false };
}

/// Settings that reach every metric.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// Group size of the grouped integer formats, along the input dimension.
    pub group: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { group: 128, seed: 0 }
    }
}
