//! # What it does
//! Adds Gaussian noise to the cell's weights, `noise:0.1` a tenth of their own size: what a quantizer of that relative error
//! does, whichever it is.
//!
//! # Algorithm
//! `W' = W + t s z`, t the size given, `s = ||W||_F / sqrt(m n)` the root mean square of the weights, z standard normal, one
//! draw per weight, in f64. Draws depend on the seed (`--seed`, or `noise:0.1:seed=3`), the cell and the place in the matrix
//! alone, so on neither threads nor other cells. With `mix(s, w)` the finalizer of SplitMix64 applied to `(s xor w) +
//! 0x9e3779b97f4a7c15` modulo 2^64:
//! `key = mix(mix(mix(mix(0, seed), layer), component), expert)`, component 0 to 6 in the order of tables, expert 0 for none and
//! else its index + 1; `r = mix(key, i)` for weight i of the row-major matrix; `u = (floor(r / 2^32) + 1/2) / 2^32`,
//! `v = (r mod 2^32) / 2^32`; `z = sqrt(-2 ln u) cos(2 pi v)` (Box and Muller). No draw is beyond 6.8.
//!
//! # Misleads when
//! t is large: damage grows with the square of t only while t is small. One seed is one draw.
//!
//! # Source
//! The linearity theorem of HIGGS (Malinovskii et al. 2024, arXiv 2411.17525). SplitMix64: Steele, Lea and Flood 2014.

use std::f64::consts::TAU;

use rayon::prelude::*;
use tomo_map::CellId;

use super::Edit;
use crate::counter::mix;
use crate::engine::{CellWeights, EngineError, Rewrite};

/// Weights drawn by one task at a time.
const RUN: usize = 1 << 14;

pub(super) fn parse(words: &[&str]) -> Option<Edit> {
    let (size, seed) = match words {
        [size] => (*size, None),
        [size, seed] => (*size, Some(seed.strip_prefix("seed=")?.parse().ok()?)),
        _ => return None,
    };
    let size: f64 = size.parse().ok()?;
    (size.is_finite() && size > 0.0).then_some(Edit::Noise { size, seed })
}

/// Noise of one cell.
pub(super) struct Noise {
    size: f64,
    key: u64,
}

impl Noise {
    pub(super) fn new(size: f64, seed: u64, cell: CellId) -> Self {
        let expert = cell.expert.map_or(0, |e| u64::from(e) + 1);
        let words = [seed, u64::from(cell.layer), cell.component.index() as u64, expert];
        Self { size, key: words.into_iter().fold(0, mix) }
    }

    /// Standard normal draw number `index`.
    fn draw(&self, index: usize) -> f64 {
        const HALF: f64 = (1_u64 << 32) as f64;
        let random = mix(self.key, index as u64);
        let (high, low) = ((random >> 32) as f64, f64::from(random as u32));
        (-2.0 * ((high + 0.5) / HALF).ln()).sqrt() * (TAU * (low / HALF)).cos()
    }
}

impl Rewrite for Noise {
    fn rewrite(&self, weights: &CellWeights<'_>, out: &mut [f32]) -> Result<(), EngineError> {
        let squares: f64 = weights.values.iter().map(|w| f64::from(*w) * f64::from(*w)).sum();
        let scale = self.size * (squares / weights.values.len().max(1) as f64).sqrt();
        out.par_chunks_mut(RUN).zip(weights.values.par_chunks(RUN)).enumerate().for_each(|(run, (out, weights))| {
            for (at, (out, w)) in out.iter_mut().zip(weights).enumerate() {
                *out = (f64::from(*w) + scale * self.draw(run * RUN + at)) as f32;
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tomo_map::Component;

    use super::*;

    /// Computed by numpy 2.4 (`normal` of `tools/reference/changes_real.py`).
    #[test]
    fn draws_are_those_of_numpy() {
        let dense = Noise::new(0.1, 7, CellId { layer: 14, component: Component::MlpDown, expert: None });
        let expected =
            [-1.018_576_888_507_278_6, -1.797_186_154_782_802_3, 0.046_116_286_311_230_31, -0.613_190_492_380_111_7];
        for (at, expected) in expected.into_iter().enumerate() {
            assert!((dense.draw(at) - expected).abs() < 1e-14, "{} for {expected}", dense.draw(at));
        }
        let expert = Noise::new(0.1, 0, CellId { layer: 0, component: Component::AttnQ, expert: Some(2) });
        assert!((expert.draw(999) - 1.624_313_397_649_571).abs() < 1e-14, "{}", expert.draw(999));
    }
}
