//! The scan itself: rounds of the engine until everything is measured that was decided upon, and decisions in between.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tomo_model::engine::{DamageSink, Engine, Observer, PassProgress, Resume, Round, TokenDamage, Until, Variant};

use super::table::Table;
use super::{Causal, CausalError};

impl Causal {
    /// Measures on `sequences`, those that it was planned for. `false` when it was cancelled: what is known stays known.
    ///
    /// The same scan gives the same bits, whether it was ended in between or not and however much memory it may take.
    ///
    /// # Errors
    /// A tensor that cannot be read or run, a change that cannot be made, a folder that cannot be written.
    pub fn run(
        &mut self,
        engine: &Engine,
        sequences: &[Vec<u32>],
        progress: &dyn PassProgress,
    ) -> Result<bool, CausalError> {
        if progress.is_cancelled() {
            return Ok(false);
        }
        let means = self.means();
        if let (Some(means), Some(plan)) = (&means, &self.plan.means) {
            let observers = [means as &dyn Observer];
            if !engine.forward(sequences, &observers, plan, Until::LastBlock, progress)?.completed {
                return Ok(false);
            }
        }
        let variants = self.variants(means.as_ref())?;
        loop {
            if !self.stage(engine, sequences, &variants, progress)? {
                return Ok(false);
            }
            if !self.decide() {
                return Ok(true);
            }
            if let Some(keep) = &self.keep {
                keep.save(&self.state)?;
            }
        }
    }

    /// Measures what is decided upon and not known yet.
    fn stage(
        &mut self,
        engine: &Engine,
        sequences: &[Vec<u32>],
        variants: &[Variant],
        progress: &dyn PassProgress,
    ) -> Result<bool, CausalError> {
        let plan = self.plan.compare.clone();
        let rounds: Vec<Round> = self.parts().iter().flat_map(|part| plan.cut(part)).collect();
        progress.start(rounds.iter().map(|round| plan.steps(round)).sum());
        for round in &rounds {
            if progress.is_cancelled() {
                return Ok(false);
            }
            // The engine tells rounds apart.
            let resume = self.keep.as_ref().map(|keep| Resume { folder: keep.round_folder(), key: keep.key.clone() });
            let sink = Sink(Mutex::new(&mut self.state.table));
            let within = Within(progress);
            if !engine.compare(sequences, variants, round, &plan, &sink, resume.as_ref(), &within)? {
                return Ok(false);
            }
            if let Some(keep) = &self.keep {
                keep.save(&self.state)?;
                keep.forget_round();
            }
        }
        Ok(true)
    }

    /// What is decided upon and not known yet: variants by the sequences that they lack.
    fn parts(&self) -> Vec<Round> {
        let mut lacking: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        self.each_target(|variant, sequence| {
            if self.state.table.get(variant, sequence).is_none() {
                lacking.entry(sequence).or_default().push(variant);
            }
        });
        // Sequences that the same variants lack are run together, in the order in which they are given out.
        let mut parts: Vec<Round> = Vec::new();
        for sequence in &self.order {
            let Some(variants) = lacking.remove(sequence) else { continue };
            match parts.iter_mut().find(|part| part.variants == variants) {
                Some(part) => part.sequences.push(*sequence),
                None => parts.push(Round { sequences: vec![*sequence], variants }),
            }
        }
        parts.iter_mut().for_each(|part| part.sequences.sort_unstable());
        parts
    }

    /// Decides who gets more sequences; whether anybody does.
    fn decide(&mut self) -> bool {
        let tokens = self.tokens();
        let mut is_more = false;
        for metric in 0..self.entrants.len() {
            let Some(race) = &self.races[metric] else { continue };
            let Some(next) = race.next(&self.sums(metric), &tokens) else { continue };
            for (target, next) in self.state.targets[metric].iter_mut().zip(next) {
                is_more |= next > *target;
                *target = next.max(*target);
            }
        }
        is_more
    }
}

/// Takes what a round found.
struct Sink<'a>(Mutex<&'a mut Table>);

impl DamageSink for Sink<'_> {
    fn original(&self, sequence: usize, nll: &[f64]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).see_original(sequence, nll);
    }

    fn see(&self, variant: usize, sequence: usize, tokens: &[TokenDamage]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).see(variant, sequence, tokens);
    }
}

/// A round within a stage whose steps were announced all together.
struct Within<'a>(&'a dyn PassProgress);

impl PassProgress for Within<'_> {
    fn start(&self, _steps: usize) {}

    fn step(&self, layer: u32) {
        self.0.step(layer);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
