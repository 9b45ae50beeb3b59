//! From the residual stream to logits, tile by tile of the vocabulary: logits are never held whole.

use super::error::EngineError;
use super::ops::{CrossEntropy, HeadRows, linear, linear_backward, scale, softcap, weight_gradient};
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

/// What rows of hidden states are to predict.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Targets<'a> {
    /// Negative log likelihood of these, one per row.
    Labels(&'a [u32]),
    /// Negative log likelihood of entries drawn from the model's own distribution: one uniform number between 0 and 1 per
    /// row, at which the distribution function is inverted.
    Drawn(&'a [f64]),
    /// `KL(reference || model)`: the final hidden states of the reference, `[N, D]`.
    Divergence(&'a [f32]),
}

/// Losses of N rows for K objectives, and their gradients.
#[derive(Debug)]
pub(crate) struct HeadGradients {
    /// `[K][N]`, in nats.
    pub(crate) losses: Vec<Vec<f64>>,
    /// `[K][N]`: the labels that were drawn or given; empty for a divergence.
    pub(crate) labels: Vec<Vec<u32>>,
    /// `[K]` of `[N, D]`: the gradient of the sum over rows to the hidden states.
    pub(crate) gradients: Vec<Vec<f32>>,
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
        let bias = match &self.spec.bias {
            None => None,
            Some(name) => Some(load_vector(self.model, name, "the bias of the head", &[self.vocab])?),
        };
        let (scale, softcap) = (self.spec.scale, self.spec.softcap);
        let mut decoded = Vec::new();
        for first in (0..self.vocab).step_by(TILE) {
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
            take(first, HeadRows { weights, bias, scale, softcap });
        }
        Ok(())
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
        let mut found = HeadGradients { losses: Vec::new(), labels: Vec::new(), gradients: Vec::new() };
        for target in targets {
            let (losses, labels, of_logits) = self.of_logits(hidden, *target)?;
            let mut gradient = vec![0.0; hidden.len()];
            self.tiles(|first, head| {
                let g = Rows::columns(&of_logits, self.vocab, first, head.weights.len() / self.hidden);
                linear_backward(g, head.weights, true, &mut gradient);
            })?;
            found.losses.push(losses);
            found.labels.push(labels);
            found.gradients.push(gradient);
        }
        Ok(found)
    }

    /// Adds the gradient of the sum of an objective over `hidden`, `[N, D]`, to that of the head's weights, `[V, D]`, and of
    /// its bias, `[V]`. A draw is repeated with the labels that [`HeadRun::backward`] gave.
    pub(crate) fn weight_gradient(
        &self,
        hidden: &[f32],
        target: Targets<'_>,
        weights: &mut [f32],
        bias: Option<&mut [f32]>,
    ) -> Result<(), EngineError> {
        let (_, _, of_logits) = self.of_logits(hidden, target)?;
        weight_gradient(Rows::dense(&of_logits, self.vocab), Rows::dense(hidden, self.hidden), true, weights);
        if let Some(bias) = bias {
            for g in of_logits.chunks_exact(self.vocab) {
                bias.iter_mut().zip(g).for_each(|(b, g)| *b += g);
            }
        }
        Ok(())
    }

    /// Losses, labels, and gradients to the products `W h + b`, `[N, V]`.
    fn of_logits(&self, hidden: &[f32], target: Targets<'_>) -> Result<(Vec<f64>, Vec<u32>, Vec<f32>), EngineError> {
        let v = self.vocab;
        let rows = hidden.len() / self.hidden;
        let logits = |hidden: &[f32]| -> Result<Vec<f32>, EngineError> {
            let mut all = vec![0.0; rows * v];
            self.run(hidden, |tile| {
                for (row, part) in tile.logits.chunks_exact(tile.width).enumerate() {
                    all[(tile.token + row) * v + tile.first..][..tile.width].copy_from_slice(part);
                }
            })?;
            Ok(all)
        };
        let log_sum = |row: &[f32]| {
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            f64::from(top) + row.iter().map(|x| f64::from(x - top).exp()).sum::<f64>().ln()
        };
        let own = logits(hidden)?;
        let reference = if let Targets::Divergence(reference) = target { logits(reference)? } else { Vec::new() };
        let (mut losses, mut labels, mut of_logits) = (Vec::new(), Vec::new(), vec![0.0; rows * v]);
        for t in 0..rows {
            let row = &own[t * v..][..v];
            let lse = log_sum(row);
            let p = |at: usize| (f64::from(row[at]) - lse).exp();
            let g = &mut of_logits[t * v..][..v];
            g.iter_mut().enumerate().for_each(|(at, g)| *g = p(at) as f32);
            let label = match target {
                Targets::Labels(labels) => labels[t] as usize,
                Targets::Drawn(uniforms) => {
                    let mut sum = 0.0;
                    let crosses = |at: &usize| {
                        sum += p(*at);
                        sum > uniforms[t]
                    };
                    (0..v).find(crosses).unwrap_or(v - 1)
                }
                Targets::Divergence(_) => {
                    let row_of = &reference[t * v..][..v];
                    let lse_of = log_sum(row_of);
                    let mut loss = 0.0;
                    for at in 0..v {
                        let log = f64::from(row_of[at]) - lse_of;
                        loss += log.exp() * (log - (f64::from(row[at]) - lse));
                        g[at] -= log.exp() as f32;
                    }
                    losses.push(loss);
                    continue;
                }
            };
            g[label] -= 1.0;
            losses.push(lse - f64::from(row[label]));
            labels.push(label as u32);
        }
        for (g, logit) in of_logits.iter_mut().zip(&own) {
            let slope = self.spec.softcap.map_or(1.0, |cap| 1.0 - (logit / cap).powi(2));
            *g *= self.spec.scale * slope;
        }
        Ok((losses, labels, of_logits))
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
