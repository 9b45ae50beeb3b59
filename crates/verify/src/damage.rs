//! How far a changed model is from the unchanged one, from what every token says.

use serde::Serialize;
use tomo_map::stats::{Bootstrap, quantile};

/// What a change does to the prediction of one token.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Token {
    /// KL(unchanged || changed) of the two distributions, in nats.
    pub kl: f64,
    /// Negative log likelihood of the token under the changed model, in nats.
    pub nll: f64,
    /// Whether both find the same token most likely.
    pub agrees: bool,
}

/// A number with its 95 % interval, where there is one: it takes two sequences.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Estimate {
    /// Over all predicted tokens.
    pub value: f64,
    /// By the bootstrap over sequences, the same samples for every number.
    pub interval: Option<(f64, f64)>,
}

/// How far a changed model is from the unchanged one.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Damage {
    /// Mean negative log likelihood of the unchanged model, nats per predicted token.
    pub nll_original: Estimate,
    /// Of the changed one.
    pub nll: Estimate,
    /// Changed minus unchanged, paired token by token.
    pub difference: Estimate,
    /// Mean of KL(unchanged || changed), nats per predicted token.
    pub kl: Estimate,
    /// Its 99th percentile over tokens.
    pub kl_p99: Estimate,
    /// Share of tokens for which both have the same most likely token.
    pub top1: Estimate,
    /// Predicted tokens: all but the first of each sequence.
    pub tokens: usize,
    /// Sequences.
    pub sequences: usize,
}

/// Sums over the tokens of each sequence; means of them, and intervals from the same samples of sequences.
pub(crate) struct Sequences<'a> {
    /// Tokens of each.
    pub(crate) tokens: Vec<f64>,
    pub(crate) bootstrap: &'a Bootstrap,
}

impl Sequences<'_> {
    /// The mean over tokens of what each sequence sums up to.
    pub(crate) fn mean(&self, sums: &[f64]) -> Estimate {
        self.ratio(sums, &self.tokens)
    }

    /// A ratio of sums.
    pub(crate) fn ratio(&self, above: &[f64], below: &[f64]) -> Estimate {
        let value = above.iter().sum::<f64>() / below.iter().sum::<f64>();
        Estimate { value, interval: self.bootstrap.ratio(above, below) }
    }
}

/// Sums of `of` by sequence.
pub(crate) fn sums(damage: &[Vec<Token>], of: fn(&Token) -> f64) -> Vec<f64> {
    damage.iter().map(|sequence| sequence.iter().map(of).sum()).collect()
}

impl Damage {
    /// From what every token says, sequence by sequence; `None` where there is none. `original` are the unchanged model's losses;
    /// `bootstrap` has the sequences as its units.
    pub fn of(original: &[Vec<f64>], damage: &[Vec<Token>], bootstrap: &Bootstrap) -> Option<Self> {
        let sequences = Sequences { tokens: damage.iter().map(|s| s.len() as f64).collect(), bootstrap };
        if sequences.tokens.iter().sum::<f64>() == 0.0 {
            return None;
        }
        let before: Vec<f64> = original.iter().map(|s| s.iter().sum()).collect();
        let pairs = damage.iter().zip(original);
        let rises = pairs.map(|(after, before)| after.iter().zip(before).map(|(token, nll)| token.nll - nll).sum());
        Some(Self {
            nll_original: sequences.mean(&before),
            nll: sequences.mean(&sums(damage, |token| token.nll)),
            difference: sequences.mean(&rises.collect::<Vec<f64>>()),
            kl: sequences.mean(&sums(damage, |token| token.kl)),
            kl_p99: percentile_of_tokens(damage, 0.99, bootstrap)?,
            top1: sequences.mean(&sums(damage, |token| f64::from(u8::from(token.agrees)))),
            tokens: damage.iter().map(Vec::len).sum(),
            sequences: damage.len(),
        })
    }
}

/// The KL below which `share` of the tokens are, between neighbours by linear interpolation. In a resample every token counts as
/// often as its sequence was drawn.
fn percentile_of_tokens(damage: &[Vec<Token>], share: f64, bootstrap: &Bootstrap) -> Option<Estimate> {
    let value = quantile(&mut damage.iter().flatten().map(|token| token.kl).collect::<Vec<_>>(), share)?;
    let of =
        |(at, sequence): (usize, &Vec<Token>)| sequence.iter().map(move |token| (token.kl, at)).collect::<Vec<_>>();
    let mut highest_first: Vec<(f64, usize)> = damage.iter().enumerate().flat_map(of).collect();
    highest_first.sort_by(|a, b| b.0.total_cmp(&a.0));
    let interval = bootstrap.interval(|counts| {
        let drawn: u64 = damage.iter().zip(counts).map(|(s, n)| s.len() as u64 * u64::from(*n)).sum();
        let Some(last) = drawn.checked_sub(1) else { return f64::NAN };
        let place = share * last as f64;
        // Tokens above the neighbour below that place, of which the nearest is the neighbour above it.
        let above = last - place.floor() as u64;
        let (mut seen, mut upper) = (0, None);
        for (kl, at) in &highest_first {
            let count = u64::from(counts[*at]);
            if count == 0 {
                continue;
            }
            if seen + count > above {
                let upper = if seen < above { *kl } else { upper.unwrap_or(*kl) };
                return kl + (place - place.floor()) * (upper - kl);
            }
            seen += count;
            upper = Some(*kl);
        }
        f64::NAN
    });
    Some(Estimate { value, interval })
}
