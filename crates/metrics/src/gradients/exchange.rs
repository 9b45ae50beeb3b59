//! Outputs against those of the next sequence.

use tomo_model::engine::Rows;

use super::sweep::dot_of_rows;

/// Forms `sum_t g_t . (y'_t - y_t)` of each sequence, y' being the output of the next one (of the first after the last) at the
/// same position, over the positions that both have. Sequences come in order; what is kept meanwhile is the gradients of one
/// sequence and the outputs of the first.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Exchange {
    /// Outputs of the first sequence, `[T, m]`.
    first: Vec<f32>,
    /// The gradients of the sequence before, `[T, m]`, and its own `sum_t g_t . y_t` over what it shares with the next.
    waiting: Option<(Vec<f32>, f64)>,
}

impl Exchange {
    /// Takes gradients and outputs of sequence `sequence` of sequences that are so long. What becomes known is given to
    /// `known`, by sequence.
    pub(crate) fn see(
        &mut self,
        sequence: usize,
        lengths: &[usize],
        gradient: Rows<'_>,
        output: Rows<'_>,
        known: &mut impl FnMut(usize, f64),
    ) {
        let cols = output.cols();
        if sequence == 0 {
            self.first = dense(output);
        }
        if let Some((before, own)) = self.waiting.take() {
            known(sequence - 1, dot_of_rows(Rows::dense(&before, cols), output) - own);
        }
        let is_last = sequence + 1 == lengths.len();
        let next = if is_last { 0 } else { sequence + 1 };
        let shared = lengths.get(next).copied().unwrap_or(0).min(output.len());
        let own = dot_of_rows(gradient.slice(0, shared), output);
        if is_last {
            known(sequence, dot_of_rows(gradient, Rows::dense(&self.first, cols)) - own);
            self.first = Vec::new();
        } else {
            self.waiting = Some((dense(gradient.slice(0, shared)), own));
        }
    }
}

fn dense(rows: Rows<'_>) -> Vec<f32> {
    let mut values = Vec::with_capacity(rows.len() * rows.cols());
    rows.iter().for_each(|row| values.extend_from_slice(row));
    values
}
