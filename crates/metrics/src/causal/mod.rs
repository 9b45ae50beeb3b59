//! Causal metrics: change one cell, run the model, and hold its predictions against its own.
//!
//! `edits` of metrics become variants of the model ([`entrants`]), which the engine runs beside the original; what they do to
//! each sequence is kept ([`table`]) and is all that scores are made of ([`scores`]). Unless told otherwise cells
//! race ([`race`]): once it is settled whether one belongs to the highest tenth, it is not measured further.

pub(crate) mod catalogue;
mod entrants;
mod measured;
mod noise;
mod race;
mod run;
mod scores;
mod state;
mod table;

use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tomo_model::Model;
use tomo_model::change::{ChangeError, Defaults, EditContext, Means};
use tomo_model::engine::{ComparePlan, Engine, EngineError, MemoryPlan, Until, Variant};

pub use measured::{Measured, MeasuredCell, MeasuredVariant};
pub use noise::NoiseFit;
pub use race::{Race, Standing, Standings};
pub use state::{Found, Keep, KeepError};
pub use table::Damage;

use crate::{CausalEdit, Options, Selected, Share, StateError};
use entrants::Entrants;
use state::State;
use table::Table;

/// Why a causal scan did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CausalError {
    /// A change that cannot be made.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What is known could not be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// `patch-kl` takes cells from a checkpoint that was not named.
    #[error(
        "patch-kl takes cells from another checkpoint\n  expected: one of the same shape\n  found: none\n  hint: --against BASE"
    )]
    NoBase,
}

/// What a causal scan will take.
#[derive(Clone, PartialEq, Debug)]
pub struct CausalPlan {
    /// Changed models.
    pub variants: usize,
    /// Sequences that each runs on, at most.
    pub sequences: usize,
    /// Passes of a changed model over a sequence that are decided upon before anything is known.
    pub first: usize,
    /// Cells that are in a race, and cells of the panel among them; `None` where every cell gets every sequence.
    pub racing: Option<(usize, usize)>,
    /// The forward pass that collects means, where there is one.
    pub means: Option<MemoryPlan>,
    /// The rest, if every changed model ran on every sequence.
    pub compare: ComparePlan,
    /// What an earlier scan left.
    pub found: Found,
}

/// Scores the cells of a model by changing them: runs all changed models that the causal metrics of a selection need.
///
/// Scores are means over predicted tokens, with 95 % intervals over sequences: of cells that saw all of them a bootstrap, paired
/// over all cells and metrics.
pub struct Causal {
    model: Arc<Model>,
    against: Option<Arc<Model>>,
    options: Options,
    lengths: Vec<usize>,
    /// Sequences in the order in which they are given out.
    order: Vec<usize>,
    entrants: Vec<Entrants>,
    /// Parallel to the entrants.
    races: Vec<Option<Race>>,
    keep: Option<Keep>,
    plan: CausalPlan,
    state: State,
    /// Parallel to the grid: whose changes are run here; all where `None`.
    wanted: Option<Vec<bool>>,
}

impl Causal {
    /// Plans what the causal metrics among `selected` need on sequences of these lengths; `None` where there is none of them.
    /// Goes on from what is kept where `keep` says, if it is of the same scan.
    ///
    /// # Errors
    /// `patch-kl` without another checkpoint; more memory than a pass may take.
    pub fn new(
        engine: &Engine,
        model: &Arc<Model>,
        selected: &[Selected],
        options: &Options,
        lengths: &[usize],
        against: Option<Arc<Model>>,
        keep: Option<Keep>,
    ) -> Result<Option<Self>, CausalError> {
        let sequences = lengths.len();
        let mut entrants: Vec<Entrants> = Vec::new();
        let mut count = 0;
        let context = context(model, against.as_ref(), None, sequences, options);
        for (selected, edit) in entrants::causal(selected) {
            if edit == CausalEdit::Patch && against.is_none() {
                return Err(CausalError::NoBase);
            }
            let one = Entrants::new(selected, edit, &context, engine, options, count)?;
            count += one.running().count() * one.arms.len();
            entrants.push(one);
        }
        if entrants.is_empty() {
            return Ok(None);
        }
        let mut order: Vec<usize> = (0..sequences).collect();
        let race = |one: &Entrants| Race::new(one.running().count(), sequences, options.seed);
        let races: Vec<Option<Race>> = entrants.iter().map(|one| race(one).filter(|_| !options.exact)).collect();
        if races.iter().any(Option::is_some) {
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
        }
        let variants = all_variants(&entrants, &context)?;
        let compare = engine.plan_compare(lengths, &variants)?;
        let means = match means_of(&entrants, model, sequences) {
            Some(means) => Some(engine.plan(lengths, &[&means], means.bytes(), Until::LastBlock)?),
            None => None,
        };
        let targets = entrants
            .iter()
            .zip(&races)
            .map(|(one, race)| race.as_ref().map_or_else(|| vec![sequences; one.running().count()], Race::start));
        let fresh = State { table: Table::new(count, sequences), targets: targets.collect() };
        let (state, found) = match keep.as_ref().map_or((None, false), Keep::load) {
            (Some(kept), _) if kept.is_like(&fresh) => (kept, true),
            (_, was_there) => (fresh, was_there),
        };
        let racing =
            races.iter().flatten().fold((0, 0), |(panel, races), race| (panel + race.panel().len(), races + 1));
        let cells = entrants.iter().zip(&races).filter(|(_, race)| race.is_some());
        let cells: usize = cells.map(|(one, _)| one.running().count()).sum();
        let mut causal = Self {
            model: model.clone(),
            against,
            options: options.clone(),
            lengths: lengths.to_vec(),
            order,
            entrants,
            races,
            keep,
            plan: CausalPlan {
                variants: count,
                sequences,
                first: 0,
                racing: (racing.1 > 0).then_some((cells, racing.0)),
                means,
                compare,
                found: Found::Nothing,
            },
            state,
            wanted: None,
        };
        causal.count(found);
        Ok(Some(causal))
    }

    fn count(&mut self, found: bool) {
        let (done, of) = self.measurements();
        self.plan.first = of;
        self.plan.found = match (done, found) {
            (0, false) => Found::Nothing,
            (0, true) => Found::Other,
            _ => Found::State { done, of },
        };
    }

    /// Is a part of the scan from now on: runs the changes of its share of the cells alone. A race is run by all cells together.
    ///
    /// # Errors
    /// Cells race, or the share is not one of cells.
    pub fn of(mut self, share: &Share) -> Result<Self, StateError> {
        if self.plan.racing.is_some() {
            return Err(StateError::new(
                "cells race for sequences, which takes all of them: --exact runs every cell on every sequence",
            ));
        }
        if matches!(share, Share::Sequences(_)) {
            return Err(StateError::new("changes of cells are shared out by cell"));
        }
        let was_there = self.plan.found != Found::Nothing;
        self.wanted = Some(share.cells(self.model.cells().len()));
        self.count(was_there);
        Ok(self)
    }

    /// What it knows, for [`Causal::absorb`] of the whole scan.
    ///
    /// # Errors
    /// What it knows cannot be written.
    pub fn state(&self) -> Result<Vec<u8>, StateError> {
        StateError::write(&self.state)
    }

    /// Takes what a part of the scan knows. Where parts know the same, they know it to the same bits.
    ///
    /// # Errors
    /// It is of another scan.
    pub fn absorb(&mut self, state: &[u8]) -> Result<(), StateError> {
        let part: State = StateError::read(state)?;
        if !part.is_like(&self.state) {
            return Err(StateError::new("it is of other cells, sequences or changes"));
        }
        self.state.table.absorb(part.table);
        Ok(())
    }

    fn is_wanted(&self, cell: usize) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted[cell])
    }

    /// What the scan will take.
    pub fn plan(&self) -> &CausalPlan {
        &self.plan
    }

    /// Passes of a changed model over a sequence that are done, and that were decided upon.
    pub fn measurements(&self) -> (usize, usize) {
        let mut counts = (0, 0);
        self.each_target(|variant, sequence| {
            counts.0 += usize::from(self.state.table.get(variant, sequence).is_some());
            counts.1 += 1;
        });
        counts
    }

    /// Every variant with every sequence that it is to get.
    fn each_target(&self, mut see: impl FnMut(usize, usize)) {
        for (one, targets) in self.entrants.iter().zip(&self.state.targets) {
            for ((cell, first), target) in one.running().zip(targets) {
                if !self.is_wanted(cell) {
                    continue;
                }
                for variant in first..first + one.arms.len() {
                    self.order.iter().take(*target).for_each(|sequence| see(variant, *sequence));
                }
            }
        }
    }

    fn means(&self) -> Option<Means> {
        means_of(&self.entrants, &self.model, self.lengths.len())
    }

    fn variants(&self, means: Option<&Means>) -> Result<Vec<Variant>, CausalError> {
        let context = context(&self.model, self.against.as_ref(), means, self.lengths.len(), &self.options);
        all_variants(&self.entrants, &context)
    }
}

fn context<'a>(
    model: &'a Model,
    against: Option<&'a Arc<Model>>,
    means: Option<&'a Means>,
    sequences: usize,
    options: &Options,
) -> EditContext<'a> {
    let defaults = Defaults { group: options.group, seed: options.seed };
    EditContext { model, against, means, sequences, defaults }
}

fn all_variants(entrants: &[Entrants], context: &EditContext<'_>) -> Result<Vec<Variant>, CausalError> {
    let mut all = Vec::new();
    for one in entrants {
        all.extend(one.variants(context)?);
    }
    Ok(all)
}

/// The observer of what mean ablation needs.
fn means_of(entrants: &[Entrants], model: &Model, sequences: usize) -> Option<Means> {
    let one = entrants.iter().find(|one| one.edit == CausalEdit::Mean)?;
    Some(Means::new(model, one.running().map(|(cell, _)| cell), sequences))
}
