//! What changes to a model do to what it says: the changed model beside the unchanged one on the same tokens.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow};
use tomo_map::CellId;
use tomo_map::stats::{Bootstrap, quantile};
use tomo_model::Model;
use tomo_model::change::{Changes, Defaults, Edit, EditContext, MadeVariant, Means, Note};
use tomo_model::engine::{ComparePlan, DamageSink, MemoryPlan, PassProgress, TokenDamage, Until, Variant};

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
        let sink = Kept::new(sequences.len());
        let variants: [Variant; 1] = [made.variant];
        if !run.engine.compare_all(sequences, &variants, &self.plan, &sink, progress)? {
            return Ok(None);
        }
        let (original, damage) = sink.finish();
        let seed = self.defaults.seed;
        Measured::of(&original, &damage, seed).ok_or_else(|| anyhow!("no token was predicted")).map(Some)
    }
}

/// Everything every token said, of one variant.
struct Kept(Mutex<(Vec<Vec<f64>>, Vec<Vec<TokenDamage>>)>);

impl Kept {
    fn new(sequences: usize) -> Self {
        Self(Mutex::new((vec![Vec::new(); sequences], vec![Vec::new(); sequences])))
    }

    fn finish(self) -> (Vec<Vec<f64>>, Vec<Vec<TokenDamage>>) {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DamageSink for Kept {
    fn original(&self, sequence: usize, nll: &[f64]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0[sequence] = nll.to_vec();
    }

    fn see(&self, _variant: usize, sequence: usize, tokens: &[TokenDamage]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1[sequence] = tokens.to_vec();
    }
}
