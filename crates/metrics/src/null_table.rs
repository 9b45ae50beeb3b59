//! The `@null` forms during a scan: every baseline that its cells need, scored once by every metric that asks.

use std::collections::BTreeMap;

use tomo_map::{MetricInfo, Score, Status};
use tomo_model::Model;

use crate::null::{Baselines, Null};
use crate::{Facts, Form, Kind, Request, Selected};

/// Baselines by shape (long, short) and metric id.
pub(crate) struct NullTable(BTreeMap<(usize, usize), BTreeMap<&'static str, Option<Null>>>);

impl NullTable {
    /// Draws or reads what the request's `@null` forms need for the cells of `model`; nothing if there are none.
    pub(crate) fn new(model: &Model, request: &Request) -> Self {
        let forms: Vec<&Selected> = request.metrics.iter().filter(|s| s.form == Form::Null).collect();
        let mut table = BTreeMap::new();
        if forms.is_empty() {
            return Self(table);
        }
        let mut baselines = Baselines::new(request.options.seed, request.cache_dir.as_deref());
        for cell in model.cells() {
            let (Ok(rows), Ok(cols)) = (usize::try_from(cell.out_features), usize::try_from(cell.in_features)) else {
                continue;
            };
            table.entry(shape(rows, cols)).or_insert_with(|| {
                let baseline = baselines.of_shape(rows, cols);
                let null = |s: &&Selected| (s.metric.info.id.as_ref(), baseline.null(s.metric, &request.options));
                forms.iter().map(null).collect()
            });
        }
        Self(table)
    }

    /// `(score - null) / null`, the baseline brought to the spread of the cell.
    pub(crate) fn relative(&self, selected: &Selected, facts: &Facts<'_>, score: Score) -> Score {
        let Some(value) = score.value() else { return score };
        let power = if let Kind::Weights { null, .. } = selected.metric.kind { null } else { None };
        let key = shape(facts.matrix.rows, facts.matrix.cols);
        let null = self.0.get(&key).and_then(|by_metric| *by_metric.get(selected.metric.info.id.as_ref())?);
        let (Some(power), Some(null)) = (power, null) else {
            return Score::missing(Status::Undefined, "random matrices of this shape have no score to compare with");
        };
        let numel = facts.matrix.rows as f64 * facts.matrix.cols as f64;
        let rms = (facts.spectrum().iter().map(|s| s * s).sum::<f64>() / numel).sqrt();
        let mean = null.mean * rms.powi(power);
        if mean == 0.0 {
            return Score::missing(Status::Undefined, "random matrices of this shape score 0");
        }
        Score::from_value((value - mean) / mean)
    }

    /// The description of a selected metric; of an `@null` form with what is known of its baseline.
    pub(crate) fn info(&self, selected: &Selected) -> MetricInfo {
        let mut info = selected.info();
        if selected.form == Form::Null {
            let id = selected.metric.info.id.as_ref();
            let nulls = self.0.values().filter_map(|by_metric| *by_metric.get(id)?);
            let spread = nulls.map(|null| (null.sd / null.mean).abs()).fold(0.0, f64::max);
            info.caveat = format!(
                "Against the mean of seeded random matrices of the cell's shape; one of them is off by {:.1} % at most (sd). {}",
                100.0 * spread,
                selected.metric.info.caveat
            )
            .into();
        }
        info
    }
}

fn shape(rows: usize, cols: usize) -> (usize, usize) {
    (rows.max(cols), rows.min(cols))
}
