//! What changes to a model do to what it says: the changed model beside the unchanged one on the same tokens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use tomo_map::CellId;
use tomo_map::stats::{Bootstrap, quantile};
use tomo_model::Model;
use tomo_model::change::{Changes, Defaults, Edit, EditContext, MadeVariant, Means, Note};
use tomo_model::engine::{ComparePlan, DamageSink, MemoryPlan, PassProgress, TokenDamage, Until};

use crate::run::Run;

/// Samples of the sequences that intervals are taken from.
const RESAMPLES: usize = 2000;

/// A number with its 95 % interval, where there is one: it takes two sequences.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// Over all predicted tokens.
    pub value: f64,
    /// By the bootstrap over sequences, the same samples for every number.
    pub interval: Option<(f64, f64)>,
}

/// How far a changed model is from the unchanged one.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured {
    /// Mean negative log likelihood of the unchanged model, nats per predicted token.
    pub nll_original: Estimate,
    /// Of the changed one.
    pub nll: Estimate,
    /// Changed minus unchanged, paired token by token.
    pub difference: Estimate,
    /// Mean of KL(unchanged || changed), nats per predicted token.
    pub kl: Estimate,
    /// Its 99th percentile over tokens.
    pub kl_p99: f64,
    /// Share of tokens for which both have the same most likely token.
    pub top1: Estimate,
    /// Predicted tokens: all but the first of each sequence.
    pub tokens: usize,
    /// Sequences.
    pub sequences: usize,
}

impl Measured {
    /// From what every token says, sequence by sequence; `None` where there is none. `original` are the unchanged model's losses.
    pub fn of(original: &[Vec<f64>], damage: &[Vec<TokenDamage>], seed: u64) -> Option<Self> {
        let tokens: Vec<f64> = damage.iter().map(|s| s.len() as f64).collect();
        let total: f64 = tokens.iter().sum();
        if total == 0.0 {
            return None;
        }
        let bootstrap = Bootstrap::new(damage.len(), RESAMPLES, seed);
        let estimate = |sums: Vec<f64>| Estimate {
            value: sums.iter().sum::<f64>() / total,
            interval: bootstrap.ratio(&sums, &tokens),
        };
        let sums = |of: fn(&TokenDamage) -> f64| damage.iter().map(|s| s.iter().map(of).sum()).collect();
        let differences = damage
            .iter()
            .zip(original)
            .map(|(changed, unchanged)| changed.iter().zip(unchanged).map(|(token, nll)| token.nll - nll).sum());
        Some(Self {
            nll_original: estimate(original.iter().map(|s| s.iter().sum()).collect()),
            nll: estimate(sums(|token| token.nll)),
            difference: estimate(differences.collect()),
            kl: estimate(sums(|token| token.kl)),
            kl_p99: quantile(&mut damage.iter().flatten().map(|token| token.kl).collect::<Vec<_>>(), 0.99)?,
            top1: estimate(sums(|token| f64::from(u8::from(token.agrees)))),
            tokens: damage.iter().map(Vec::len).sum(),
            sequences: damage.len(),
        })
    }
}

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
        let sink = EveryToken::new(1, sequences.len());
        let variants = [made.variant];
        progress.start(self.plan.rounds.iter().map(|round| self.plan.steps(round)).sum());
        for round in &self.plan.rounds {
            if !run.engine.compare(sequences, &variants, round, &self.plan, &sink, None, &Started(progress))? {
                return Ok(None);
            }
        }
        let Kept { original, damage } = sink.finish();
        let damage = damage.first().map_or(&[][..], Vec::as_slice);
        let lost = damage.iter().flatten().filter(|token| !(token.kl.is_finite() && token.nll.is_finite())).count();
        ensure!(
            lost == 0,
            "the changed model leaves the range of f32\n  found: {lost} tokens without a finite loss\n  hint: a smaller change, or \
             fewer cells"
        );
        Measured::of(&original, damage, self.defaults.seed).context("no token was predicted").map(Some)
    }
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
    pub damage: Vec<Vec<Vec<TokenDamage>>>,
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
        self.kept().damage[variant][sequence] = tokens.to_vec();
    }
}
