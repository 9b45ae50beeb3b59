//! What every metric has to beat: orders of cells that need no look at the weights.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tomo_map::{Score, Status};

use crate::ground::Ground;
use crate::position::column_means;
use crate::{Form, Kind, Row, Side};

/// Random orders in the mean.
const RANDOM_ORDERS: u64 = 5;

/// The controls over the cells of a ground truth; `per_parameter` is the same truth over the number of weights.
pub(crate) fn rows(raw: &Ground, per_parameter: Option<&Ground>, numel: &[f64], seed: u64) -> Vec<Row> {
    let layers: Vec<f64> = raw.positions().iter().map(|p| f64::from(p.layer)).collect();
    let each = |of: &dyn Fn(&Ground) -> Form| Forms { raw: of(raw), per_parameter: per_parameter.map(of) };
    let random = Forms {
        raw: random_orders(raw, None, seed),
        per_parameter: per_parameter.map(|ground| random_orders(ground, Some(numel), seed)),
    };
    let shares: Vec<f64> = numel.iter().map(|n| 1.0 / n).collect();
    let size = Forms { raw: raw.form(numel), per_parameter: per_parameter.map(|ground| ground.form(&shares)) };
    vec![
        random.row("random", "Random orders, mean of five", Side::High, raw),
        size.row("numel", "Number of weights", Side::Neutral, raw),
        each(&|ground| ground.form(&layers)).row("layer", "Layer index", Side::Neutral, raw),
        each(&|ground| ground.form(&column_means(ground.positions(), ground.truth()))).row(
            "column-mean",
            "Mean rank of the column's costs",
            Side::High,
            raw,
        ),
        each(&|ground| match ground.control() {
            Ok(values) => ground.form(values),
            Err(reason) => Form::undefined(reason),
        })
        .row(
            "column-and-depth",
            "Column mean and cubic in depth of the costs' ranks, fitted on the other half of the layers",
            Side::High,
            raw,
        ),
    ]
}

struct Forms {
    raw: Form,
    per_parameter: Option<Form>,
}

impl Forms {
    fn row(self, id: &'static str, title: &'static str, side: Side, ground: &Ground) -> Row {
        Row {
            id: id.to_owned(),
            title: title.to_owned(),
            map: String::new(),
            kind: Kind::Control,
            side,
            by_column: false,
            cells: ground.truth().len(),
            raw: self.raw,
            per_parameter: self
                .per_parameter
                .unwrap_or_else(|| Form::undefined("the truth does not add up over weights")),
        }
    }
}

/// Mean over random orders, with their range as the reason. Amounts are divided by `numel` where that is asked for: what a column
/// gains by the division alone is seen here.
fn random_orders(ground: &Ground, numel: Option<&[f64]>, seed: u64) -> Form {
    let forms: Vec<Form> = (0..RANDOM_ORDERS)
        .map(|order| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(RANDOM_ORDERS).wrapping_add(order));
            let amounts = (0..ground.truth().len()).map(|_| rng.random::<f64>());
            match numel {
                Some(numel) => ground.form(&amounts.zip(numel).map(|(a, n)| a / n).collect::<Vec<_>>()),
                None => ground.form(&amounts.collect::<Vec<_>>()),
            }
        })
        .collect();
    let mean = |of: fn(&Form) -> &Score| {
        let values: Vec<f64> = forms.iter().filter_map(|f| of(f).value()).collect();
        if values.is_empty() {
            return Score::missing(Status::Undefined, of(&forms[0]).reason().unwrap_or("no order has a value"));
        }
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Score::from_value(values.iter().sum::<f64>() / values.len() as f64)
            .with_caveat(format!("mean of {} random orders, {low:.3} to {high:.3}", values.len()))
    };
    Form {
        rho: mean(|f| &f.rho),
        kendall: mean(|f| &f.kendall),
        within_columns: mean(|f| &f.within_columns),
        within_layers: mean(|f| &f.within_layers),
        top_overlap: mean(|f| &f.top_overlap),
        partial: mean(|f| &f.partial),
        over_control: mean(|f| &f.over_control),
    }
}
