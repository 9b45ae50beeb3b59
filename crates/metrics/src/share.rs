//! Parts of a scan: what one of them works on, and what of several, put together, is what one scan would know.

use serde::{Deserialize, Serialize};

use crate::{Form, GradientFormula, Kind, Selected};

/// What one part of a scan works on; other parts work on the rest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// These cells, by index in the grid, ascending; on all sequences.
    Cells(Vec<usize>),
    /// These sequences of the text, by number, ascending; all cells.
    Sequences(Vec<usize>),
}

/// Along what a scan can be cut so that its parts, put together, know what the whole would.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Along {
    /// Cells: of each cell its part knows all there is to know.
    Cells,
    /// Sequences: what is kept of a sequence does not depend on the others.
    Sequences,
}

impl Selected {
    /// Along what a scan of this metric can be cut.
    ///
    /// Sums by sequence can be cut along sequences. The gradient of all weights is a sum in f32 over all sequences that nobody keeps
    /// apart, and what takes outputs of other sequences needs those: both are cut along cells, and so is what a changed model says.
    pub fn along(&self) -> Along {
        match &self.metric.kind {
            Kind::Activations { .. } => Along::Sequences,
            Kind::Error { .. } if self.form == Form::Weighted => Along::Sequences,
            Kind::Gradients { formula } => match formula {
                GradientFormula::Whole(_) | GradientFormula::Path => Along::Cells,
                GradientFormula::Sums { reads, .. } if reads.mean || reads.resample => Along::Cells,
                GradientFormula::Sums { .. }
                | GradientFormula::OutputError { .. }
                | GradientFormula::PredictedKl { .. } => Along::Sequences,
            },
            Kind::Weights { .. } | Kind::Error { .. } | Kind::Delta { .. } | Kind::Causal { .. } => Along::Cells,
        }
    }
}

impl Share {
    /// Which cells of a grid of `count` are in it.
    pub(crate) fn cells(&self, count: usize) -> Vec<bool> {
        match self {
            Self::Sequences(_) => vec![true; count],
            Self::Cells(cells) => {
                let mut wanted = vec![false; count];
                cells.iter().for_each(|cell| wanted[*cell] = true);
                wanted
            }
        }
    }

    /// Number in the text of the `at`-th sequence that a part runs.
    pub(crate) fn number(&self, at: usize) -> Option<usize> {
        match self {
            Self::Cells(_) => Some(at),
            Self::Sequences(numbers) => numbers.get(at).copied(),
        }
    }
}

/// What a part left that does not fit the scan it is to be a part of.
#[derive(Debug, thiserror::Error)]
#[error("what a part of the scan left cannot be used: {reason}")]
pub struct StateError {
    /// Why.
    pub(crate) reason: String,
}

impl StateError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    /// Bytes of a state.
    pub(crate) fn write<T: Serialize>(state: &T) -> Result<Vec<u8>, Self> {
        postcard::to_stdvec(state).map_err(|e| Self::new(e.to_string()))
    }

    /// A state from all of its bytes.
    pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Self> {
        match postcard::take_from_bytes(bytes).map_err(|e| Self::new(e.to_string()))? {
            (state, []) => Ok(state),
            _ => Err(Self::new("it is too long")),
        }
    }
}
