//! What the eight `err-*` metrics share: their description and their score.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope, Score, Status};
use tomo_quant::ErrorSums;

use crate::{Facts, Kind, Metric, Options};

/// The registry entry of a quantization error; `source` is the metric's own file, `format` the format's id.
pub(crate) const fn metric(
    id: &'static str,
    title: &'static str,
    summary: &'static str,
    source: &'static str,
    format: &'static str,
) -> Metric {
    Metric {
        info: MetricInfo {
            id: Cow::Borrowed(id),
            title: Cow::Borrowed(title),
            summary: Cow::Borrowed(summary),
            unit: Cow::Borrowed("ratio"),
            family: Cow::Borrowed("error"),
            meaning: Meaning::Fragile,
            direction: Direction::High,
            scope: Scope::Map,
            additivity: Additivity::NonNegative,
            middle: None,
            proxy: true,
            caveat: Cow::Borrowed(
                "The rounding error of the weights, not the damage to the model: cells with equal errors can differ a hundredfold in loss.",
            ),
        },
        source,
        kind: Kind::Error { format },
    }
}

/// `||W - Q(W)||_F / ||W||_F` for the format called `format`.
pub(crate) fn score(format: &str, facts: &Facts<'_>, options: &Options) -> Score {
    let Some(format) = tomo_quant::find(format) else {
        return Score::missing(Status::NotApplicable, format!("no format is called {format}"));
    };
    let matrix = tomo_quant::Matrix::new(facts.matrix.values, facts.matrix.cols, options.group);
    match matrix.and_then(|matrix| format.check(&matrix).map(|()| matrix)) {
        Err(shape) => Score::missing(Status::NotApplicable, shape.to_string()),
        Ok(matrix) => {
            let weight2 = facts.moments().sum2;
            if weight2 == 0.0 {
                return Score::missing(Status::Undefined, "all weights are zero");
            }
            Score::from_value(ErrorSums { error2: format.error2(&matrix), weight2 }.relative())
        }
    }
}
