//! Plans of LoRA ranks and of cells that are trained.
//!
//! # Ranks
//! The worth of a pair of rank r on a cell of score s is taken to be `s ln(1 + r / 4)`: the first directions matter most, and the
//! budget is spent where the next one is worth most per parameter (`m + n` each). Left alone, that makes ranks proportional to the
//! score over `m + n`, less 4: water-filling. A heuristic in both parts: nobody trained anything to find the score or the curve.
//!
//! # Training
//! The cells whose scores are largest together within the parameters. An average per weight is multiplied by the number of weights; a sum is
//! taken as it is. Or, as Spectrum does, the highest share of every column, its number rounded down.

use tomo_map::{Component, Map};

use crate::frame::{Decided, Frame, Reckoning};
use crate::knapsack::{self, KnapsackError, Offer};
use crate::worth::Worth;
use crate::{Budget, Choice, Client, Limit, Options, Plan, PlanError, ties};

/// Rank at which the curve bends.
const BEND: f64 = 4.0;

/// A rank for every cell.
pub(crate) fn ranks(map: &Map, client: &'static Client, options: &Options) -> Result<Plan, PlanError> {
    let frame = Frame::new(map, client, options)?;
    let worth = Worth::of_training(map, &options.cost)?;
    let mut ranks = options.ranks.clone();
    ranks.sort_unstable();
    ranks.dedup();
    let per_rank = per_rank(&frame);
    let groups = ties::groups(frame.named(), client.dialect, ties::Tie::Tensors);
    let limit = match options.ask.limit {
        Limit::Parameters(parameters) => parameters,
        Limit::Rank(rank) => per_rank.iter().sum::<u64>().saturating_mul(rank.into()),
        Limit::Share(share) => (share * frame.weights() as f64).floor() as u64,
        _ => {
            return Err(other_budget(
                options,
                "LoRA ranks",
                "parameters, a rank everywhere, or a share of the weights",
            ));
        }
    };
    let gain = |cell: usize, rank: u32| worth.values[cell] * (1.0 + f64::from(rank) / BEND).ln();
    let offers = |cells: &Vec<usize>| {
        let offer = |rank: &u32| Offer {
            size: cells.iter().map(|cell| per_rank[*cell].saturating_mul((*rank).into())).fold(0, u64::saturating_add),
            cost: -cells.iter().map(|cell| gain(*cell, *rank)).sum::<f64>(),
        };
        ranks.iter().map(offer).collect::<Vec<_>>()
    };
    let items: Vec<Vec<Offer>> = groups.iter().map(offers).collect();
    let solution = knapsack::solve(&items, limit).map_err(|error| infeasible(error, options))?;
    let mut rank_of = vec![0; frame.cells().len()];
    for (cells, at) in groups.iter().zip(&solution.chosen) {
        cells.iter().for_each(|cell| rank_of[*cell] = ranks[*at]);
    }
    let decided = rank_of.iter().enumerate().map(|(cell, rank)| {
        let alpha = (f64::from(*rank) * options.alpha_per_rank).round() as u32;
        let size = per_rank[cell].saturating_mul((*rank).into());
        Decided { choice: Choice::Rank { rank: *rank, alpha }, size, cost: gain(cell, *rank) }
    });
    let mut source = worth.source.clone();
    source.how = format!("{} times ln(1 + rank / 4): a heuristic, no training was run", worth.column.info.id);
    let notes = vec![format!(
        "alpha is {} times the rank of every pair, so that their scale is the same",
        options.alpha_per_rank
    )];
    let reckoning = Reckoning { source, bound: -solution.bound, fused: false, notes };
    Ok(frame.plan(options, budget(options, limit), decided.collect(), reckoning))
}

/// Parameters of a pair of rank 1 on each cell: `m + n`. Projections that share a tensor have one A together, which is counted at the
/// first of them; stacked experts have one each.
fn per_rank(frame: &Frame<'_>) -> Vec<u64> {
    let groups = ties::groups(frame.named(), frame.client.dialect, ties::Tie::Tensors);
    let mut parameters = vec![0; frame.cells().len()];
    for cells in groups {
        for (at, cell) in cells.iter().enumerate() {
            let one = &frame.cells()[*cell];
            let own_input = at == 0 || one.id.expert.is_some();
            parameters[*cell] = one.out_features.saturating_add(if own_input { one.in_features } else { 0 });
        }
    }
    parameters
}

/// Which cells are trained.
pub(crate) fn train(map: &Map, client: &'static Client, options: &Options) -> Result<Plan, PlanError> {
    let frame = Frame::new(map, client, options)?;
    if let Limit::TopOfColumn(share) = options.ask.limit {
        return top_of_columns(&frame, options, share);
    }
    let worth = Worth::of_training(map, &options.cost)?;
    let cells = frame.cells();
    let value = |cell: usize| worth.values[cell] * if worth.additive { 1.0 } else { cells[cell].numel() as f64 };
    let limit = match options.ask.limit {
        Limit::Parameters(parameters) => parameters,
        Limit::Share(share) => (share * frame.weights() as f64).floor() as u64,
        _ => {
            return Err(other_budget(
                options,
                "trained cells",
                "parameters, a share of the weights, or the top of every column",
            ));
        }
    };
    let groups = ties::groups(frame.named(), client.dialect, ties::Tie::Tensors);
    let offers = |group: &Vec<usize>| {
        let size = group.iter().map(|cell| cells[*cell].numel()).fold(0, u64::saturating_add);
        let cost = -group.iter().map(|cell| value(*cell)).sum::<f64>();
        vec![Offer { size: 0, cost: 0.0 }, Offer { size, cost }]
    };
    let items: Vec<Vec<Offer>> = groups.iter().map(offers).collect();
    let solution = knapsack::solve(&items, limit).map_err(|error| infeasible(error, options))?;
    let mut trained = vec![false; cells.len()];
    for (group, at) in groups.iter().zip(&solution.chosen) {
        group.iter().for_each(|cell| trained[*cell] = *at == 1);
    }
    let reckoning = Reckoning { source: worth.source.clone(), bound: -solution.bound, fused: false, notes: Vec::new() };
    Ok(plan_of_trained(&frame, options, limit, &trained, value, reckoning))
}

/// The highest `int(n * share)` cells of every column of n: what Spectrum unfreezes.
fn top_of_columns(frame: &Frame<'_>, options: &Options, share: f64) -> Result<Plan, PlanError> {
    let worth = Worth::new(frame.map, &options.cost, &["spectrum-snr"])?;
    let cells = frame.cells();
    let mut trained = vec![false; cells.len()];
    for component in Component::ALL {
        let mut column: Vec<usize> = (0..cells.len()).filter(|at| cells[*at].id.component == component).collect();
        column.sort_by(|a, b| worth.values[*b].total_cmp(&worth.values[*a]));
        // A share written in decimals must not lose a cell to its last bit: 10 * 0.3 is below 3 in binary.
        let number = (column.len() as f64 * share + 1e-9).floor() as usize;
        column.iter().take(number).for_each(|at| trained[*at] = true);
    }
    let size = (0..cells.len()).filter(|at| trained[*at]).map(|at| cells[at].numel()).sum();
    let value = |cell: usize| worth.values[cell];
    let bound = (0..cells.len()).filter(|at| trained[*at]).map(value).sum();
    let notes = vec!["columns are ranked apart; scores of different columns are not compared".to_owned()];
    let reckoning = Reckoning { source: worth.source.clone(), bound, fused: false, notes };
    Ok(plan_of_trained(frame, options, size, &trained, value, reckoning))
}

fn plan_of_trained(
    frame: &Frame<'_>,
    options: &Options,
    limit: u64,
    trained: &[bool],
    value: impl Fn(usize) -> f64,
    reckoning: Reckoning,
) -> Plan {
    let decided = trained.iter().enumerate().map(|(cell, trained)| Decided {
        choice: Choice::Train(*trained),
        size: if *trained { frame.cells()[cell].numel() } else { 0 },
        cost: if *trained { value(cell) } else { 0.0 },
    });
    frame.plan(options, budget(options, limit), decided.collect(), reckoning)
}

fn budget(options: &Options, limit: u64) -> Budget {
    Budget { asked: options.ask.to_string(), limit }
}

fn other_budget(options: &Options, kind: &'static str, expected: &'static str) -> PlanError {
    PlanError::BudgetKind { text: options.ask.to_string(), kind, expected }
}

fn infeasible(error: KnapsackError, options: &Options) -> PlanError {
    match error {
        KnapsackError::Limit { smallest, limit } => PlanError::Infeasible {
            asked: options.ask.to_string(),
            limit,
            smallest,
            unit: "parameters",
            hint: "a larger budget, or rank 0 among the ranks".to_owned(),
        },
        other => PlanError::Map { reason: other.to_string() },
    }
}
