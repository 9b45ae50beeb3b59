//! What every sequence said of every cell, for whoever wants to compute with it.

use tomo_map::CellId;

/// What was measured for one metric. Everything is per predicted token of a sequence, in the order of the text; `None` where a
/// cell did not get the sequence.
///
/// A score is `sum_s tokens_s value_s / sum_s tokens_s` over all sequences. Where a cell did not get them all, the sum over those
/// it got is divided by their share of the difficulty instead of their share of the tokens: the mean, over the cells of the
/// panel, of `tokens_s value_s` over its own sum.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured {
    /// Id of the metric.
    pub metric: String,
    /// Predicted tokens of each sequence.
    pub tokens: Vec<u64>,
    /// Negative log likelihood of the original.
    pub nll_original: Vec<Option<f64>>,
    /// Order in which sequences were given out.
    pub order: Vec<usize>,
    /// Cells that got all sequences whatever they said, where others may not have.
    pub panel: Vec<CellId>,
    /// Cells that were measured, in the order of the grid.
    pub cells: Vec<MeasuredCell>,
}

/// One cell.
#[derive(Clone, PartialEq, Debug)]
pub struct MeasuredCell {
    /// Which one.
    pub id: CellId,
    /// The cell that was run in its place, where the change makes the same function of both.
    pub same_as: Option<CellId>,
    /// What the score is a mean of: KL, or the slope of KL against the square of the noise.
    pub value: Vec<Option<f64>>,
    /// Of that slope, over all sequences that the cell got.
    pub r2: Option<f64>,
    /// What was done to it.
    pub variants: Vec<MeasuredVariant>,
}

/// One change of a cell.
#[derive(Clone, PartialEq, Debug)]
pub struct MeasuredVariant {
    /// As `tomograph measure --change` takes it: `int3:g128`.
    pub edit: String,
    /// Divergence from the original, in nats.
    pub kl: Vec<Option<f64>>,
    /// Negative log likelihood less that of the original, in nats.
    pub nll: Vec<Option<f64>>,
    /// Share of the tokens on which both find the same one most likely.
    pub top1: Vec<Option<f64>>,
}
