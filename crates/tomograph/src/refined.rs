//! Refines a plan by measuring swaps around it: [`tomo_verify::refine`] decides, the engine measures.

use std::collections::BTreeMap;

use anyhow::ensure;
use tomo_model::change::{Edit, Shared};
use tomo_model::engine::{Branch, PassProgress, Round, Variant};
use tomo_plan::knapsack::{self, Offer};
use tomo_plan::{Choice, Client, Plan, Stored};
use tomo_text::Passages;
use tomo_verify::Token;
use tomo_verify::refine::{Problem, Refined, Step, refine};

use crate::measure::{Kept, compare};
use crate::proof::{self, SHARED_BYTES, context};
use crate::run::Run;

/// From so many changed models on it pays to run what they have in common once, and for itself.
const MANY: usize = 8;

/// Divergence that stands for one that is out of range, nats per token.
const FAR: f64 = 1e3;

/// Tokens below which marginals are mostly noise.
const FEW_TOKENS: u64 = 2048;

/// A plan to refine, with everything decided.
pub struct Refining<'a> {
    run: &'a Run,
    plan: Plan,
    groups: Vec<Group>,
    problem: Problem,
    shared: Shared,
}

/// Cells that are stored alike.
struct Group {
    /// Indices of the plan's decisions.
    cells: Vec<usize>,
    /// By bytes, ascending.
    ways: Vec<Way>,
}

#[derive(Clone, PartialEq)]
struct Way {
    /// What each cell of the group is stored as.
    stored: Vec<Stored>,
    bytes: u64,
}

impl<'a> Refining<'a> {
    /// Prepares to refine `plan` on the text of `run` by so many measurements; cells may become any of `types`, or of those that the
    /// plan has where none is given.
    ///
    /// # Errors
    /// A plan that cannot be applied, a text of one sequence, fewer than two types.
    pub fn new(run: &'a Run, plan: &Plan, types: &[Stored], measurements: u32, seed: u64) -> anyhow::Result<Self> {
        proof::edits(run.engine.model(), plan)?;
        ensure!(
            run.windows.sequences.len() > 1,
            "one sequence cannot tell a step that helps from chance\n  hint: more tokens to calibrate on, or a shorter --sequence"
        );
        let groups = groups(plan, types);
        ensure!(
            groups.iter().any(|group| group.ways.len() > 1),
            "there is nothing to refine: no cell can be stored in another way\n  hint: --types names what cells may be stored as"
        );
        let now = |group: &Group| {
            let stored = stored_now(plan, &group.cells);
            group.ways.iter().position(|way| way.stored == stored).unwrap_or(0)
        };
        let problem = Problem {
            sizes: groups.iter().map(|group| group.ways.iter().map(|way| way.bytes).collect()).collect(),
            start: groups.iter().map(now).collect(),
            tokens: run.lengths().iter().map(|length| (length - 1) as f64).collect(),
            budget: f64::from(measurements),
            seed,
        };
        Ok(Self { run, plan: plan.clone(), groups, problem, shared: Shared::new(SHARED_BYTES) })
    }

    /// What is worth knowing before.
    pub fn notes(&self) -> Vec<String> {
        let tokens = self.run.windows.tokens();
        let few = (tokens < FEW_TOKENS).then(|| {
            format!("{tokens} tokens to calibrate on are few: from fewer than {FEW_TOKENS}, steps follow noise more than cells")
        });
        let single: usize = self.groups.iter().map(|group| group.ways.len().min(3).saturating_sub(1)).sum();
        let budget = self.problem.budget;
        let short = (budget < single as f64).then(|| {
            format!("{budget} measurements cannot look at all {single} single swaps on all sequences: some get fewer, or none")
        });
        few.into_iter().chain(short).collect()
    }

    /// Refines; the plan that came of it, and how. `None` when it was cancelled before anything was known.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn run(&self, command: &str, progress: &dyn PassProgress) -> anyhow::Result<Option<(Plan, Refined)>> {
        let mut measure = |choices: &[Vec<usize>], sequences: &[usize]| self.measure(choices, sequences, progress);
        let Some(refined) = refine(&self.problem, &solve, &mut measure)? else { return Ok(None) };
        Ok(Some((self.refined_plan(&refined, command)?, refined)))
    }

    /// Sums of the KL of choices over each of some sequences.
    fn measure(
        &self,
        choices: &[Vec<usize>],
        sequences: &[usize],
        progress: &dyn PassProgress,
    ) -> anyhow::Result<Option<Vec<Vec<f64>>>> {
        let base = (choices.len() >= MANY).then(|| most_common(choices));
        let mut variants = Vec::new();
        for choice in base.iter().chain(choices) {
            variants.push(self.variant(choice)?);
        }
        if let Some(base) = &base {
            for (variant, choice) in variants.iter_mut().skip(1).zip(choices) {
                variant.branch = self.first_difference(base, choice).map(|layer| Branch { of: 0, layer });
            }
        }
        let plan = self.run.engine.plan_compare(&self.run.lengths(), &variants)?;
        let all = Round { sequences: sequences.to_vec(), variants: (0..variants.len()).collect() };
        let Some(Kept { damage, .. }) = compare(self.run, &variants, &plan, &plan.cut(&all), progress)? else {
            return Ok(None);
        };
        let sum = |tokens: &Vec<Token>| {
            let sum: f64 = tokens.iter().map(|token| token.kl).sum();
            if sum.is_finite() { sum } else { FAR * tokens.len() as f64 }
        };
        let of = |damage: &Vec<Vec<Token>>| sequences.iter().map(|s| sum(&damage[*s])).collect();
        Ok(Some(damage.iter().skip(variants.len() - choices.len()).map(of).collect()))
    }

    fn variant(&self, choice: &[usize]) -> anyhow::Result<Variant> {
        let edits: Vec<(usize, Edit)> = proof::edits(self.run.engine.model(), &self.with(choice))?;
        Ok(context(self.run).variant_sharing(&edits, &self.shared)?.variant)
    }

    /// The plan with other choices; sizes and costs are as they were.
    fn with(&self, choice: &[usize]) -> Plan {
        let mut plan = self.plan.clone();
        for (group, option) in self.groups.iter().zip(choice) {
            for (cell, stored) in group.cells.iter().zip(&group.ways[*option].stored) {
                plan.cells[*cell].choice = Choice::Stored(*stored);
            }
        }
        plan
    }

    /// The first layer in which two choices differ.
    fn first_difference(&self, one: &[usize], other: &[usize]) -> Option<u32> {
        let differs = self.groups.iter().zip(one.iter().zip(other)).filter(|(_, (one, other))| one != other);
        differs.flat_map(|(group, _)| &group.cells).map(|cell| self.plan.cells[*cell].id.layer).min()
    }

    fn refined_plan(&self, refined: &Refined, command: &str) -> anyhow::Result<Plan> {
        let mut plan = self.with(&refined.chosen);
        for step in &refined.steps {
            let Step::Joint { moves, marginals, taken: true, .. } = step else { continue };
            for (taken, marginal) in moves.iter().zip(marginals) {
                let cells = &self.groups[taken.group].cells;
                // What the map says of the cell as it was, and what the swap did beside all others.
                cells.iter().for_each(|cell| plan.cells[*cell].cost += marginal / cells.len() as f64);
            }
        }
        for cell in &mut plan.cells {
            if let Choice::Stored(stored) = cell.choice {
                cell.size = proof::bytes_of(&self.plan.client, stored, cell.out_features, cell.in_features);
            }
        }
        plan.totals.cells = plan.cells.iter().map(|cell| cell.size).sum();
        plan.totals.cost = plan.cells.iter().map(|cell| cell.cost).sum();
        plan.totals.bound = plan.totals.bound.min(plan.totals.cost);
        plan.totals.file = plan.file_bytes();
        let weights: u64 = plan.cells.iter().map(tomo_plan::Decision::numel).sum();
        plan.totals.bits_per_weight = Some(8.0 * plan.totals.cells as f64 / (weights as f64).max(1.0));
        plan.cost.how.push_str("; of cells that were refined, plus what the swap did to the joint KL");
        let windows = &self.run.windows;
        let about = &mut plan.about;
        about.command = command.to_owned();
        about.notes.push(format!(
            "refined by {:.0} measurements on {}: joint KL {:.4} before, {:.4} after, nats per token",
            refined.spent, windows.description, refined.before, refined.after
        ));
        if about.text_digest.as_deref() != Some(windows.digest().as_str()) {
            let known = about.text_passages.as_ref().map(|text| text.parse::<Passages>()).transpose()?;
            let own = windows.passages();
            about.text_passages = Some(known.map_or_else(|| own.clone(), |known| known.with(&own)).to_string());
            about.text_digest = Some(windows.digest());
            let text = about.text.take().map_or_else(String::new, |text| format!("{text}; "));
            about.text = Some(format!("{text}refined on {}", windows.description));
        }
        Ok(plan)
    }
}

fn stored_now(plan: &Plan, cells: &[usize]) -> Vec<Stored> {
    let stored = |cell: &usize| match plan.cells[*cell].choice {
        Choice::Stored(stored) => stored,
        _ => Stored::Original { bits: 16 },
    };
    cells.iter().map(stored).collect()
}

/// Cells that the plan ties, with what they may be stored as: of ways that take the same bytes one, the present one first.
fn groups(plan: &Plan, types: &[Stored]) -> Vec<Group> {
    let client = tomo_plan::find_client(&plan.client).ok();
    let of_plan = || {
        let mut all: Vec<Stored> = Vec::new();
        plan.stored().for_each(|(_, stored)| {
            if !all.contains(&stored) {
                all.push(stored)
            }
        });
        all
    };
    let types = if types.is_empty() { of_plan() } else { types.to_vec() };
    let group = |cells: Vec<usize>| {
        let way = |stored: Vec<Stored>| {
            let size = |(cell, stored): (&usize, &Stored)| {
                let cell = &plan.cells[*cell];
                proof::bytes_of(&plan.client, *stored, cell.out_features, cell.in_features)
            };
            let bytes = cells.iter().zip(&stored).map(size).sum();
            Way { stored, bytes }
        };
        let all_as = |one: &Stored| cells.iter().map(|cell| one.on(plan.cells[*cell].in_features)).collect();
        let fits = |one: &&Stored| {
            let rows_fit =
                |client: &Client| cells.iter().all(|cell| (client.fits)(**one, plan.cells[*cell].in_features));
            client.is_none_or(rows_fit)
        };
        let mut ways = vec![way(stored_now(plan, &cells))];
        for one in types.iter().filter(fits).map(all_as).map(way) {
            if ways.iter().all(|known| known.bytes != one.bytes) {
                ways.push(one);
            }
        }
        ways.sort_by_key(|way| way.bytes);
        Group { cells, ways }
    };
    plan.ties().into_iter().map(group).collect()
}

/// For each group what most choices have.
fn most_common(choices: &[Vec<usize>]) -> Vec<usize> {
    let groups = choices.first().map_or(0, Vec::len);
    let of = |group: usize| {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        choices.iter().for_each(|choice| *counts.entry(choice[group]).or_default() += 1);
        counts.into_iter().max_by_key(|(_, count)| *count).map_or(0, |(option, _)| option)
    };
    (0..groups).map(of).collect()
}

/// The cheapest choice within so many bytes.
fn solve(offers: &[Vec<(u64, f64)>], limit: u64) -> Option<Vec<usize>> {
    let item = |group: &Vec<(u64, f64)>| group.iter().map(|(size, cost)| Offer { size: *size, cost: *cost }).collect();
    let items: Vec<Vec<Offer>> = offers.iter().map(item).collect();
    knapsack::solve(&items, limit).ok().map(|solution| solution.chosen)
}
