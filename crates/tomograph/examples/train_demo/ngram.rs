//! The yardstick: an interpolated Kneser-Ney model of bytes (Kneser and Ney 1995; Chen and Goodman 1999, section 2.7), as
//! good as counting bytes gets. A trigram is order 3.

use std::collections::HashMap;

use super::texts::{Side, VOCAB, tokens};

/// What followed a context.
#[derive(Default)]
struct Followers {
    counts: HashMap<u16, u32>,
    total: u32,
}

impl Followers {
    fn add(&mut self, token: u16) {
        *self.counts.entry(token).or_default() += 1;
        self.total += 1;
    }
}

/// An n-gram model of tokens.
pub(crate) struct Ngram {
    /// Per length of the context, from none to `order - 1`. Below the longest, a token is counted once for every token it was
    /// seen behind, not for every time.
    levels: Vec<HashMap<Vec<u16>, Followers>>,
    /// Per level, what is taken off each count and given to the level below.
    discounts: Vec<f64>,
}

impl Ngram {
    /// Counts `tokens`, and takes from the counts what is to be taken off them.
    pub(crate) fn fit(tokens: &[u32], order: usize) -> Self {
        let mut fitted = Self::with_discounts(tokens, vec![0.0; order]);
        fitted.discounts = fitted.levels.iter().map(discount).collect();
        fitted
    }

    /// Counts `tokens`; as many levels as discounts.
    pub(crate) fn with_discounts(tokens: &[u32], discounts: Vec<f64>) -> Self {
        let order = discounts.len();
        let tokens: Vec<u16> = tokens.iter().map(|t| u16::try_from(*t).unwrap_or(u16::MAX)).collect();
        let mut levels: Vec<HashMap<Vec<u16>, Followers>> = (0..order).map(|_| HashMap::new()).collect();
        for window in tokens.windows(order) {
            let (token, context) = (window[order - 1], &window[..order - 1]);
            // Asked before inserted: `entry` would want an owned key every time.
            if let Some(followers) = levels[order - 1].get_mut(context) {
                followers.add(token);
            } else {
                levels[order - 1].entry(context.to_vec()).or_default().add(token);
            }
        }
        for level in (1..order).rev() {
            let (lower, upper) = levels.split_at_mut(level);
            for (context, followers) in &upper[0] {
                let below = lower[level - 1].entry(context[1..].to_vec()).or_default();
                followers.counts.keys().for_each(|token| below.add(*token));
            }
        }
        Self { levels, discounts }
    }

    /// Probability of `token` after `before`, of which only the last `order - 1` tokens count.
    pub(crate) fn probability(&self, before: &[u32], token: u32) -> f64 {
        let narrow = |t: &u32| u16::try_from(*t).unwrap_or(u16::MAX);
        let (context, token): (Vec<u16>, u16) = (before.iter().map(narrow).collect(), narrow(&token));
        let mut probability = 1.0 / VOCAB as f64;
        for (length, (level, discount)) in self.levels.iter().zip(&self.discounts).enumerate() {
            let Some(start) = context.len().checked_sub(length) else { break };
            let Some(followers) = level.get(&context[start..]) else { break };
            let count = followers.counts.get(&token).map_or(0.0, |n| f64::from(*n));
            let kept = (count - discount).max(0.0);
            let spread = discount * followers.counts.len() as f64;
            probability = (kept + spread * probability) / f64::from(followers.total);
        }
        probability
    }

    /// Mean negative log likelihood of tokens 1, 2, … of `tokens`, in nats, each given everything before it.
    pub(crate) fn nll(&self, tokens: &[u32]) -> f64 {
        let loss = |i: usize| -self.probability(&tokens[i.saturating_sub(self.levels.len() - 1)..i], tokens[i]).ln();
        (1..tokens.len()).map(loss).sum::<f64>() / (tokens.len() - 1) as f64
    }
}

/// Mean negative log likelihood of each kind of held-out text under n-grams of order `order`: prose, sample, sums. Prose and
/// sample take whichever is better, what was counted in their own kind alone or in both.
pub(crate) fn nlls(learnt: &Side, held_out: &Side, order: usize) -> [f64; 3] {
    let both = Ngram::fit(&tokens(learnt.generated.iter().chain(&learnt.sample)), order);
    let alone = |own: &[String], held_out: &[String]| Ngram::fit(&tokens(own), order).nll(&tokens(held_out));
    let better = |own: &[String], held_out: &[String]| alone(own, held_out).min(both.nll(&tokens(held_out)));
    [
        better(&learnt.generated, &held_out.generated),
        better(&learnt.sample, &held_out.sample),
        alone(&learnt.sums, &held_out.sums),
    ]
}

/// n1 / (n1 + 2 n2), of the counts that are one and two.
fn discount(level: &HashMap<Vec<u16>, Followers>) -> f64 {
    let with = |n: u32| level.values().flat_map(|f| f.counts.values()).filter(|c| **c == n).count() as f64;
    let (ones, twos) = (with(1), with(2));
    if ones + twos > 0.0 { ones / (ones + 2.0 * twos) } else { 0.5 }
}
