//! What a plan is held against, at its bytes.

use std::fmt;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tomo_map::Map;

use crate::bits::Table;
use crate::cost::Costs;
use crate::{Ask, Budget, Client, Dialect, Kind, Limit, Options, Plan, PlanError, Stored, rules};

/// A plan without the map's knowledge, or with it turned round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Baseline {
    /// One type everywhere, the largest that fits; what is left goes into the next larger type, spread evenly over the grid.
    Uniform,
    /// The largest mix of the client's own rule that fits; what is left goes into the next larger types, spread evenly.
    Rule,
    /// Costs per weight dealt out to the cells at random, by this seed; then the same search.
    Random(u64),
    /// Costs per weight turned round by rank: the cheapest cell is taken for the costliest; then the same search.
    Inverted,
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Rule => f.write_str("rule"),
            Self::Random(seed) => write!(f, "random:{seed}"),
            Self::Inverted => f.write_str("inverted"),
        }
    }
}

/// A plan that takes as many bytes for cells as `plan` or a little less (the rule: as the plan's budget, where that is no more than 0.1 %
/// above), with the same types, ties and tensors that are no cells. Its
/// costs are what the map says they are, its bound is the plan's; of a rule whose types the map has no columns of, costs are not
/// known, and [`CostSource::how`](crate::CostSource::how) says so.
///
/// What is to be kept binds random and inverted plans, not the uniform one and not the rule.
///
/// # Errors
/// A plan that is not of bits; a client without a rule of its own; whatever stops [`make_plan`](crate::make_plan).
pub fn baseline(
    map: &Map,
    client: &'static Client,
    options: &Options,
    plan: &Plan,
    which: Baseline,
) -> Result<Plan, PlanError> {
    if plan.kind != Kind::Bits {
        return Err(PlanError::Unsupported {
            client: "a baseline".to_owned(),
            kind: format!("{:?}", plan.kind).to_lowercase(),
        });
    }
    // A mix comes in one size. Where the budget is that size, a plan that leaves a little of it must not be held against a smaller mix.
    let limit = match which {
        Baseline::Rule if is_same_size(plan.budget.limit, plan.totals.cells) => plan.budget.limit,
        _ => plan.totals.cells,
    };
    let options = Options {
        kind: Kind::Bits,
        ask: Ask { text: format!("{limit} bytes for the cells"), limit: Limit::Bytes(limit) },
        ..options.clone()
    };
    let keeps = matches!(which, Baseline::Random(_) | Baseline::Inverted);
    let table = Table::new(map, client, &options, keeps)?;
    let even = Even { table: &table, map, options: &options, limit };
    let (stored, note) = match which {
        Baseline::Uniform => even.uniform()?,
        Baseline::Rule => even.rule()?,
        Baseline::Random(seed) => (
            turned(&table, map, &options, limit, |order| {
                order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            })?,
            format!("costs per weight were dealt out to the cells at random (seed {seed})"),
        ),
        Baseline::Inverted => (
            turned(&table, map, &options, limit, |order| order.reverse())?,
            "costs per weight were turned round by rank".to_owned(),
        ),
    };
    let wanted: Vec<Vec<Stored>> = stored.iter().map(|stored| vec![*stored]).collect();
    let (costs, bound) = match Costs::new(map, &options.cost, &wanted) {
        Ok(costs) => (costs, plan.totals.bound),
        // A rule has types of its own, and to be held against it takes no costs.
        Err(PlanError::Columns { missing, .. }) if which == Baseline::Rule => (Costs::unknown(&wanted, &missing), 0.0),
        Err(error) => return Err(error),
    };
    let budget = Budget { asked: options.ask.to_string(), limit };
    let mut made = table.plan(&options, budget, &stored, costs, bound)?;
    made.about.notes.insert(0, format!("a baseline, {which}: {note}"));
    made.about.seed = match which {
        Baseline::Random(seed) => Some(seed),
        _ => None,
    };
    Ok(made)
}

/// Whether two sizes differ by no more than plans that are held against each other may.
fn is_same_size(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= other / 1000
}

/// The same search with the cells' costs per weight in another order: cells by cost, ascending, are put into an order by `turn`, and
/// each gets the cost per weight of the one in its place. How a cell's costs fall with bits stays its own.
fn turned(
    table: &Table<'_>,
    map: &Map,
    options: &Options,
    limit: u64,
    turn: impl FnOnce(&mut Vec<usize>),
) -> Result<Vec<Stored>, PlanError> {
    let wanted = table.wanted();
    let costs = Costs::new(map, &options.cost, &wanted)?;
    let cells = table.frame.cells();
    // The sum over the types, of which the fewest bits outweigh the others.
    let per_weight = |cell: usize| {
        let sum: f64 =
            wanted[cell].iter().filter_map(|stored| costs.of(cell, *stored)).filter(|cost| *cost > 0.0).sum();
        sum / cells[cell].numel() as f64
    };
    let own: Vec<f64> = (0..cells.len()).map(per_weight).collect();
    let mut ascending: Vec<usize> = (0..cells.len()).collect();
    ascending.sort_by(|a, b| own[*a].total_cmp(&own[*b]));
    let mut order = ascending.clone();
    turn(&mut order);
    let mut factor = vec![1.0; cells.len()];
    for (cell, like) in ascending.iter().zip(&order) {
        if own[*cell] > 0.0 {
            factor[*cell] = own[*like] / own[*cell];
        }
    }
    let solution = table.solve(options, limit, false, |cell, stored| {
        costs.of(cell, stored).unwrap_or(f64::NAN).max(0.0) * factor[cell]
    })?;
    Ok(table.stored(&solution.chosen))
}

/// Plans that know no costs: a start, and what is left spread evenly.
struct Even<'a> {
    table: &'a Table<'a>,
    map: &'a Map,
    options: &'a Options,
    limit: u64,
}

impl Even<'_> {
    fn uniform(&self) -> Result<(Vec<Stored>, String), PlanError> {
        let mut levels = self.levels();
        levels.sort_by_key(|level| level.0);
        levels.dedup_by_key(|level| level.0);
        let Some(at) = levels.iter().rposition(|(bytes, _)| *bytes <= self.limit) else {
            let smallest = levels.first().map_or(0, |level| level.0);
            return Err(self.infeasible(smallest));
        };
        let (_, nominal) = levels[at];
        let mut stored = self.all(nominal);
        let note = match levels.get(at + 1) {
            Some((_, next)) => {
                let target = self.all(*next);
                let raised = self.raise(&mut stored, |cell, _| Some(target[cell]));
                format!("{nominal} everywhere, {next} in {raised} cells spread evenly")
            }
            None => format!("{nominal} everywhere, the largest type there is"),
        };
        Ok((stored, note))
    }

    /// Bytes of every type everywhere; of those that take the same bytes the first in the client's order.
    fn levels(&self) -> Vec<(u64, Stored)> {
        let mut levels: Vec<(u64, Stored)> = Vec::new();
        for way in self.table.groups.iter().flat_map(|group| &group.options) {
            if !levels.iter().any(|level| level.1 == way.nominal) {
                levels.push((self.total(&self.all(way.nominal)), way.nominal));
            }
        }
        levels
    }

    fn rule(&self) -> Result<(Vec<Stored>, String), PlanError> {
        let client = self.table.frame.client;
        let known = || rules::MIXES.iter().map(|mix| mix.id).collect::<Vec<_>>().join(", ");
        if client.dialect != Dialect::Gguf {
            return Err(PlanError::Rule {
                reason: format!("{} has no rule of its own here", client.id),
                known: known(),
            });
        }
        let mixes = rules::MIXES.iter().map(|mix| (mix, rules::cells(self.map, mix, false)));
        let sized = mixes.map(|(mix, stored)| (self.total(&stored), mix, stored));
        // Of mixes of the same bytes, the last: from the fewest bits of the base type on.
        let fitting = sized.filter(|(bytes, ..)| *bytes <= self.limit).max_by_key(|(bytes, ..)| *bytes);
        let Some((bytes, mix, mut stored)) = fitting else {
            let smallest = rules::MIXES.iter().map(|mix| self.total(&rules::cells(self.map, mix, false))).min();
            return Err(self.infeasible(smallest.unwrap_or(0)));
        };
        let larger = self.larger();
        let mut raised = 0;
        loop {
            let more = self.raise(&mut stored, |cell, now| {
                larger
                    .iter()
                    .copied()
                    .map(|t| self.table.frame.on(cell, t))
                    .filter(|t| self.table.frame.bytes(cell, *t) > self.table.frame.bytes(cell, now))
                    .min_by_key(|t| self.table.frame.bytes(cell, *t))
            });
            raised += more;
            if more == 0 {
                break;
            }
        }
        let left = 100.0 * (1.0 - bytes as f64 / self.limit.max(1) as f64);
        let note = match raised {
            0 => format!("llama.cpp's {}", mix.id),
            _ => format!(
                "llama.cpp's {}, and {left:.1} % of the bytes for {raised} steps to the next larger type, spread evenly",
                mix.id
            ),
        };
        Ok((stored, note))
    }

    /// Types that may be stepped up to: those the plan could use.
    fn larger(&self) -> Vec<Stored> {
        let ways = self.table.groups.iter().flat_map(|group| &group.options).map(|way| way.nominal);
        let mut larger: Vec<Stored> = Vec::new();
        for one in ways {
            if !larger.contains(&one) {
                larger.push(one);
            }
        }
        larger
    }

    fn all(&self, nominal: Stored) -> Vec<Stored> {
        (0..self.table.frame.cells().len()).map(|cell| self.table.frame.on(cell, nominal)).collect()
    }

    fn total(&self, stored: &[Stored]) -> u64 {
        stored.iter().enumerate().map(|(cell, stored)| self.table.frame.bytes(cell, *stored)).sum()
    }

    /// Goes over all groups once, in an order that leaves gaps of about the same length wherever it stops, and stores as `target`
    /// says whatever still fits. How many cells that were.
    fn raise(&self, stored: &mut [Stored], target: impl Fn(usize, Stored) -> Option<Stored>) -> usize {
        let frame = &self.table.frame;
        let mut room = self.limit - self.total(stored);
        let mut raised = 0;
        for group in evenly(self.table.groups.len()).into_iter().map(|at| &self.table.groups[at]) {
            let now: u64 = group.cells.iter().map(|cell| frame.bytes(*cell, stored[*cell])).sum();
            let wish = group.cells.iter().map(|cell| target(*cell, stored[*cell]));
            let Some(wish) = wish.collect::<Option<Vec<Stored>>>() else { continue };
            let then: u64 = group.cells.iter().zip(&wish).map(|(cell, stored)| frame.bytes(*cell, *stored)).sum();
            if then <= now || then - now > room {
                continue;
            }
            room -= then - now;
            raised += group.cells.len();
            group.cells.iter().zip(wish).for_each(|(cell, wish)| stored[*cell] = wish);
        }
        raised
    }

    fn infeasible(&self, smallest: u64) -> PlanError {
        PlanError::Infeasible {
            asked: self.options.ask.to_string(),
            limit: self.limit,
            smallest,
            unit: "bytes for the cells",
            hint: "the plan is smaller than any baseline of this kind; leave it out".to_owned(),
        }
    }
}

/// 0 to `count`, by the fractional part of multiples of the golden ratio: any beginning of it is spread evenly.
fn evenly(count: usize) -> Vec<usize> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let key = |at: &usize| (*at as f64 * GOLDEN).fract();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| key(a).total_cmp(&key(b)));
    order
}
