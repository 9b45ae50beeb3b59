//! What adapting or training a cell is worth: a column of the map, taken at its word.
//!
//! Nothing here was measured by training. Cells that move the loss most when they change (Fisher's diagonal, gradients) are taken to be
//! those that learn most; whether they are is the user's to check.

use tomo_map::{Additivity, Column, Direction, Map};

use crate::cost::columns::{command, unusable, value};
use crate::{CostModel, CostSource, PlanError};

/// Columns that say it, the preferred first.
const PREFERRED: [&str; 5] = ["fisher", "gradient-norm", "relative-gradient-norm", "taylor", "delta-relative"];

/// A worth per cell of the grid, at least 0.
pub(crate) struct Worth<'a> {
    pub(crate) column: &'a Column,
    pub(crate) values: Vec<f64>,
    /// Whether values are sums over weights, not averages.
    pub(crate) additive: bool,
    pub(crate) source: CostSource,
}

impl<'a> Worth<'a> {
    /// From the column that `model` names, or the first of `preferred` that the map has.
    pub(crate) fn new(map: &'a Map, model: &CostModel, preferred: &[&str]) -> Result<Self, PlanError> {
        let column = match model {
            CostModel::Metric(id) => Some(map.column(id).ok_or_else(|| missing(map, &[id]))?),
            CostModel::Auto => preferred.iter().find_map(|id| map.column(id)),
            costs => {
                let reason = "it is a cost of storing cells; name a metric that says where to train".to_owned();
                return Err(PlanError::Metric { metric: costs.to_string(), reason });
            }
        };
        let column = column.ok_or_else(|| missing(map, preferred))?;
        let values = (0..map.grid.cells.len()).map(|cell| Ok(value(map, column, cell)?.abs()));
        let values = values.collect::<Result<Vec<f64>, PlanError>>()?;
        let (values, how) = directed(map, column, values)?;
        let source = CostSource {
            metrics: vec![column.info.id.to_string()],
            how: format!("{how}: a heuristic, no training was run"),
            unit: column.info.unit.to_string(),
            proxy: true,
        };
        Ok(Self { column, values, additive: column.info.additivity == Additivity::Additive, source })
    }

    /// Of adapters and training.
    pub(crate) fn of_training(map: &'a Map, model: &CostModel) -> Result<Self, PlanError> {
        Self::new(map, model, &PREFERRED)
    }
}

fn missing(map: &Map, preferred: &[&str]) -> PlanError {
    PlanError::Columns {
        model: "what training a cell is worth".to_owned(),
        missing: format!("any of {}", preferred.join(", ")),
        command: command(map, &preferred[..1]),
    }
}

/// Values of which a higher one marks the more important cell.
fn directed(map: &Map, column: &Column, values: Vec<f64>) -> Result<(Vec<f64>, String), PlanError> {
    let id = &column.info.id;
    match column.info.direction {
        Direction::High => Ok((values, id.to_string())),
        Direction::Low if values.contains(&0.0) => Err(unusable(map, column, |at| values[at] == 0.0)),
        Direction::Low => Ok((values.iter().map(|value| 1.0 / value).collect(), format!("1 / {id}"))),
        Direction::Neutral => {
            let reason = "it does not say which cells are important".to_owned();
            Err(PlanError::Metric { metric: id.to_string(), reason })
        }
    }
}
