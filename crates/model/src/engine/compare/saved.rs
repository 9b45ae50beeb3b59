//! A comparison that was ended and goes on where it was.

use super::pass::Comparison;
use crate::engine::error::EngineError;
use crate::engine::ops::{Damage, Original};
use crate::engine::resume::{At, Left, Resume};

/// Operations between two saves where nobody says: about half a minute on two cores.
const SAVE_EVERY: u64 = 4_000_000_000_000;

/// Operations that a saved byte must be worth, so that saving takes a few per cent of the time at most.
const PER_BYTE: u64 = 8_000;

/// When to save, and where. Work is counted and not time, so that the library needs no clock.
pub(super) struct Saver {
    resume: Option<Resume>,
    every: u64,
    per_byte: u64,
    last: u64,
}

/// What is known while the head runs.
pub(super) struct HeadState {
    /// Hidden states of the original that predict something, after the final norm, `[P, D]`.
    pub(super) original: Vec<f32>,
    /// Negative log likelihoods of the original, `[P]`.
    pub(super) losses: Vec<f64>,
    pub(super) originals: Vec<Original>,
    /// Of each variant that differs, `[P]` each.
    pub(super) damages: Vec<Damage>,
    /// Entries of the vocabulary that have been compared.
    pub(super) done: usize,
}

impl Saver {
    /// `round` says which round it is, since a folder is used for one after the other.
    pub(super) fn new(resume: Option<&Resume>, round: &str, every: Option<u64>) -> Self {
        let own = |r: &Resume| Resume { folder: r.folder.clone(), key: format!("compare {round} {}", r.key) };
        let per_byte = if every.is_some() { 0 } else { PER_BYTE };
        Self { resume: resume.map(own), every: every.unwrap_or(SAVE_EVERY), per_byte, last: 0 }
    }

    /// Leaves the state where enough was done since the last time.
    fn leave(&mut self, operations: u64, state: &Left<'_>) -> Result<(), EngineError> {
        let Some(resume) = &self.resume else { return Ok(()) };
        let bytes: usize = state.stream.iter().map(|own| 4 * own.len()).sum();
        let enough = self.every.max(self.per_byte.saturating_mul(bytes as u64));
        if operations - self.last < enough {
            return Ok(());
        }
        self.last = operations;
        resume.leave(state)
    }
}

impl Comparison<'_> {
    /// Goes on from what an earlier comparison left: the next block, and what the head knows where it has begun.
    pub(super) fn restore(&mut self) -> Result<(usize, Option<HeadState>), EngineError> {
        let Some(resume) = self.saver.resume.clone() else { return Ok((0, None)) };
        let Some(mut found) = resume.find() else { return Ok((0, None)) };
        let hidden = self.engine.architecture.hidden;
        let layers = self.engine.architecture.layers.len();
        let predicted = self.rows - self.which.sequences.len();
        let failed = |e| EngineError::folder(&resume.folder, e);
        match found.at {
            At::Forward(layer) if layer <= layers => {
                let joined = self.order.iter().filter(|member| member.first < layer).count();
                let sizes = [self.residual.len(), joined * self.rows * hidden];
                if found.stream != sizes || !found.observers.is_empty() {
                    return Ok((0, None));
                }
                found.read(&mut self.residual).map_err(failed)?;
                found.read(&mut self.stream.room(self.order.len() * self.rows * hidden)[..sizes[1]]).map_err(failed)?;
                self.joined = joined;
                self.resumed(self.meter.costs.operations_before(self.which, layer), layer);
                Ok((layer, None))
            }
            At::Head(done) => {
                let sizes = [predicted * hidden, self.order.len() * self.rows * hidden];
                let count = self.order.len() * predicted;
                let [losses] = found.losses.concat().try_into().unwrap_or([Vec::new()]);
                if found.stream != sizes || found.observers.len() != 2 || losses.len() != predicted {
                    return Ok((0, None));
                }
                let mut original = vec![0.0; sizes[0]];
                found.read(&mut original).map_err(failed)?;
                found.read(&mut self.stream.room(sizes[1])[..sizes[1]]).map_err(failed)?;
                let sizes = found.observers.clone();
                let originals = Original::restore(&found.observer(sizes[0]).map_err(failed)?);
                let damages = Damage::restore(&found.observer(sizes[1]).map_err(failed)?);
                let (Some(originals), Some(damages)) = (originals, damages) else { return Ok((0, None)) };
                if originals.len() != predicted || damages.len() != count {
                    return Ok((0, None));
                }
                self.joined = self.order.len();
                let before = self.meter.costs.operations_before(self.which, layers);
                let of_tiles = self.head_operations(done.min(self.engine.architecture.vocab), predicted);
                self.resumed(before + self.rows as u64 * self.meter.costs.head() + of_tiles, layers);
                Ok((layers, Some(HeadState { original, losses, originals, damages, done })))
            }
            _ => Ok((0, None)),
        }
    }

    fn resumed(&mut self, operations: u64, layer: usize) {
        self.meter.advance(operations, layer);
        self.saver.last = operations;
    }

    /// After block `layer - 1`.
    pub(super) fn leave_block(&mut self, layer: usize) -> Result<(), EngineError> {
        let joined = self.joined * self.rows * self.engine.architecture.hidden;
        let stream = [self.residual.as_slice(), &self.stream[..joined]];
        let state = Left { at: At::Forward(layer), losses: &[], stream: &stream, observers: &[] };
        self.saver.leave(self.meter.operations, &state)
    }

    /// After a tile of the vocabulary.
    pub(super) fn leave_head(&mut self, head: &HeadState) -> Result<(), EngineError> {
        let own = self.order.len() * self.rows * self.engine.architecture.hidden;
        let stream = [head.original.as_slice(), &self.stream[..own]];
        let observers = [Original::save(&head.originals), Damage::save(&head.damages)];
        let losses = [vec![head.losses.clone()]];
        let state = Left { at: At::Head(head.done), losses: &losses, stream: &stream, observers: &observers };
        self.saver.leave(self.meter.operations, &state)
    }
}
