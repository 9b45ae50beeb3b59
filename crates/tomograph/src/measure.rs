//! What changes to a model do to what it says: the changed model beside the unchanged one on the same tokens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use tomo_map::CellId;
use tomo_map::stats::Bootstrap;
use tomo_model::Model;
use tomo_model::change::{Changes, Defaults, Edit, EditContext, MadeVariant, Means, Note};
use tomo_model::engine::{ComparePlan, DamageSink, MemoryPlan, PassProgress, Round, TokenDamage, Until, Variant};
use tomo_verify::Token;

use crate::run::Run;

/// Samples of the sequences that intervals are taken from.
const RESAMPLES: usize = 2000;

pub use tomo_verify::{Damage as Measured, Estimate};

/// A measurement with everything decided: the memory is known, nothing has run.
pub struct Measurement<'a> {
    run: &'a Run,
    /// The changes, nothing left open.
    pub changes: Changes,
    /// Cells that differ from the model, by index, and how.
    edits: Vec<(usize, Edit)>,
    against: Option<Arc<Model>>,
    defaults: Defaults,
    /// The pass that collects what cells put out on average, where a change needs that.
    pub first: Option<MemoryPlan>,
    /// The pass with the changes.
    pub plan: ComparePlan,
    /// What is worth knowing about the changes.
    pub notes: Vec<Note>,
}

impl<'a> Measurement<'a> {
    /// Prepares the measurement of `changes` to the model of `run`; `patch` takes cells from `against`.
    ///
    /// # Errors
    /// A selection that does not fit the model, an edit that needs what is not there, more memory than a pass may take.
    pub fn new(
        run: &'a Run,
        changes: Changes,
        defaults: Defaults,
        against: Option<Arc<Model>>,
    ) -> anyhow::Result<Self> {
        let model = run.engine.model();
        let changes = changes.settled(&defaults);
        let edits = changes.cells(model.grid())?;
        let means = Means::needed(model, &edits, run.windows.sequences.len());
        let first = means.as_ref().map(|m| run.plan(&[m], m.bytes(), Until::LastBlock)).transpose()?;
        // The means are not known yet, and for a plan any constant will do.
        let stand_in =
            |(cell, edit): &(usize, Edit)| (*cell, if *edit == Edit::Mean { Edit::Zero } else { edit.clone() });
        let stand_ins: Vec<_> = edits.iter().map(stand_in).collect();
        let sequences = run.windows.sequences.len();
        let context = EditContext { model, against: against.as_ref(), means: None, sequences, defaults };
        let MadeVariant { variant, notes } = context.variant(&stand_ins)?;
        let plan = run.engine.plan_compare(&run.lengths(), &[variant])?;
        Ok(Self { run, changes, edits, against, defaults, first, plan, notes })
    }

    /// The cells that differ.
    pub fn cells(&self) -> impl Iterator<Item = CellId> {
        self.edits.iter().map(|(cell, _)| self.run.engine.model().cells()[*cell].id)
    }

    /// Runs the unchanged model and the changed one; `None` when it was cancelled. Notes that only came up on the way are added.
    ///
    /// # Errors
    /// Weights that cannot be read or are not finite, losses that are not finite.
    pub fn run(&mut self, progress: &dyn PassProgress) -> anyhow::Result<Option<Measured>> {
        let (run, sequences) = (self.run, &self.run.windows.sequences);
        let model = run.engine.model();
        let means = Means::needed(model, &self.edits, sequences.len());
        if let (Some(means), Some(plan)) = (&means, &self.first)
            && !run.forward(&[means], plan, Until::LastBlock, progress)?.completed
        {
            return Ok(None);
        }
        let context = EditContext {
            model,
            against: self.against.as_ref(),
            means: means.as_ref(),
            sequences: sequences.len(),
            defaults: self.defaults,
        };
        let made = context.variant(&self.edits)?;
        self.notes = made.notes;
        let Some(Kept { original, damage }) = compare(run, &[made.variant], &self.plan, &self.plan.rounds, progress)?
        else {
            return Ok(None);
        };
        let damage = damage.first().map_or(&[][..], Vec::as_slice);
        let lost = damage.iter().flatten().filter(|token| !(token.kl.is_finite() && token.nll.is_finite())).count();
        ensure!(
            lost == 0,
            "the changed model leaves the range of f32\n  found: {lost} tokens without a finite loss\n  hint: a smaller change, or \
             fewer cells"
        );
        let bootstrap = Bootstrap::new(damage.len(), RESAMPLES, self.defaults.seed);
        Measured::of(&original, damage, &bootstrap).context("no token was predicted").map(Some)
    }
}

/// Runs `variants` beside the model of `run`, in these rounds; `None` when it was cancelled. What did not run is left empty.
///
/// # Errors
/// Weights that cannot be read, or a change that cannot be made.
pub fn compare(
    run: &Run,
    variants: &[Variant],
    plan: &ComparePlan,
    rounds: &[Round],
    progress: &dyn PassProgress,
) -> anyhow::Result<Option<Kept>> {
    let sequences = &run.windows.sequences;
    let sink = EveryToken::new(variants.len(), sequences.len());
    progress.start(rounds.iter().map(|round| plan.steps(round)).sum());
    for round in rounds {
        if !run.engine.compare(sequences, variants, round, plan, &sink, None, &Started(progress))? {
            return Ok(None);
        }
    }
    Ok(Some(sink.finish()))
}

/// The progress of several rounds as that of one pass.
struct Started<'a>(&'a dyn PassProgress);

impl PassProgress for Started<'_> {
    fn start(&self, _steps: usize) {}

    fn step(&self, layer: u32) {
        self.0.step(layer);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Keeps everything every token said.
pub struct EveryToken(Mutex<Kept>);

/// What [`EveryToken`] kept.
#[derive(Clone, PartialEq, Debug)]
pub struct Kept {
    /// Losses of the unchanged model, by sequence.
    pub original: Vec<Vec<f64>>,
    /// By variant and sequence.
    pub damage: Vec<Vec<Vec<Token>>>,
}

impl EveryToken {
    /// For so many variants on so many sequences.
    pub fn new(variants: usize, sequences: usize) -> Self {
        let damage = vec![vec![Vec::new(); sequences]; variants];
        Self(Mutex::new(Kept { original: vec![Vec::new(); sequences], damage }))
    }

    /// What was kept, when everything has run.
    pub fn finish(self) -> Kept {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DamageSink for EveryToken {
    fn original(&self, sequence: usize, nll: &[f64]) {
        self.kept().original[sequence] = nll.to_vec();
    }

    fn see(&self, variant: usize, sequence: usize, tokens: &[TokenDamage]) {
        let token = |of: &TokenDamage| Token { kl: of.kl, nll: of.nll, agrees: of.agrees };
        self.kept().damage[variant][sequence] = tokens.iter().map(token).collect();
    }
}
