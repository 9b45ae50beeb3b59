//! Many models that differ from one in a few cells, run beside it and compared with it.
//!
//! Layer-major, as every pass: a block is decoded, the original runs through it, then every variant that differs by now. A
//! variant joins at the first layer that it changes, from what the original left there, and shares every later block with all
//! others. One reading of the checkpoint serves them all.

mod change;
mod head;
mod identity;
mod meter;
mod pass;
mod plan;
mod saved;

pub use change::{Branch, Change, DamageSink, OutputChange, Rewrite, Round, TokenDamage, Variant};
pub use plan::ComparePlan;

use super::error::EngineError;
use super::memory::default_budget;
use super::pass::{Engine, PassProgress};
use super::resume::Resume;
use pass::Comparison;
use plan::Costs;

impl Engine {
    /// What [`Engine::compare`] will take for sequences of these lengths, and the rounds to call it with.
    ///
    /// # Errors
    /// A variant that cannot be run; more than the budget even when blocks are streamed and one variant runs on one sequence.
    pub fn plan_compare(&self, lengths: &[usize], variants: &[Variant]) -> Result<ComparePlan, EngineError> {
        for (number, variant) in variants.iter().enumerate() {
            variant.check(number, lengths.len(), &self.model)?;
            variant.check_branch(number, variants, &self.model)?;
        }
        let costs = Costs::new(&self.model, &self.architecture, lengths, variants);
        costs.plan(self.options.memory_bytes.unwrap_or_else(default_budget), self.options.streamed)
    }

    /// Runs the original and the variants of `which` on the sequences of `which` and tells `sink` what the changes do to each
    /// token's prediction. `sequences` and `variants` are all that `plan` was made for; `which` is one of its rounds, or any
    /// other choice of them. `false` when it was cancelled: then `sink` has been told nothing.
    ///
    /// With `resume`, the pass leaves now and then what it needs to go on, and goes on from what it finds; its key must tell
    /// apart all but the round.
    ///
    /// What a variant does to a sequence has the same bits whatever runs beside it and however blocks are loaded, on the same
    /// build and number of threads.
    ///
    /// # Errors
    /// As [`Engine::forward`] for the original; a variant that cannot be run, or whose weights cannot be made. A variant whose
    /// numbers leave the range of f32 is no error: see [`TokenDamage`].
    #[expect(clippy::too_many_arguments, reason = "what runs, how, and who is told")]
    pub fn compare(
        &self,
        sequences: &[Vec<u32>],
        variants: &[Variant],
        which: &Round,
        plan: &ComparePlan,
        sink: &dyn DamageSink,
        resume: Option<&Resume>,
        progress: &dyn PassProgress,
    ) -> Result<bool, EngineError> {
        self.check_sequences(sequences.iter().map(Vec::as_slice))?;
        for (number, variant) in variants.iter().enumerate() {
            variant.check(number, sequences.len(), &self.model)?;
            variant.check_branch(number, variants, &self.model)?;
        }
        which.check(sequences.len(), variants.len())?;
        let mut comparison = Comparison::new(self, sequences, variants, which, plan, (resume, progress))?;
        let (first, head) = comparison.restore()?;
        Ok(comparison.blocks(first)? && comparison.head(head, sink)?)
    }
}

impl Round {
    fn check(&self, sequences: usize, variants: usize) -> Result<(), EngineError> {
        for (what, found, count) in [("sequences", &self.sequences, sequences), ("variants", &self.variants, variants)]
        {
            let ascends = found.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascends || found.last().is_some_and(|last| *last >= count) {
                return Err(EngineError::Round { what, count, found: found.clone() });
            }
        }
        Ok(())
    }
}
