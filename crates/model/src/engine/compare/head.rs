//! From residual streams to what changes do to predictions.

use super::change::{DamageSink, TokenDamage};
use super::pass::Comparison;
use super::plan::HEAD_ROWS;
use super::saved::HeadState;
use crate::architecture::Architecture;
use crate::engine::error::EngineError;
use crate::engine::ops::{Columns, Damage, NormWeights, Original, OriginalTile, normalise, normalise_heads};
use crate::engine::tap::Rows;
use crate::engine::weights::load_norm;

impl Comparison<'_> {
    /// Compares predictions and tells `sink`, going on from `left` where there is such. `false`: cancelled, and nothing was told.
    pub(super) fn head(&mut self, left: Option<HeadState>, sink: &dyn DamageSink) -> Result<bool, EngineError> {
        let mut state = match left {
            Some(state) => state,
            None => self.begin_head()?,
        };
        let engine = self.engine;
        let Architecture { hidden, vocab, layers, .. } = &engine.architecture;
        let (hidden, last) = (*hidden, layers.len());
        let predicted = state.losses.len();
        let start = if self.order.is_empty() || predicted == 0 { *vocab } else { state.done };
        let sides = self.sides();
        let mut tile = OriginalTile::default();
        let head = engine.head_run(engine.head_weights(self.resident)?);
        let done = head.tiles_from(start, |first, rows| {
            let width = rows.weights.len() / hidden;
            for start in (0..predicted).step_by(HEAD_ROWS) {
                if self.meter.is_cancelled() {
                    return Ok(false);
                }
                let part = start..predicted.min(start + HEAD_ROWS);
                let values = part.start * hidden..part.end * hidden;
                let x = Rows::dense(&state.original[values.clone()], hidden);
                let originals = &mut state.originals[part.clone()];
                let damages = state.damages.chunks_exact_mut(predicted).map(|of| &mut of[part.clone()]);
                let variants = self.stream.chunks_exact(self.rows * hidden).map(|of| &of[values.clone()]);
                let variants = variants.zip(damages).collect();
                engine.pool.install(|| {
                    tile.see(first, x, rows, originals, sides);
                    tile.compare(hidden, rows, originals, variants);
                });
                let operations = self.head_operations(width, part.len());
                self.meter.advance(operations, last);
            }
            state.done = first + width;
            self.leave_head(&state)?;
            Ok(true)
        })?;
        if done {
            self.meter.finish(last);
            self.tell(sink, &state);
        }
        Ok(done)
    }

    /// Losses of the original; everything else at its beginning.
    fn begin_head(&mut self) -> Result<HeadState, EngineError> {
        let engine = self.engine;
        let (hidden, last) = (engine.architecture.hidden, engine.architecture.layers.len());
        let norm = load_norm(&engine.model, &engine.architecture.final_norm, hidden, hidden)?;
        let original = self.original_hidden(&norm);
        let targets = self.which.sequences.iter().flat_map(|s| self.sequences[*s][1..].iter().copied());
        let targets: Vec<u32> = targets.collect();
        let head = engine.head_run(engine.head_weights(self.resident)?);
        let found = engine.pool.install(|| head.sums_and_losses(&original, targets.iter().copied()))?;
        let losses: Vec<f64> = found.iter().map(|(_, loss)| *loss).collect();
        self.check_losses(&losses)?;
        self.meter.advance(self.rows as u64 * self.meter.costs.head(), last);
        self.variants_hidden(&norm);
        let original_of = |(target, (log_sum, _)): (&u32, &(f64, f64))| Original::new(*target, *log_sum);
        Ok(HeadState {
            originals: targets.iter().zip(&found).map(original_of).collect(),
            damages: vec![Damage::NONE; self.order.len() * targets.len()],
            original,
            losses,
            done: 0,
        })
    }

    /// Blocks that rows of the head are cut into: every thread should have some, and a wide block packs weights for more rows.
    fn sides(&self) -> usize {
        let (threads, variants) = (self.engine.threads(), self.order.len());
        // Among so many the original may as well run on one thread.
        if variants >= 16 * threads { 1 } else { threads.max((4 * threads).div_ceil(variants.max(1))) }
    }

    /// Operations of so many entries of the vocabulary for so many rows of the original and of each variant.
    pub(super) fn head_operations(&self, entries: usize, rows: usize) -> u64 {
        let each = self.meter.costs.head() / (self.engine.architecture.vocab as u64).max(1);
        (entries * rows) as u64 * each * (1 + self.order.len() as u64)
    }

    /// Hidden states that predict something, after the final norm, `[P, D]`.
    fn original_hidden(&self, norm: &NormWeights) -> Vec<f32> {
        let hidden = self.engine.architecture.hidden;
        let mut gathered = self.residual[..self.rows * hidden].to_vec();
        let left = squeeze(&mut gathered, self.lengths(), hidden);
        gathered.truncate(left);
        let mut normed = vec![0.0; gathered.len()];
        self.engine.pool.install(|| normalise(&gathered, norm, &mut normed));
        normed
    }

    /// The same of the variants, where their streams are: `[P, D]` at the beginning of what each has.
    fn variants_hidden(&mut self, norm: &NormWeights) {
        let hidden = self.engine.architecture.hidden;
        let own = self.rows * hidden;
        let whole = Columns { stride: hidden, first: 0, count: 1, width: hidden };
        let lengths: Vec<usize> = self.lengths().collect();
        let all = self.stream.room(self.order.len() * own);
        self.engine.pool.install(|| normalise_heads(all, whole, norm));
        all.chunks_exact_mut(own.max(1)).for_each(|stream| {
            squeeze(stream, lengths.iter().copied(), hidden);
        });
    }

    fn lengths(&self) -> impl Iterator<Item = usize> {
        self.which.sequences.iter().map(|s| self.sequences[*s].len())
    }

    fn check_losses(&self, losses: &[f64]) -> Result<(), EngineError> {
        let mut rest = losses;
        for (sequence, length) in self.which.sequences.iter().zip(self.lengths()) {
            let (own, after) = rest.split_at(length - 1);
            rest = after;
            if let Some((at, &value)) = own.iter().enumerate().find(|(_, x)| !x.is_finite()) {
                return Err(EngineError::Overflow { sequence: *sequence, position: at + 1, value });
            }
        }
        Ok(())
    }

    fn tell(&self, sink: &dyn DamageSink, state: &HeadState) {
        let HeadState { losses, originals, damages, .. } = state;
        let ends = self.lengths().scan(0, |end, length| {
            *end += length - 1;
            Some((*end + 1 - length)..*end)
        });
        let spans: Vec<_> = self.which.sequences.iter().zip(ends).collect();
        spans.iter().for_each(|(sequence, span)| sink.original(**sequence, &losses[span.clone()]));
        for &variant in &self.which.variants {
            let at = self.order.iter().position(|member| member.variant == variant);
            let of = at.map(|at| &damages[at * losses.len()..(at + 1) * losses.len()]);
            for (sequence, span) in &spans {
                let token = |row: usize| match of {
                    None => TokenDamage { kl: 0.0, nll: losses[row], agrees: true },
                    Some(damages) => {
                        let (kl, rise, agrees) = damages[row].finish(&originals[row]);
                        TokenDamage { kl, nll: losses[row] + rise, agrees }
                    }
                };
                sink.see(variant, **sequence, &span.clone().map(token).collect::<Vec<_>>());
            }
        }
    }
}

/// Moves rows together over the last one of each sequence, which predicts nothing. Returns the values that are left.
fn squeeze(values: &mut [f32], lengths: impl Iterator<Item = usize>, hidden: usize) -> usize {
    let (mut from, mut to) = (0, 0);
    for length in lengths {
        let count = (length - 1) * hidden;
        values.copy_within(from..from + count, to);
        (from, to) = (from + count + hidden, to + count);
    }
    to
}
