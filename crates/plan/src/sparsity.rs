//! Plans of sparsity: which share of every cell's weights is set to zero.
//!
//! Few runtimes gain from it, and the cost is a model, not a measurement: removing the smallest share p of Gaussian weights leaves the
//! squared relative error `p - 2 t phi(t)` with `t` where `P(|w| < t) = p` and phi the normal density. A cell's cost is that times its
//! sensitivity to a squared error of 1: its noise coefficient, or else what storing it in a format was measured or predicted to cost over
//! that format's squared error, or else 1 for all.

use statrs::distribution::{Continuous, ContinuousCDF, Normal};
use tomo_map::{Column, Map};

use crate::cost::columns::{command, unusable, value};
use crate::frame::{Decided, Frame, Reckoning};
use crate::knapsack::{self, KnapsackError, Offer};
use crate::{Budget, Choice, Client, CostModel, CostSource, Limit, Options, Plan, PlanError};

/// A share for every cell.
pub(crate) fn sparsity(map: &Map, client: &'static Client, options: &Options) -> Result<Plan, PlanError> {
    let frame = Frame::new(map, client, options)?;
    let Limit::Share(share) = options.ask.limit else {
        let (text, expected) = (options.ask.to_string(), "a share of the weights, such as 30%");
        return Err(PlanError::BudgetKind { text, kind: "sparsity", expected });
    };
    let (sensitivity, source) = sensitivity(map, &options.cost)?;
    let shares: Vec<f64> = options.shares.iter().copied().filter(|share| (0.0..1.0).contains(share)).collect();
    let weights = frame.weights();
    let removed = |cell: usize, share: f64| (frame.cells()[cell].numel() as f64 * share).floor() as u64;
    let damage: Vec<f64> = shares.iter().map(|share| squared_error(*share)).collect();
    // What is kept is limited, so that at least the share is removed.
    let items: Vec<Vec<Offer>> = (0..frame.cells().len())
        .map(|cell| {
            let offer = |(share, damage): (&f64, &f64)| Offer {
                size: frame.cells()[cell].numel() - removed(cell, *share),
                cost: sensitivity[cell] * damage,
            };
            shares.iter().zip(&damage).map(offer).collect()
        })
        .collect();
    let wanted = (share * weights as f64).ceil() as u64;
    let solution = knapsack::solve(&items, weights.saturating_sub(wanted)).map_err(|error| match error {
        KnapsackError::Limit { smallest, limit } => PlanError::Infeasible {
            asked: options.ask.to_string(),
            limit,
            smallest,
            unit: "weights kept",
            hint: "a smaller share".to_owned(),
        },
        other => PlanError::Map { reason: other.to_string() },
    })?;
    let decided = solution.chosen.iter().enumerate().map(|(cell, at)| Decided {
        choice: Choice::Sparsity(shares[*at]),
        size: removed(cell, shares[*at]),
        cost: sensitivity[cell] * damage[*at],
    });
    let notes = vec![
        "costs suppose that weights are Gaussian and the smallest are removed; few runtimes gain from zeros".to_owned(),
    ];
    let reckoning = Reckoning { source, bound: solution.bound, fused: false, notes };
    let budget = Budget { asked: options.ask.to_string(), limit: wanted };
    Ok(frame.plan(options, budget, decided.collect(), reckoning))
}

/// Squared relative error of Gaussian weights without the smallest share.
fn squared_error(share: f64) -> f64 {
    if share <= 0.0 {
        return 0.0;
    }
    let normal = Normal::standard();
    let t = normal.inverse_cdf(0.5 + share / 2.0);
    (share - 2.0 * t * normal.pdf(t)).max(0.0)
}

/// What a squared relative error of 1 would cost each cell, if costs went on so far.
fn sensitivity(map: &Map, model: &CostModel) -> Result<(Vec<f64>, CostSource), PlanError> {
    let cells = map.grid.cells.len();
    let source = |metrics: Vec<String>, how: String, unit: &str, proxy: bool| CostSource {
        metrics,
        how: format!("{how}, times the squared error of Gaussian weights: a model"),
        unit: unit.to_owned(),
        proxy,
    };
    let divided = |column: &Column, format: &str| -> Result<(Vec<f64>, CostSource), PlanError> {
        let id = format!("err-{format}");
        let Some(error) = map.column(&id) else {
            let metrics = [column.info.id.as_ref(), id.as_str()];
            return Err(PlanError::Columns {
                model: model.to_string(),
                missing: id.clone(),
                command: command(map, &metrics),
            });
        };
        let mut values = Vec::with_capacity(cells);
        for cell in 0..cells {
            let error_of_cell = value(map, error, cell)?;
            if error_of_cell == 0.0 {
                return Err(unusable(map, error, |at| at == cell));
            }
            values.push(value(map, column, cell)? / error_of_cell.powi(2));
        }
        let metrics = vec![column.info.id.to_string(), id];
        Ok((values, source(metrics, format!("{} over its squared error", column.info.id), &column.info.unit, true)))
    };
    let own = |column: &Column| -> Result<(Vec<f64>, CostSource), PlanError> {
        let values = (0..cells).map(|cell| value(map, column, cell)).collect::<Result<Vec<f64>, _>>()?;
        Ok((values, source(vec![column.info.id.to_string()], column.info.id.to_string(), &column.info.unit, true)))
    };
    let of_format = |column: &Column| -> Option<String> {
        ["quant-kl-", "predicted-kl-"].iter().find_map(|prefix| column.info.id.strip_prefix(prefix)).map(str::to_owned)
    };
    let found = |prefix: &str| map.columns.iter().find(|column| column.info.id.starts_with(prefix));
    let column = match model {
        CostModel::Metric(id) => Some(crate::cost::usable(map, id)?),
        CostModel::Weights => None,
        CostModel::Alpha => found("noise-alpha"),
        CostModel::Measured | CostModel::Scaled => found("quant-kl-"),
        CostModel::Predicted => found("predicted-kl-"),
        CostModel::Auto => found("noise-alpha").or_else(|| found("quant-kl-")).or_else(|| found("predicted-kl-")),
    };
    match (column, model) {
        (Some(column), _) => of_format(column).map_or_else(|| own(column), |format| divided(column, &format)),
        (None, CostModel::Auto | CostModel::Weights) => Ok((
            vec![1.0; cells],
            source(Vec::new(), "every cell taken for equally sensitive".to_owned(), "ratio", true),
        )),
        (None, _) => Err(PlanError::Columns {
            model: model.to_string(),
            missing: "a column of it".to_owned(),
            command: command(map, &["noise-alpha"]),
        }),
    }
}
