//! From the residual stream to logits, tile by tile of the vocabulary: logits are never held whole.

use super::error::EngineError;
use super::ops::{Against, CrossEntropy, HeadLoss, HeadRows, head_weight_gradient, linear, scale, softcap};
pub(crate) use super::ops::{HeadGradients, Targets};
use super::tap::Rows;
use super::weights::{check_finite, load_vector};
use crate::architecture::Head;
use crate::error::quoted;
use crate::model::Model;

/// Vocabulary entries per tile: tiles this wide keep the product efficient and the decoded rows small.
pub(crate) const TILE: usize = 4096;
/// Tokens whose logits are written out at a time, for those who want logits.
const CHUNK: usize = 512;

/// The head's weights, decoded or to be decoded.
pub(crate) enum HeadWeights {
    /// `[V, D]`.
    Resident(Vec<f32>),
    /// Decoded tile by tile.
    Streamed,
}

/// The head of a model.
pub(crate) struct HeadRun<'a> {
    pub(crate) model: &'a Model,
    pub(crate) spec: &'a Head,
    pub(crate) weights: &'a HeadWeights,
    pub(crate) hidden: usize,
    pub(crate) vocab: usize,
}

/// Logits of some tokens over some of the vocabulary.
pub(crate) struct Tile<'a> {
    /// First token.
    pub(crate) token: usize,
    /// First vocabulary entry.
    pub(crate) first: usize,
    /// Vocabulary entries.
    pub(crate) width: usize,
    /// `[tokens, width]`.
    pub(crate) logits: &'a [f32],
}

impl HeadRun<'_> {
    /// Decodes rows `first..first + out.len() / D` of the head.
    pub(crate) fn decode(&self, first: usize, out: &mut [f32]) -> Result<(), EngineError> {
        let start = (first * self.hidden) as u64;
        let range = start..start + out.len() as u64;
        self.model.source().decode(&self.spec.tensor, range.clone(), out)?;
        self.model.source().release(&self.spec.tensor, range);
        check_finite(out, &self.spec.tensor, |at| {
            format!("row {}, column {}", first + at / self.hidden, at % self.hidden)
        })
    }

    /// The head's weights, whole.
    pub(crate) fn load(&self) -> Result<HeadWeights, EngineError> {
        let mut all = vec![0.0; self.vocab * self.hidden];
        for (tile, rows) in all.chunks_mut(TILE * self.hidden).enumerate() {
            self.decode(tile * TILE, rows)?;
        }
        Ok(HeadWeights::Resident(all))
    }

    /// Hands over the head tile by tile: the first entry of the vocabulary and the rows from there on.
    fn tiles(&self, mut take: impl FnMut(usize, HeadRows<'_>)) -> Result<(), EngineError> {
        self.tiles_from(0, |first, head| {
            take(first, head);
            Ok(true)
        })?;
        Ok(())
    }

    /// The same from entry `start` on, the first of a tile. `take` says whether to go on; `false` when it did not.
    pub(crate) fn tiles_from(
        &self,
        start: usize,
        mut take: impl FnMut(usize, HeadRows<'_>) -> Result<bool, EngineError>,
    ) -> Result<bool, EngineError> {
        let bias = match &self.spec.bias {
            None => None,
            Some(name) => Some(load_vector(self.model, name, "the bias of the head", &[self.vocab])?),
        };
        let (scale, softcap) = (self.spec.scale, self.spec.softcap);
        let mut decoded = Vec::new();
        for first in (start..self.vocab).step_by(TILE) {
            let width = TILE.min(self.vocab - first);
            let weights = match self.weights {
                HeadWeights::Resident(all) => &all[first * self.hidden..(first + width) * self.hidden],
                HeadWeights::Streamed => {
                    decoded.resize(width * self.hidden, 0.0);
                    self.decode(first, &mut decoded)?;
                    &decoded
                }
            };
            let bias = bias.as_ref().map(|b| &b[first..first + width]);
            if !take(first, HeadRows { weights, bias, scale, softcap })? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Computes the logits of `hidden` (`[N, D]`) and hands them over tile by tile: all tokens of the first tile of the
    /// vocabulary, then of the next.
    pub(crate) fn run(&self, hidden: &[f32], mut take: impl FnMut(Tile<'_>)) -> Result<(), EngineError> {
        let mut logits = vec![0.0; TILE.min(self.vocab) * CHUNK];
        self.tiles(|first, head| {
            let width = head.weights.len() / self.hidden;
            for (chunk, rows) in hidden.chunks(CHUNK * self.hidden).enumerate() {
                let rows = Rows::dense(rows, self.hidden);
                let logits = &mut logits[..rows.len() * width];
                linear(rows, head.weights, head.bias, logits);
                scale(logits, head.scale);
                if let Some(cap) = head.softcap {
                    softcap(logits, cap);
                }
                take(Tile { token: chunk * CHUNK, first, width, logits });
            }
        })
    }

    /// Negative log likelihood in nats of `targets`, one per row of `hidden`. Logits are never written out.
    pub(crate) fn losses(&self, hidden: &[f32], targets: impl Iterator<Item = u32>) -> Result<Vec<f64>, EngineError> {
        let mut loss = CrossEntropy::new(targets);
        self.tiles(|first, head| loss.head(0, first, Rows::dense(hidden, self.hidden), head))?;
        Ok(loss.finish())
    }

    /// Losses and their gradients to `hidden`, `[N, D]`: the rows that predict, after the final norm.
    pub(crate) fn backward(&self, hidden: &[f32], targets: &[Targets<'_>]) -> Result<HeadGradients, EngineError> {
        let mut loss = HeadLoss::new(hidden, self.hidden, targets);
        self.tiles(|first, head| loss.see(first, head))?;
        loss.settle(self.spec.scale);
        if loss.has_labels() {
            self.tiles(|first, head| loss.resolve(first, head))?;
        }
        Ok(loss.finish(targets.len()))
    }

    /// Adds the gradient of the sum of an objective over `hidden`, `[N, D]`, to that of the head's weights, `[V, D]`, and of
    /// its bias, `[V]`. For those who train. `labels`, one per row, are those that were given or that
    /// [`HeadRun::backward`] drew; a divergence has none and is from `reference`, `[N, D]`.
    pub(crate) fn weight_gradient(
        &self,
        hidden: &[f32],
        (labels, reference): (&[u32], Option<&[f32]>),
        weights: &mut [f32],
        mut bias: Option<&mut [f32]>,
    ) -> Result<(), EngineError> {
        let sums = self.log_sums(hidden)?;
        let sums_of = reference.map(|reference| self.log_sums(reference)).transpose()?;
        let against = match (reference, &sums_of) {
            (Some(reference), Some(sums)) => Against::Reference(reference, sums),
            _ => Against::Labels(labels),
        };
        self.tiles(|first, head| {
            let last = first + head.weights.len() / self.hidden;
            let weights = &mut weights[first * self.hidden..last * self.hidden];
            let bias = bias.as_deref_mut().map(|bias| &mut bias[first..last]);
            head_weight_gradient(Rows::dense(hidden, self.hidden), &sums, against, first, head, weights, bias);
        })
    }

    /// Log-sum-exp of each row's logits, and the negative log likelihood in nats of `targets`.
    pub(crate) fn sums_and_losses(
        &self,
        hidden: &[f32],
        targets: impl Iterator<Item = u32>,
    ) -> Result<Vec<(f64, f64)>, EngineError> {
        let mut loss = CrossEntropy::new(targets);
        self.tiles(|first, head| loss.head(0, first, Rows::dense(hidden, self.hidden), head))?;
        Ok(loss.sums_and_losses())
    }

    /// Log-sum-exp of each row's logits.
    fn log_sums(&self, hidden: &[f32]) -> Result<Vec<f64>, EngineError> {
        let mut loss = CrossEntropy::new(std::iter::repeat_n(0, hidden.len() / self.hidden));
        self.tiles(|first, head| loss.head(0, first, Rows::dense(hidden, self.hidden), head))?;
        Ok(loss.log_sums())
    }

    /// The head is `[V, D]`.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let tensor = self.model.source().tensor(&self.spec.tensor);
        let shape = tensor.map(|t| t.shape.clone()).unwrap_or_default();
        if shape == [self.vocab as u64, self.hidden as u64] {
            return Ok(());
        }
        Err(EngineError::Size {
            what: "the output head".to_owned(),
            tensor: quoted(&self.spec.tensor),
            expected: format!("{} x {}", self.vocab, self.hidden),
            found: format!("{shape:?}"),
        })
    }
}
