//! What a pass hands out while it runs, and who gets it.

use std::ops::Range;

use tomo_map::Component;

/// Rows of f32 that need not be next to each other: row t is `values[t * stride..][..cols]`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: &'a [f32],
    stride: usize,
    cols: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `cols` values, one after the other; `values` is a whole number of rows.
    pub fn dense(values: &'a [f32], cols: usize) -> Self {
        Self { values, stride: cols, cols }
    }

    /// Columns `first..first + cols` of rows that are `stride` apart; the last row may end early behind them.
    pub fn columns(values: &'a [f32], stride: usize, first: usize, cols: usize) -> Self {
        Self { values: values.get(first..).unwrap_or_default(), stride, cols }
    }

    /// Entries per row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Values from one row's start to the next's.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        if self.cols == 0 || self.values.len() < self.cols {
            return 0;
        }
        (self.values.len() - self.cols) / self.stride + 1
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values from the first row on, gaps included.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Row `t`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, t: usize) -> &'a [f32] {
        &self.values[t * self.stride..][..self.cols]
    }

    /// The rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        let (values, stride, cols) = (self.values, self.stride, self.cols);
        (0..self.len()).map(move |t| &values[t * stride..][..cols])
    }

    /// Columns `columns` of the rows.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn part(&self, columns: Range<usize>) -> Self {
        assert!(columns.end <= self.cols, "columns {columns:?} of {}", self.cols);
        Self::columns(self.values, self.stride, columns.start, columns.len())
    }

    /// Rows `first..first + count`.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn slice(&self, first: usize, count: usize) -> Self {
        let values = match count {
            0 => &[],
            _ => &self.values[first * self.stride..(first + count - 1) * self.stride + self.cols],
        };
        Self { values, ..*self }
    }
}

/// Where cells read: components that read the same rows share a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
pub enum Port {
    /// Input of q, k and v.
    Attention,
    /// Input of o: the heads' values.
    AttentionOut,
    /// Input of up and gate.
    Mlp,
    /// Input of down.
    MlpDown,
}

impl Port {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Attention, Self::AttentionOut, Self::Mlp, Self::MlpDown];

    /// What `component` reads.
    pub fn of(component: Component) -> Self {
        match component {
            Component::AttnQ | Component::AttnK | Component::AttnV => Self::Attention,
            Component::AttnO => Self::AttentionOut,
            Component::MlpUp | Component::MlpGate => Self::Mlp,
            Component::MlpDown => Self::MlpDown,
        }
    }

    /// Who reads here.
    pub fn components(self) -> &'static [Component] {
        match self {
            Self::Attention => &[Component::AttnQ, Component::AttnK, Component::AttnV],
            Self::AttentionOut => &[Component::AttnO],
            Self::Mlp => &[Component::MlpUp, Component::MlpGate],
            Self::MlpDown => &[Component::MlpDown],
        }
    }
}

/// A tensor that a pass can hand out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Tap {
    /// What cells read, `[T, n]`. Of an expert: the tokens routed to it.
    Input(Port),
    /// `W x + b` of one cell, `[T, m]`, before any norm, clamp or rotation.
    Output(Component),
    /// The residual stream before a block, `[T, D]`.
    ResidualIn,
    /// What attention adds to the residual (after norm and multiplier), `[T, D]`; against: the residual it is added to.
    AttentionAdd,
    /// What the MLP adds; against: the residual it is added to.
    MlpAdd,
    /// The residual after a block; against: the residual before it.
    ResidualOut,
    /// Weights of the experts, `[T, E]`, 0 where not chosen.
    Routing,
    /// After the final norm, `[T, D]`; layer L.
    FinalHidden,
}

/// One tap of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Which tensor.
    pub tap: Tap,
    /// In which layer; L for what follows the last block.
    pub layer: u32,
    /// Of which expert.
    pub expert: Option<u32>,
    /// Index of the sequence in the pass.
    pub sequence: usize,
    /// Its values, one row per token.
    pub rows: Rows<'a>,
    /// The tensor that the tap is to be compared with, where [`Tap`] names one.
    pub against: Option<Rows<'a>>,
    /// The bias that is in [`Tap::Output`], where the cell has one, `[m]`.
    pub bias: Option<&'a [f32]>,
}

/// The weights of a cell while they are decoded.
#[derive(Clone, Copy, Debug)]
pub struct CellWeights<'a> {
    /// Index of the cell in the grid.
    pub cell: usize,
    /// W, row-major `[m, n]`.
    pub values: &'a [f32],
    /// n.
    pub cols: usize,
}

/// Who watches a pass. Methods are called from worker threads: calls for different taps, layers and sequences overlap,
/// each tap of each layer, expert and sequence comes exactly once.
///
/// A sequence that sends no token to an expert gives no tap for it.
pub trait Observer: Sync {
    /// Whether it wants `tap`; asked before the pass. A tap that nobody wants costs nothing.
    fn wants(&self, tap: Tap) -> bool;

    /// Here it is.
    fn see(&self, seen: &Seen<'_>);

    /// Whether [`Observer::weigh`] shall be called.
    fn wants_weights(&self) -> bool {
        false
    }

    /// The weights of a cell, once per pass, after the taps of its layer of all sequences.
    fn weigh(&self, weights: &CellWeights<'_>) {
        let _ = weights;
    }
}
