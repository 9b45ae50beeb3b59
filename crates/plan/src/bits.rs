//! Plans of how cells are stored.

use std::collections::BTreeMap;

use tomo_map::Map;

use crate::cost::Costs;
use crate::frame::{Decided, Frame, Reckoning, check_type};
use crate::keep::Bound;
use crate::knapsack::{self, KnapsackError, Offer, Solution};
use crate::{Budget, Choice, Client, Fuse, Limit, Options, Plan, PlanError, Stored, rules, ties};

/// The ways to store the cells of a map.
pub(crate) struct Table<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) fused: bool,
    /// Cells that are stored alike, and as what they can be.
    pub(crate) groups: Vec<Group>,
}

/// Cells that are stored alike.
pub(crate) struct Group {
    /// Ascending.
    pub(crate) cells: Vec<usize>,
    pub(crate) options: Vec<Way>,
}

/// One way to store the cells of a group.
pub(crate) struct Way {
    /// The type asked for.
    pub(crate) nominal: Stored,
    /// What each cell is stored as then.
    pub(crate) stored: Vec<Stored>,
    /// Bytes.
    pub(crate) bytes: u64,
    /// Bytes with what the file pads.
    padded: u64,
}

impl<'a> Table<'a> {
    /// What the cells can be stored as: the types asked for, within what is to be kept where `keeps`.
    pub(crate) fn new(
        map: &'a Map,
        client: &'static Client,
        options: &Options,
        keeps: bool,
    ) -> Result<Self, PlanError> {
        let frame = Frame::new(map, client, options)?;
        let types = types(client, options)?;
        let fused = options.fuse || client.fuse == Fuse::Demanded;
        let ties = ties::groups(frame.named(), client.dialect, ties::Tie::Stored { fused });
        let allowed = if keeps { allowed(&frame, &types, options)? } else { vec![types; frame.cells().len()] };
        let groups = ties.into_iter().map(|cells| group(&frame, cells, &allowed)).collect::<Result<_, _>>()?;
        Ok(Self { frame, fused, groups })
    }

    /// Everything that any cell can be stored as.
    pub(crate) fn wanted(&self) -> Vec<Vec<Stored>> {
        let mut wanted = vec![Vec::new(); self.frame.cells().len()];
        for group in &self.groups {
            for way in &group.options {
                for (cell, stored) in group.cells.iter().zip(&way.stored) {
                    wanted[*cell].push(*stored);
                }
            }
        }
        wanted
    }

    /// Bytes that cells may take together, and whether the file's padding counts.
    pub(crate) fn limit(&self, options: &Options) -> Result<(u64, bool), PlanError> {
        let bits = |bits: f64| (bits * self.frame.weights() as f64 / 8.0).floor() as u64;
        match &options.ask.limit {
            Limit::BitsPerWeight(per_weight) => Ok((bits(*per_weight), false)),
            Limit::Bytes(bytes) => match self.frame.file(|_| 0) {
                Some(rest) => Ok((bytes.saturating_sub(rest), true)),
                None => Ok((bytes.saturating_sub(self.frame.other_bytes()), false)),
            },
            Limit::Share(share) => Ok(((*share * self.frame.bytes_now()? as f64).floor() as u64, false)),
            Limit::Like(mix) => {
                let stored = rules::cells(self.frame.map, rules::find(mix)?, false);
                Ok((stored.iter().enumerate().map(|(at, stored)| self.frame.bytes(at, *stored)).sum(), false))
            }
            _ => Err(PlanError::BudgetKind {
                text: options.ask.to_string(),
                kind: "bits",
                expected: "bits per weight, a size, a share of the bytes now, or like:MIX",
            }),
        }
    }

    /// The choice of least cost among the groups' ways.
    pub(crate) fn solve(
        &self,
        options: &Options,
        limit: u64,
        padded: bool,
        cost: impl Fn(usize, Stored) -> f64,
    ) -> Result<Solution, PlanError> {
        let offer = |group: &Group, way: &Way| Offer {
            size: if padded { way.padded } else { way.bytes },
            cost: group.cells.iter().zip(&way.stored).map(|(cell, stored)| cost(*cell, *stored)).sum(),
        };
        let offers = |group: &Group| group.options.iter().map(|way| offer(group, way)).collect::<Vec<_>>();
        let items: Vec<Vec<Offer>> = self.groups.iter().map(offers).collect();
        knapsack::solve(&items, limit).map_err(|error| self.no_choice(error, options))
    }

    fn no_choice(&self, error: KnapsackError, options: &Options) -> PlanError {
        match error {
            KnapsackError::Limit { smallest, limit } => PlanError::Infeasible {
                asked: options.ask.to_string(),
                limit,
                smallest,
                unit: "bytes for the cells",
                hint: match options.ask.limit {
                    Limit::Bytes(_) => format!(
                        "what is no cell takes {} bytes; store the embedding in fewer bits (--keep embedding=q8_0), or ask for a larger \
                         file or smaller types",
                        self.frame.other_bytes()
                    ),
                    _ => "a larger budget, or smaller types".to_owned(),
                },
            },
            other => PlanError::Map { reason: other.to_string() },
        }
    }

    /// What each cell is stored as when each group takes the way `chosen` of it.
    pub(crate) fn stored(&self, chosen: &[usize]) -> Vec<Stored> {
        let mut stored = vec![Stored::Original { bits: 16 }; self.frame.cells().len()];
        for (group, at) in self.groups.iter().zip(chosen) {
            for (cell, one) in group.cells.iter().zip(&group.options[*at].stored) {
                stored[*cell] = *one;
            }
        }
        stored
    }

    /// The plan that stores cells so.
    pub(crate) fn plan(
        &self,
        options: &Options,
        budget: Budget,
        stored: &[Stored],
        costs: Costs,
        bound: f64,
    ) -> Result<Plan, PlanError> {
        let decided = stored.iter().enumerate().map(|(at, stored)| {
            let cost = costs.of(at, *stored).ok_or_else(|| PlanError::Map {
                reason: format!("nothing says what {} costs as {stored}", self.frame.cells()[at].id),
            })?;
            Ok(Decided { choice: Choice::Stored(*stored), size: self.frame.bytes(at, *stored), cost })
        });
        let decided = decided.collect::<Result<Vec<_>, PlanError>>()?;
        let Costs { source, notes, .. } = costs;
        let reckoning = Reckoning { source, bound, fused: self.fused, notes };
        Ok(self.frame.plan(options, budget, decided, reckoning))
    }
}

/// The types a plan may use, in the user's or the client's order, each one once.
fn types(client: &'static Client, options: &Options) -> Result<Vec<Stored>, PlanError> {
    let mut types: Vec<Stored> = Vec::new();
    let usual = || client.usual.iter().map(|text| text.parse()).collect::<Result<Vec<Stored>, _>>();
    let asked = if options.types.is_empty() { usual()? } else { options.types.clone() };
    for stored in asked {
        check_type(client, stored)?;
        if !types.contains(&stored) {
            types.push(stored);
        }
    }
    if types.is_empty() {
        return Err(PlanError::Unsupported { client: client.id.to_owned(), kind: "bits".to_owned() });
    }
    Ok(types)
}

/// The types of each cell that what is to be kept leaves.
fn allowed(frame: &Frame<'_>, types: &[Stored], options: &Options) -> Result<Vec<Vec<Stored>>, PlanError> {
    let mut allowed = vec![types.to_vec(); frame.cells().len()];
    for keep in &options.keep {
        let cells = keep.cells(&frame.map.grid)?;
        if !cells.is_empty() && keep.bound == Bound::Exactly {
            check_type(frame.client, keep.stored)?;
        }
        for cell in cells {
            let bytes = |stored: Stored| frame.bytes(cell, frame.on(cell, stored));
            let of = bytes(keep.stored);
            match keep.bound {
                // Of a type that is asked for by name, so it may be one that other cells do not get.
                Bound::Exactly => allowed[cell] = vec![keep.stored],
                bound => allowed[cell].retain(|stored| bound.allows(bytes(*stored), of)),
            }
            if allowed[cell].is_empty() {
                let reason = format!("none of the types is left for {}", frame.cells()[cell].id);
                return Err(PlanError::Keep { text: keep.to_string(), reason });
            }
        }
    }
    Ok(allowed)
}

/// The ways that are allowed for all cells of a group; of those that store all of them alike, the first.
fn group(frame: &Frame<'_>, cells: Vec<usize>, allowed: &[Vec<Stored>]) -> Result<Group, PlanError> {
    let first = &allowed[cells[0]];
    let common = first.iter().filter(|stored| cells.iter().all(|cell| allowed[*cell].contains(stored)));
    let mut options: Vec<Way> = Vec::new();
    for nominal in common {
        let stored: Vec<Stored> = cells.iter().map(|cell| frame.on(*cell, *nominal)).collect();
        // Rows that no type fits stay as they are, where the client can leave them.
        let has = stored.iter().all(|one| !matches!(one, Stored::Original { .. }) || frame.client.has(*one));
        if !has || options.iter().any(|way| way.stored == stored) {
            continue;
        }
        let bytes = cells.iter().zip(&stored).map(|(cell, stored)| frame.bytes(*cell, *stored)).sum();
        options.push(Way { nominal: *nominal, bytes, padded: padded(frame, &cells, &stored), stored });
    }
    if options.is_empty() {
        let names: Vec<String> = cells.iter().take(4).map(|cell| frame.cells()[*cell].id.to_string()).collect();
        return Err(PlanError::Keep {
            text: "what is to be kept".to_owned(),
            reason: format!(
                "{} are stored alike, and no type is allowed for all of them and fits their rows",
                names.join(", ")
            ),
        });
    }
    Ok(Group { cells, options })
}

/// Bytes of a group's tensors with their padding.
fn padded(frame: &Frame<'_>, cells: &[usize], stored: &[Stored]) -> u64 {
    let mut tensors: BTreeMap<Option<&str>, u64> = BTreeMap::new();
    for (cell, stored) in cells.iter().zip(stored) {
        *tensors.entry(frame.names[*cell].gguf.as_deref()).or_default() += frame.bytes(*cell, *stored);
    }
    tensors.into_values().map(|bytes| frame.padded(bytes)).sum()
}

/// The plan that costs least within the budget.
pub(crate) fn bits(map: &Map, client: &'static Client, options: &Options) -> Result<Plan, PlanError> {
    let table = Table::new(map, client, options, true)?;
    let (limit, padded) = table.limit(options)?;
    let costs = Costs::new(map, &options.cost, &table.wanted())?;
    let solution = table.solve(options, limit, padded, |cell, stored| costs.of(cell, stored).unwrap_or(f64::NAN))?;
    let budget = Budget { asked: options.ask.to_string(), limit };
    let stored = table.stored(&solution.chosen);
    let mut plan = table.plan(options, budget, &stored, costs, solution.bound)?;
    plan.about.notes.extend(unspent(&plan));
    Ok(plan)
}

/// A budget that nothing could spend.
fn unspent(plan: &Plan) -> Option<String> {
    let (spent, limit) = (plan.totals.cells, plan.budget.limit);
    let share = 1.0 - spent as f64 / limit.max(1) as f64;
    (share > 0.001)
        .then(|| format!("{:.1} % of the budget is left: nothing that fits into it saves anything", 100.0 * share))
}
