use tomo_map::CellId;

use super::estimate::{self, Prediction};

/// What was drawn: per cell, draw and sequence the first-order effect of a change on the sequence's loss.
///
/// ```
/// use tomo_map::{CellId, Component};
/// use tomo_metrics::Draws;
///
/// let cell = |component| CellId { layer: 0, component, expert: None };
/// // Two cells, two draws of one sequence of 10 predicted tokens.
/// let u = vec![1.0, -3.0, 2.0, 4.0];
/// let draws = Draws::new(vec![cell(Component::AttnQ), cell(Component::AttnK)], 2, 1, 10, u, None)?;
/// assert_eq!(draws.direct(0), 0.5 * (1.0 + 9.0) / 2.0 / 10.0);
/// assert_eq!(draws.interaction(0, 1), (2.0 - 12.0) / 2.0 / 10.0);
/// // Of both together: their own, and what they do to each other.
/// let set = draws.of_set(&[0, 1]);
/// assert!((set.nats - (draws.direct(0) + draws.direct(1) + draws.interaction(0, 1))).abs() < 1e-15);
/// # Ok::<(), tomo_metrics::DrawsError>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Draws {
    pub(super) cells: Vec<CellId>,
    pub(super) draws: usize,
    pub(super) sequences: usize,
    pub(super) tokens: f64,
    /// `[cells, draws, sequences]`.
    pub(super) u: Vec<f64>,
    /// Likewise.
    pub(super) v: Option<Vec<f64>>,
}

/// Why numbers are no [`Draws`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawsError {
    /// Counts that do not fit together.
    #[error("{what}: expected {expected} numbers, one per cell, draw and sequence; found {found}")]
    Length {
        /// Which numbers.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// No draw, no sequence or no predicted token.
    #[error("nothing was drawn: expected at least one draw, sequence and predicted token")]
    Nothing,
    /// A number that cannot be.
    #[error("{what} of {cell}: expected {expected}, found {found}")]
    Number {
        /// Which numbers.
        what: &'static str,
        /// Of which cell.
        cell: CellId,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

/// Predicted KL of changing several cells at once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SetKl {
    /// Nats per token.
    pub nats: f64,
    /// Standard error from the draws; `None` of a single draw.
    pub standard_error: Option<f64>,
}

impl Draws {
    /// Takes `u = sum_t g_t . dy_t` and, where there is one, the control `v`, both `[cells, draws, sequences]`, of
    /// sequences with `tokens` predicted tokens in all. u must be finite, v finite and not negative.
    ///
    /// # Errors
    /// Counts that do not fit together, numbers that cannot be.
    pub fn new(
        cells: Vec<CellId>,
        draws: usize,
        sequences: usize,
        tokens: usize,
        u: Vec<f64>,
        v: Option<Vec<f64>>,
    ) -> Result<Self, DrawsError> {
        if draws == 0 || sequences == 0 || tokens == 0 {
            return Err(DrawsError::Nothing);
        }
        let each = draws.saturating_mul(sequences);
        let expected = cells.len().saturating_mul(each);
        for (what, numbers) in [("u", Some(&u)), ("v", v.as_ref())] {
            let Some(numbers) = numbers else { continue };
            if numbers.len() != expected {
                return Err(DrawsError::Length { what, expected, found: numbers.len() });
            }
            let is_wrong = |x: &f64| !x.is_finite() || (what == "v" && *x < 0.0);
            if let Some(at) = numbers.iter().position(is_wrong) {
                let expected = if what == "v" { "a finite number, not below zero" } else { "a finite number" };
                return Err(DrawsError::Number {
                    what,
                    cell: cells[at / each],
                    expected,
                    found: numbers[at].to_string(),
                });
            }
        }
        Ok(Self { cells, draws, sequences, tokens: tokens as f64, u, v })
    }

    /// The cells.
    pub fn cells(&self) -> &[CellId] {
        &self.cells
    }

    /// Number of draws.
    pub fn draws(&self) -> usize {
        self.draws
    }

    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.sequences
    }

    /// Predicted tokens of all sequences.
    pub fn tokens(&self) -> f64 {
        self.tokens
    }

    /// u of a cell, `[draws, sequences]`.
    pub fn u(&self, cell: usize) -> &[f64] {
        let each = self.draws * self.sequences;
        &self.u[cell * each..][..each]
    }

    /// v of a cell, `[draws, sequences]`.
    pub(super) fn v(&self, cell: usize) -> Option<&[f64]> {
        let each = self.draws * self.sequences;
        self.v.as_ref().map(|v| &v[cell * each..][..each])
    }

    /// Predicted KL of changing one cell by the plain mean, in nats per token: `1/2 mean_d sum_s u^2 / N`. Unbiased to
    /// second order; relative noise about `sqrt(2 / (draws * sequences))`.
    pub fn direct(&self, cell: usize) -> f64 {
        0.5 * self.u(cell).iter().map(|u| u * u).sum::<f64>() / self.draws as f64 / self.tokens
    }

    /// The same, sequence by sequence, in nats: `1/2 mean_d u^2`. Their sum over N is [`Draws::direct`].
    pub fn by_sequence(&self, cell: usize) -> Vec<f64> {
        let mut nats = vec![0.0; self.sequences];
        for draw in self.u(cell).chunks_exact(self.sequences) {
            nats.iter_mut().zip(draw).for_each(|(sum, u)| *sum += 0.5 * u * u / self.draws as f64);
        }
        nats
    }

    /// What changing two cells together adds to the sum of changing each alone, in nats per token: `E[u_i u_j] / N`.
    /// Twice [`Draws::direct`] for a cell with itself. Its noise is of the size of `sqrt(direct(i) direct(j))` times
    /// `sqrt(4 / (draws * sequences))`, however small it is itself.
    pub fn interaction(&self, i: usize, j: usize) -> f64 {
        let sum: f64 = self.u(i).iter().zip(self.u(j)).map(|(a, b)| a * b).sum();
        sum / self.draws as f64 / self.tokens
    }

    /// Predicted KL of changing all of `cells` at once: `1/2 mean_d sum_s (sum_i u_i)^2 / N`. Of a set that was chosen *by*
    /// its value among many, it is too low: the choice fits the noise of these draws.
    pub fn of_set(&self, cells: &[usize]) -> SetKl {
        let mut sum = vec![0.0; self.draws * self.sequences];
        for cell in cells {
            sum.iter_mut().zip(self.u(*cell)).for_each(|(sum, u)| *sum += u);
        }
        sum.iter_mut().for_each(|u| *u = 0.5 * *u * *u / self.tokens);
        let nats = sum.iter().sum::<f64>() / self.draws as f64;
        let variance = estimate::variance(&sum, self.draws, self.sequences);
        SetKl { nats, standard_error: variance.map(f64::sqrt) }
    }

    /// Predicted KL of every cell, with the control where there is one.
    pub fn predict(&self) -> Prediction {
        estimate::predict(self)
    }
}
