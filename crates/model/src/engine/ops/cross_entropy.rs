//! The loss of tokens whose logits come tile by tile of the vocabulary.

use rayon::prelude::*;

/// Running log-sum-exp of each token's logits, and the logit of its target.
pub(crate) struct CrossEntropy {
    tokens: Vec<Running>,
}

#[derive(Clone, Copy)]
struct Running {
    target: u32,
    target_logit: f32,
    max: f32,
    /// Sum of `exp(logit - max)`.
    sum: f64,
}

impl CrossEntropy {
    /// For tokens that are to predict `targets`.
    pub(crate) fn new(targets: impl Iterator<Item = u32>) -> Self {
        let fresh = |target| Running { target, target_logit: f32::NAN, max: f32::NEG_INFINITY, sum: 0.0 };
        Self { tokens: targets.map(fresh).collect() }
    }

    /// The next tile: logits `[tokens, width]` of vocabulary entries `first..first + width`, for tokens
    /// `from..from + tokens`. Logits are final: scaled and capped.
    pub(crate) fn tile(&mut self, from: usize, first: usize, width: usize, logits: &[f32]) {
        let rows = logits.par_chunks(width).zip(self.tokens[from..].par_iter_mut());
        rows.for_each(|(row, token)| token.see(row, first));
    }

    /// Negative log likelihood of each token, in nats.
    pub(crate) fn finish(self) -> Vec<f64> {
        let nll = |t: Running| f64::from(t.max) + t.sum.ln() - f64::from(t.target_logit);
        self.tokens.into_iter().map(nll).collect()
    }
}

impl Running {
    fn see(&mut self, row: &[f32], first: usize) {
        if let Some(logit) = (self.target as usize).checked_sub(first).and_then(|at| row.get(at)) {
            self.target_logit = *logit;
        }
        let top = row.iter().copied().fold(self.max, f32::max);
        if top > self.max {
            self.sum *= f64::from((self.max - top).exp());
            self.max = top;
        }
        self.sum += row.iter().map(|x| f64::from((x - top).exp())).sum::<f64>();
    }
}
