use serde::Serialize;
use tomo_map::{Direction, Score, Status};

/// How one column stands beside the ground truth.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Id of the metric, or name of the control.
    pub id: String,
    /// Its name in words.
    pub title: String,
    /// Name of the map it is from; empty for a control.
    pub map: String,
    /// What it is.
    pub kind: Kind,
    /// Which end of its scale it calls important.
    pub side: Side,
    /// True where its numbers may be compared within one column of the map only: the correlation over all cells is then not its claim.
    pub by_column: bool,
    /// Cells that have both a score and a cost.
    pub cells: usize,
    /// Scores against costs.
    pub raw: Form,
    /// Both over the number of weights, what allocation asks for. A score that is no amount of the whole matrix is taken as it is.
    pub per_parameter: Form,
}

/// What a row is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A metric that describes.
    Metric,
    /// A metric that stands in for damage.
    Proxy,
    /// Damage that was measured in another way, or on another text.
    Measured,
    /// An order that knows nothing of the weights.
    Control,
}

/// Which end of a scale a row calls important.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// High scores.
    High,
    /// Low scores: they are turned, so that a positive correlation is what the metric claims.
    Low,
    /// Neither: the sign of the correlation is what was found, not what was claimed.
    Neutral,
}

impl From<Direction> for Side {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::High => Self::High,
            Direction::Low => Self::Low,
            Direction::Neutral => Self::Neutral,
        }
    }
}

/// How one order of cells agrees with another; correlations have 95 % intervals.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Form {
    /// Spearman's rank correlation over all cells.
    pub rho: Score,
    /// Kendall's tau-b.
    pub kendall: Score,
    /// Spearman's inside each column, mean over columns.
    pub within_columns: Score,
    /// Spearman's inside each layer, mean over layers.
    pub within_layers: Score,
    /// Share of the costliest cells (a tenth) among the highest scores.
    pub top_overlap: Score,
    /// Spearman's given the control "column mean and cubic in depth": what the score knows beyond the place.
    pub partial: Score,
    /// `rho` minus that of the same control, on the same samples.
    pub over_control: Score,
}

impl Form {
    pub(crate) fn undefined(reason: &str) -> Self {
        let none = || Score::missing(Status::Undefined, reason);
        Self {
            rho: none(),
            kendall: none(),
            within_columns: none(),
            within_layers: none(),
            top_overlap: none(),
            partial: none(),
            over_control: none(),
        }
    }
}

impl Row {
    /// By what the rows are sorted: the correlation, or its size where the row takes no side.
    pub fn strength(&self, form: &Form) -> Option<f64> {
        let rho = form.rho.value()?;
        Some(if self.side == Side::Neutral { rho.abs() } else { rho })
    }
}
