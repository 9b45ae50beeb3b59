//! Better choices from measured swaps, where costs of single cells do not add up.
//!
//! # Algorithm
//! A plan is an option per group of cells that are stored alike. Around the plan as it stands every group is moved one option up and one down,
//! everything else as planned, and the model is run: what that does to the joint KL is the move's marginal. All moves get a few sequences
//! first; those that a step could want, at the better end of what is known of them, get the rest.
//!
//! A step is the set of moves with the lowest sum of marginals that fits the bytes and is not larger than a trust region of moves,
//! since marginals were measured one by one. Marginals are taken at their mean plus one standard error: of many noisy ones the lowest
//! are the luckiest. A step is measured jointly, beside its half and its quarter, and is taken only where the paired 95 % interval of the joint
//! KL (wider, since the best of several is looked at) says that it is better; then the region grows, else it shrinks. When no step is taken any more, marginals are measured anew around the
//! plan as it is then, as far as the budget goes: those of groups that moved, and those that were wanted most.
//!
//! A measurement is one changed model over all sequences; one over a quarter of them is a quarter of a measurement.
//!
//! # Misleads when
//! The text is too short: steps are fitted to it, and what they gain on it is more than what they gain elsewhere. That is for a
//! held-out text to say.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tomo_map::stats::{Bootstrap, quantile};

use crate::damage::{Estimate, Sequences};
use crate::proof::SAME_SIZE;

/// Share of the groups that the first step may move at most.
const TRUST: f64 = 0.1;
/// Share of the groups that any step may move at most.
const MOST_TRUST: f64 = 0.4;
/// Share of what is left that the first look at all moves may take.
const FIRST_LOOK: f64 = 0.35;
/// Share of what is left then that the look at those that are wanted may take, on all sequences.
const SECOND_LOOK: f64 = 0.5;
/// Sequences that a first look takes at least: from one there is no standard error.
const FEWEST_SEQUENCES: usize = 2;
/// Samples of the sequences behind the interval of a step.
const RESAMPLES: usize = 2000;
/// Of the interval that a step has to leave 0 out of, on its upper side.
const TAIL: f64 = 0.025;
/// What a step takes at most: itself, its half and its quarter.
const PER_STEP: f64 = 3.0;

/// What is to be refined.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    /// Bytes of each option of each group, ascending and different.
    pub sizes: Vec<Vec<u64>>,
    /// The option of each group to start from.
    pub start: Vec<usize>,
    /// Tokens that are predicted, by sequence.
    pub tokens: Vec<f64>,
    /// Measurements that may be spent.
    pub budget: f64,
    /// Seed of the order of sequences and of resamples.
    pub seed: u64,
}

/// A group that takes another option.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Move {
    /// Which group.
    pub group: usize,
    /// Its new option.
    pub option: usize,
}

/// What was measured, and what became of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Step {
    /// Moves were measured one by one.
    Look {
        /// How many, so far.
        moves: usize,
        /// How many of them on all sequences, around the plan as it was then.
        whole: usize,
        /// Measurements spent so far.
        spent: f64,
    },
    /// Several moves were measured jointly.
    Joint {
        /// The best of those that were tried.
        moves: Vec<Move>,
        /// The marginal of each, nats per token.
        marginals: Vec<f64>,
        /// What they do to the joint KL, nats per token.
        change: Estimate,
        /// Whether they were taken.
        taken: bool,
        /// Measurements spent so far.
        spent: f64,
    },
}

/// What refining found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Refined {
    /// The option of each group.
    pub chosen: Vec<usize>,
    /// Joint KL before and after, nats per token, on the text that it was refined on.
    pub before: f64,
    /// After.
    pub after: f64,
    /// After minus before, paired.
    pub change: Estimate,
    /// Measurements that were spent.
    pub spent: f64,
    /// What was done, in order.
    pub steps: Vec<Step>,
}

/// The choice with the lowest sum of costs of at most so many bytes: for each group an index into what it is offered, `(size, cost)`.
/// `None` where nothing fits.
pub type Solve<'a> = dyn Fn(&[Vec<(u64, f64)>], u64) -> Option<Vec<usize>> + 'a;

/// Measures choices (an option for each group) on some sequences: the sum of the KL over the tokens of each of these sequences, in
/// their order, for each choice. `None`: cancelled.
pub type Measure<'a, E> = dyn FnMut(&[Vec<usize>], &[usize]) -> Result<Option<Vec<Vec<f64>>>, E> + 'a;

/// Refines. `None`: cancelled before anything was known; cancelled later, what was taken until then is the result.
///
/// # Errors
/// Whatever `measure` fails with.
pub fn refine<E>(problem: &Problem, solve: &Solve<'_>, measure: &mut Measure<'_, E>) -> Result<Option<Refined>, E> {
    let all: Vec<usize> = (0..problem.tokens.len()).collect();
    let Some(first) = measure(std::slice::from_ref(&problem.start), &all)?.and_then(|mut found| found.pop()) else {
        return Ok(None);
    };
    let mut order = all.clone();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(problem.seed));
    let mut search = Search {
        problem,
        solve,
        bootstrap: Bootstrap::new(all.len(), RESAMPLES, problem.seed),
        limit: size_of(problem, &problem.start),
        chosen: problem.start.clone(),
        joint: first.clone(),
        spent: 1.0,
        steps: Vec::new(),
        order,
        before: Vec::new(),
        trust: TRUST,
    };
    while search.sweep(measure)? {}
    let Search { bootstrap, chosen, joint, spent, steps, .. } = search;
    let sequences = Sequences { tokens: problem.tokens.clone(), bootstrap: &bootstrap };
    let change = sequences.mean(&minus(&joint, &first));
    let (before, after) = (sequences.mean(&first).value, sequences.mean(&joint).value);
    Ok(Some(Refined { chosen, before, after, change, spent, steps }))
}

struct Search<'a> {
    problem: &'a Problem,
    solve: &'a Solve<'a>,
    bootstrap: Bootstrap,
    limit: u64,
    chosen: Vec<usize>,
    /// Sums of the KL of what is chosen, by sequence.
    joint: Vec<f64>,
    spent: f64,
    steps: Vec<Step>,
    /// Sequences in the order in which moves get them.
    order: Vec<usize>,
    /// What was last known of every move that was looked at, around the plan of that time.
    before: Vec<Known>,
    trust: f64,
}

impl Known {
    fn new(id: Move) -> Self {
        Self { id, mean: 0.0, error: 0.0, seen: 0, sums: Vec::new() }
    }
}

/// A move and what is known of it.
#[derive(Clone, PartialEq, Debug)]
struct Known {
    id: Move,
    /// Change of the KL per token.
    mean: f64,
    error: f64,
    /// How many sequences of the order it got.
    seen: usize,
    /// Sums of changes by sequence of the order.
    sums: Vec<f64>,
}

impl Search<'_> {
    fn left(&self) -> f64 {
        self.problem.budget - self.spent
    }

    /// Measures marginals and takes steps while they help; whether another sweep makes sense.
    fn sweep<E>(&mut self, measure: &mut Measure<'_, E>) -> Result<bool, E> {
        let Some(mut known) = self.look(measure)? else { return Ok(false) };
        let mut any = false;
        loop {
            match self.step(&mut known, measure)? {
                Taken::Step => any = true,
                Taken::Nothing => return Ok(any),
                Taken::Over => return Ok(false),
            }
        }
    }

    /// What moves do, as far as the budget goes; `None` where it does not reach for that, or was cancelled. Only those that saw all
    /// sequences are given: from a few of them the best are the luckiest.
    fn look<E>(&mut self, measure: &mut Measure<'_, E>) -> Result<Option<Vec<Known>>, E> {
        self.trust = TRUST;
        let count = self.order.len();
        let whole = |left: f64| (left - 2.0 * PER_STEP).floor().max(0.0) as usize;
        let mut known: Vec<Known> = Vec::new();
        if self.before.is_empty() {
            known = self.candidates();
            let may = FIRST_LOOK * (self.left() - PER_STEP);
            let sequences = (may / known.len().max(1) as f64 * count as f64).floor() as usize;
            let sequences = sequences.clamp(FEWEST_SEQUENCES.min(count), count);
            let everything: Vec<usize> = (0..known.len()).collect();
            if known.len() < 2 || !self.more(&mut known, &everything, sequences, measure)? {
                return Ok(None);
            }
            self.before.clone_from(&known);
        }
        // Moves of groups that moved are new; of the others those come first that were wanted most when they were last looked at.
        let moves = self.moves();
        let is_new = |id: &Move| {
            let mut of_group = self.before.iter().filter(|own| own.id.group == id.group).peekable();
            of_group.peek().is_some() && of_group.all(|own| own.id != *id)
        };
        let valid: Vec<Known> = self.before.iter().filter(|own| moves.contains(&own.id)).cloned().collect();
        let wanted = self.wanted(&valid).into_iter().map(|at| valid[at].id);
        let ids: Vec<Move> = moves.iter().copied().filter(is_new).chain(wanted).collect();
        let lacking = |id: &Move| known.iter().find(|own| own.id == *id).map_or(count, |own| count - own.seen);
        let (mut which, mut cost) = (Vec::new(), 0.0);
        for id in ids {
            cost += lacking(&id) as f64 / count as f64;
            if cost > SECOND_LOOK * self.left() || which.len() >= whole(self.left()) {
                break;
            }
            which.push(id);
        }
        known.retain(|own| own.seen == count || which.contains(&own.id));
        let fresh = which.iter().filter(|id| known.iter().all(|own| own.id != **id)).map(|id| Known::new(*id));
        let fresh: Vec<Known> = fresh.collect();
        known.extend(fresh);
        let all: Vec<usize> = (0..known.len()).collect();
        let from = known.first().map_or(count, |own| own.seen);
        if all.len() < 2 || (from < count && !self.more(&mut known, &all, count, measure)?) {
            return Ok(None);
        }
        for own in &known {
            self.before.retain(|old| old.id != own.id);
            self.before.push(own.clone());
        }
        self.steps.push(Step::Look { moves: self.before.len(), whole: known.len(), spent: self.spent });
        // Behind them, moves that only fill what is left of the bytes.
        let is_more = |own: &&Known| self.adds(own.id) && moves.contains(&own.id);
        let others = self.before.iter().filter(is_more).filter(|own| known.iter().all(|whole| whole.id != own.id));
        let others: Vec<Known> = others.map(|own| Known { seen: 0, ..own.clone() }).collect();
        known.extend(others);
        Ok(Some(known))
    }

    /// Every move, of which nothing is known.
    fn candidates(&self) -> Vec<Known> {
        let count = self.order.len();
        let each = FEWEST_SEQUENCES.min(count) as f64 / count as f64;
        let affordable = (FIRST_LOOK * (self.left() - PER_STEP) / each).floor().max(0.0) as usize;
        let mut moves = self.moves();
        if moves.len() > affordable {
            // Ups and downs of the same groups, drawn at random.
            let mut groups: Vec<usize> = moves.iter().map(|m| m.group).collect();
            groups.dedup();
            groups.shuffle(&mut ChaCha8Rng::seed_from_u64(self.problem.seed));
            groups.truncate(affordable / 2);
            moves.retain(|m| groups.contains(&m.group));
        }
        moves.into_iter().map(Known::new).collect()
    }

    /// One option up and one down for each group.
    fn moves(&self) -> Vec<Move> {
        let options = |group: usize| {
            let (now, count) = (self.chosen[group], self.problem.sizes[group].len());
            [now.checked_sub(1), Some(now + 1).filter(|up| *up < count)].into_iter().flatten()
        };
        (0..self.chosen.len()).flat_map(|group| options(group).map(move |option| Move { group, option })).collect()
    }

    /// Measures some moves until they have seen so many sequences. `false`: cancelled.
    fn more<E>(
        &mut self,
        known: &mut [Known],
        which: &[usize],
        until: usize,
        measure: &mut Measure<'_, E>,
    ) -> Result<bool, E> {
        let from = which.first().map_or(0, |at| known[*at].seen);
        // In ascending order, as the engine takes them.
        let mut sequences = self.order[from..until].to_vec();
        sequences.sort_unstable();
        let choices: Vec<Vec<usize>> = which.iter().map(|at| with(&self.chosen, &[known[*at].id])).collect();
        let Some(found) = measure(&choices, &sequences)? else { return Ok(false) };
        for (at, sums) in which.iter().zip(found) {
            let own = &mut known[*at];
            own.sums.resize(self.order.len(), 0.0);
            sequences.iter().zip(sums).for_each(|(sequence, sum)| own.sums[*sequence] = sum - self.joint[*sequence]);
            own.seen = until;
        }
        self.spent += (which.len() * sequences.len()) as f64 / self.order.len() as f64;
        self.settle(known);
        Ok(true)
    }

    /// Means and standard errors from what was seen. The error is halfway between a move's own and what moves of its size have in
    /// the middle: from few sequences its own says little.
    fn settle(&self, known: &mut [Known]) {
        for own in known.iter_mut() {
            let seen = &self.order[..own.seen];
            let tokens: f64 = seen.iter().map(|s| self.problem.tokens[*s]).sum();
            own.mean = seen.iter().map(|s| own.sums[*s]).sum::<f64>() / tokens;
            let residual = |s: &usize| (own.sums[*s] - own.mean * self.problem.tokens[*s]).powi(2);
            let spread: f64 = seen.iter().map(residual).sum();
            let n = own.seen as f64;
            own.error = if own.seen > 1 { (spread * n / (n - 1.0)).sqrt() / tokens } else { own.mean.abs() };
        }
        let relative = |k: &Known| k.error * (k.seen as f64).sqrt() / k.mean.abs().max(f64::MIN_POSITIVE);
        let mut all: Vec<f64> = known.iter().map(relative).filter(|r| r.is_finite()).collect();
        all.sort_by(f64::total_cmp);
        let middle = all.get(all.len() / 2).copied().unwrap_or(1.0);
        for own in known.iter_mut() {
            let usual = middle * own.mean.abs() / (own.seen as f64).sqrt();
            own.error = (own.error + usual) / 2.0;
        }
    }

    /// Moves that a step could want, those that the smallest would first: of the best steps of half to four times the trust region, at their
    /// mean and at the better end.
    fn wanted(&self, known: &[Known]) -> Vec<usize> {
        let usual = self.most_moves();
        let mut wanted = Vec::new();
        for most in [usual / 2, usual, 2 * usual, 4 * usual] {
            for caution in [0.0, -1.0] {
                let set = self.propose(known, known.len(), caution, most);
                wanted.extend(set.into_iter().filter(|at| !wanted.contains(at)).collect::<Vec<usize>>());
            }
        }
        wanted
    }

    /// Whether sums of differences by sequence are below 0 beyond chance, for the best of so many that were tried: the interval is as much
    /// wider, and by the square root of n / (n - 1), which resamples of n sequences lack.
    fn is_better(&self, differences: &[f64], tried: usize) -> bool {
        let tokens = &self.problem.tokens;
        let mean = |counts: &[u16]| {
            let sum = |of: &[f64]| counts.iter().zip(of).map(|(n, value)| f64::from(*n) * value).sum::<f64>();
            sum(differences) / sum(tokens)
        };
        let value = differences.iter().sum::<f64>() / tokens.iter().sum::<f64>();
        let mut resampled: Vec<f64> = self.bootstrap.counts().map(mean).collect();
        let n = tokens.len() as f64;
        match quantile(&mut resampled, 1.0 - TAIL / tried as f64) {
            Some(high) => value + (high - value) * (n / (n - 1.0)).sqrt() < 0.0,
            None => false,
        }
    }

    fn most_moves(&self) -> usize {
        ((self.trust * self.chosen.len() as f64).round() as usize).max(2)
    }

    /// The best set of at most so many moves, as indices into `known`, each taken at its mean plus `caution` standard errors. Those behind
    /// the first `whole` only fill what is left of the bytes.
    fn propose(&self, known: &[Known], whole: usize, caution: f64, most: usize) -> Vec<usize> {
        let mut offers: Vec<Vec<(u64, f64)>> =
            self.chosen.iter().zip(&self.problem.sizes).map(|(now, sizes)| vec![(sizes[*now], 0.0)]).collect();
        let mut behind: Vec<Vec<usize>> = vec![Vec::new(); offers.len()];
        for (at, own) in known.iter().take(whole).enumerate() {
            let Move { group, option } = own.id;
            offers[group].push((self.problem.sizes[group][option], self.cost(own, caution)));
            behind[group].push(at);
        }
        let taken = |toll: f64| -> Vec<usize> {
            let mut with_toll = offers.clone();
            with_toll.iter_mut().flat_map(|offers| offers.iter_mut().skip(1)).for_each(|offer| offer.1 += toll);
            let chosen = (self.solve)(&with_toll, self.limit).unwrap_or_default();
            let moved = chosen.iter().enumerate().filter(|(_, option)| **option > 0);
            moved.map(|(group, option)| behind[group][option - 1]).collect()
        };
        let free = taken(0.0);
        if free.len() <= most {
            return self.filled(free, known, caution);
        }
        // A toll on every move, as low as leaves few enough of them.
        let (mut low, mut high) = (0.0, known.iter().map(|own| self.cost(own, caution).abs()).fold(0.0, f64::max));
        let mut best = Vec::new();
        for _ in 0..HALVINGS {
            let toll = f64::midpoint(low, high);
            let set = taken(toll);
            if set.len() <= most {
                (high, best) = (toll, set);
            } else {
                low = toll;
            }
        }
        self.filled(best, known, caution)
    }

    /// What a move is taken to cost: its mean plus `caution` standard errors, but never less than nothing for fewer bytes, nor more
    /// than nothing for more of them. Where it looks otherwise it is noise, and bytes would be left over.
    fn cost(&self, own: &Known, caution: f64) -> f64 {
        let cost = own.mean + caution * own.error;
        if self.adds(own.id) { cost.min(-f64::EPSILON) } else { cost.max(f64::EPSILON) }
    }

    fn adds(&self, id: Move) -> bool {
        id.option > self.chosen[id.group]
    }

    /// A set of moves with more of those that add bytes, the cheapest per byte first, as long as much room is left: a plan of fewer bytes
    /// could not be held against others.
    fn filled(&self, mut set: Vec<usize>, known: &[Known], caution: f64) -> Vec<usize> {
        let sizes = &self.problem.sizes;
        let more = |own: &Known| {
            sizes[own.id.group][own.id.option].saturating_sub(sizes[own.id.group][self.chosen[own.id.group]])
        };
        loop {
            let moves: Vec<Move> = set.iter().map(|at| known[*at].id).collect();
            let room = self.limit.saturating_sub(size_of(self.problem, &with(&self.chosen, &moves)));
            if set.is_empty() || room as f64 <= SAME_SIZE / 2.0 * self.limit as f64 {
                return set;
            }
            let fits = |own: &Known| {
                self.adds(own.id) && more(own) <= room && moves.iter().all(|taken| taken.group != own.id.group)
            };
            let per_byte = |at: &usize| self.cost(&known[*at], caution) / more(&known[*at]).max(1) as f64;
            let fitting = (0..known.len()).filter(|at| fits(&known[*at]));
            match fitting.min_by(|a, b| per_byte(a).total_cmp(&per_byte(b))) {
                Some(at) => set.push(at),
                None => return set,
            }
        }
    }

    /// Measures a step, its half and its quarter, and takes the best if it helps.
    fn step<E>(&mut self, known: &mut Vec<Known>, measure: &mut Measure<'_, E>) -> Result<Taken, E> {
        loop {
            if self.left() < 1.0 {
                return Ok(Taken::Over);
            }
            let most = self.most_moves();
            let whole = known.iter().take_while(|own| own.seen == self.order.len()).count();
            let mut sets: Vec<Vec<usize>> = Vec::new();
            for most in [most, most / 2, most / 4] {
                let set = if most > 0 { self.propose(known, whole, 1.0, most) } else { Vec::new() };
                if !set.is_empty() && !sets.contains(&set) {
                    sets.push(set);
                }
            }
            sets.truncate(self.left() as usize);
            if sets.is_empty() {
                return Ok(Taken::Nothing);
            }
            let moves = |set: &Vec<usize>| set.iter().map(|at| known[*at].id).collect::<Vec<Move>>();
            let choices: Vec<Vec<usize>> = sets.iter().map(|set| with(&self.chosen, &moves(set))).collect();
            let all: Vec<usize> = (0..self.order.len()).collect();
            let Some(found) = measure(&choices, &all)? else { return Ok(Taken::Over) };
            self.spent += choices.len() as f64;
            let sum = |sums: &[f64]| sums.iter().sum::<f64>();
            let Some(best) = (0..found.len()).min_by(|a, b| sum(&found[*a]).total_cmp(&sum(&found[*b]))) else {
                return Ok(Taken::Nothing);
            };
            let sequences = Sequences { tokens: self.problem.tokens.clone(), bootstrap: &self.bootstrap };
            let differences = minus(&found[best], &self.joint);
            let change = sequences.mean(&differences);
            let taken = self.is_better(&differences, choices.len());
            let marginals = sets[best].iter().map(|at| known[*at].mean).collect();
            let moves = moves(&sets[best]);
            self.steps.push(Step::Joint { moves: moves.clone(), marginals, change, taken, spent: self.spent });
            if taken {
                self.chosen.clone_from(&choices[best]);
                self.joint.clone_from(&found[best]);
                // What was known of groups that moved is of another place.
                known.retain(|own| moves.iter().all(|m| m.group != own.id.group));
                let grows = best == 0 && moves.len() >= most;
                self.trust = if grows { (1.5 * self.trust).min(MOST_TRUST) } else { self.trust };
                return Ok(Taken::Step);
            }
            let smallest = sets.iter().map(Vec::len).min().unwrap_or(0);
            if smallest <= 2 {
                return Ok(Taken::Nothing);
            }
            self.trust = smallest as f64 / 2.0 / self.chosen.len() as f64;
        }
    }
}

/// Halvings of the toll on moves.
const HALVINGS: usize = 12;

enum Taken {
    Step,
    Nothing,
    Over,
}

fn with(chosen: &[usize], moves: &[Move]) -> Vec<usize> {
    let mut choice = chosen.to_vec();
    moves.iter().for_each(|m| choice[m.group] = m.option);
    choice
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn size_of(problem: &Problem, choice: &[usize]) -> u64 {
    problem.sizes.iter().zip(choice).map(|(sizes, option)| sizes[*option]).sum()
}
