use tomo_map::{CellId, MetricInfo, Score};
use tomo_model::change::Rank;

use crate::activations::{CellFacts, Lanes, Salience, Sums};
use crate::gradients::{GradientSums, WholeGradient};
use crate::{DeltaFacts, DeltaNeeds, Facts};

/// One entry of the registry: the metric's description, its manual and how it is computed.
pub struct Metric {
    /// What travels in the map.
    pub info: MetricInfo,
    /// The metric's own source file; its `//!` header is the manual that `explain` prints.
    pub source: &'static str,
    /// What it reads and how it is computed.
    pub kind: Kind,
}

/// What a metric reads.
#[non_exhaustive]
pub enum Kind {
    /// The weights of one cell, nothing else.
    Weights {
        /// Which shared facts it reads.
        needs: Needs,
        /// The score of one cell.
        score: fn(&Facts<'_>, &Options) -> Score,
        /// For metrics with an `@null` form: the power p with which the score scales when W is multiplied by c
        /// (`score(c W) = c^p score(W)`), so that one unit-variance baseline serves every cell of a shape.
        null: Option<i32>,
    },
    /// The weights of one cell and what a number format makes of them. Has a form `@x`, weighted by the size of the
    /// inputs, which reads activations.
    Error {
        /// Id of the format, as `tomo_quant::find` knows it.
        format: &'static str,
    },
    /// What became of a cell: its weights before and after.
    Delta {
        /// Which facts it reads.
        needs: DeltaNeeds,
        /// The score of one cell.
        score: fn(&DeltaFacts, &Options) -> Score,
    },
    /// What cells read and write while the model runs on a text.
    Activations {
        /// Which taps and sums it reads.
        reads: Reads,
        /// Why it has no score for cells of this kind, if it has none.
        applies: fn(CellId) -> Result<(), &'static str>,
        /// The score of one cell.
        formula: Formula,
    },
    /// What a reverse pass over a text shows: how the loss answers to cells and their outputs.
    Gradients {
        /// Which gradients and sums it reads, and the score of one cell.
        formula: GradientFormula,
    },
    /// What the model's predictions lose when the cell is changed and the model run.
    Causal {
        /// What is done to the cell.
        edit: CausalEdit,
    },
}

impl Kind {
    /// What a scan computes for the metric's plain form; nothing for one that reads a text.
    pub(crate) fn needs(&self) -> Needs {
        match self {
            Self::Weights { needs, .. } => *needs,
            Self::Error { .. } => Needs { moments: true, entries: true, ..Needs::NONE },
            Self::Delta { .. } | Self::Activations { .. } | Self::Gradients { .. } | Self::Causal { .. } => Needs::NONE,
        }
    }

    /// The score of one cell from its weights alone, where the metric has one.
    pub fn score(&self, facts: &Facts<'_>, options: &Options) -> Option<Score> {
        match self {
            Self::Weights { score, .. } => Some(score(facts, options)),
            Self::Error { format } => Some(crate::quantization_error::score(format, facts, options)),
            Self::Delta { .. } | Self::Activations { .. } | Self::Gradients { .. } | Self::Causal { .. } => None,
        }
    }
}

/// What a causal metric does to a cell; the rest is the same for all: the divergence of the changed model's predictions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CausalEdit {
    /// Its output is 0.
    Zero,
    /// Its output is its mean over the text.
    Mean,
    /// Its output is that of the next sequence.
    Resample,
    /// Its weights are what a number format makes of them.
    Format {
        /// Id of the format, as `tomo_quant::find` knows it.
        format: &'static str,
    },
    /// Noise of several sizes is added to its weights, and the slope against the square of the size taken.
    Noise,
    /// Its weights keep [`Options::rank`].
    LowRank,
    /// Its weights are those of another checkpoint.
    Patch,
}

/// How an activation metric gets from sums to its score. All of a metric's resamples (see [`tomo_map::stats::Bootstrap`]) go
/// through the same formula, with the sums of the drawn sequences in place of the text's.
#[derive(Clone, Copy)]
pub enum Formula {
    /// From sums over tokens.
    Sums(fn(&Sums, &CellFacts) -> Result<f64, &'static str>),
    /// From the mean square A of each input column alone, so one number for all cells that read the same input.
    Energies {
        /// The score, `A` as measured.
        score: fn(&[f64]) -> Result<f64, &'static str>,
        /// The score of each resample of a block, NaN where it has none.
        resampled: fn(&Lanes<'_>) -> [f32; Lanes::WIDTH],
    },
    /// From the magnitudes of the weights times the sizes of their inputs.
    Salience(fn(&Salience) -> f64),
}

/// What a gradient metric reads and how it gets to its score. L is the mean loss of the text's scored tokens in nats.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum GradientFormula {
    /// From dL/dW, all of it at once. The interval is a jackknife over sequences: each is left out in turn, and the formula
    /// is applied to what is left.
    Whole(fn(&WholeGradient) -> Result<f64, &'static str>),
    /// From sums over sequences. Resamples (see [`tomo_map::stats::Bootstrap`]) go through the same formula, with the sums of
    /// the drawn sequences in place of the text's.
    Sums {
        /// Which of the sums.
        reads: GradientReads,
        /// The score.
        score: fn(&GradientSums) -> f64,
        /// Whether the score shown is the square of what `score` gives. Its interval is then made of the squares of all
        /// numbers in the other's interval: resampled squares alone would lie above the score wherever the signs cancel.
        squared: bool,
    },
    /// Integrated gradients, which take a pass of their own: [`IntegratedGradients`](crate::IntegratedGradients).
    Path,
    /// Gradient times the error that a format makes in the cell's output, squared, entry by entry.
    OutputError {
        /// Id of the format, as `tomo_quant::find` knows it.
        format: &'static str,
    },
    /// The divergence that a format in this cell alone causes, to second order, from labels drawn from the model.
    PredictedKl {
        /// Id of the format, as `tomo_quant::find` knows it.
        format: &'static str,
    },
}

/// Which of the [`GradientSums`] a metric reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GradientReads {
    /// [`GradientSums::product`] and [`GradientSums::zero`].
    pub products: bool,
    /// [`GradientSums::squares`].
    pub squares: bool,
    /// [`GradientSums::mean`].
    pub mean: bool,
    /// [`GradientSums::resample`].
    pub resample: bool,
}

impl GradientReads {
    /// None of them; for struct update in a `static`.
    pub const NONE: Self = Self { products: false, squares: false, mean: false, resample: false };

    /// What either reads.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            products: self.products || other.products,
            squares: self.squares || other.squares,
            mean: self.mean || other.mean,
            resample: self.resample || other.resample,
        }
    }
}

/// What an activation metric reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reads {
    /// Inputs of cells: [`Sums::tokens`] and [`Sums::input2`].
    pub inputs: bool,
    /// The other power sums of the inputs.
    pub moments: bool,
    /// Outputs of cells: [`Sums::output2`].
    pub outputs: bool,
    /// Outputs and inputs, token by token: [`Sums::gain`].
    pub gains: bool,
    /// What sublayers add to the residual: [`Sums::write_ratio`], [`Sums::write_cosine`].
    pub writes: bool,
    /// The residual before and after blocks: [`Sums::block_cosine`].
    pub blocks: bool,
    /// Which experts tokens are sent to: [`Sums::sent`], [`Sums::routed`].
    pub routing: bool,
    /// The weights' norm: [`CellFacts::frobenius`].
    pub norm: bool,
    /// Whether [`Salience::outlier_share`] is read.
    pub outliers: bool,
}

impl Reads {
    /// None of them; for struct update in a `static`.
    pub const NONE: Self = Self {
        inputs: false,
        moments: false,
        outputs: false,
        gains: false,
        writes: false,
        blocks: false,
        routing: false,
        norm: false,
        outliers: false,
    };
    /// Mean squares of the inputs only: what an imatrix holds.
    pub const INPUTS: Self = Self { inputs: true, ..Self::NONE };

    /// Whether an imatrix has all of it.
    pub fn are_in_an_imatrix(&self) -> bool {
        !(self.moments || self.outputs || self.gains || self.writes || self.blocks || self.routing)
    }
}

/// Shared facts a weight metric can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// [`Facts::moments`].
    pub moments: bool,
    /// [`Facts::spectrum`].
    pub spectrum: bool,
    /// [`Facts::robust_sd`].
    pub robust_sd: bool,
    /// The entries themselves, for a sweep of its own.
    pub entries: bool,
}

impl Needs {
    /// None of them; for struct update in a `static`.
    pub const NONE: Self = Self { moments: false, spectrum: false, robust_sd: false, entries: false };
}

/// Settings that reach every metric.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// Group size of the grouped integer formats, along the input dimension.
    pub group: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// M of `owl-outliers`: how many times the cell's mean a weight times its input must be to count.
    pub outlier_factor: f64,
    /// Resamples of the bootstrap over sequences; 0 for no intervals.
    pub resamples: usize,
    /// Draws of labels for `predicted-kl-*`; each is a reverse pass through everything but the weights' own gradients.
    pub draws: usize,
    /// Points on the path of `ig`, its end included.
    pub steps: usize,
    /// Sizes of the noise of `noise-alpha`, relative to the root mean square of the weights.
    pub noise_levels: Vec<f64>,
    /// Draws of noise of each size.
    pub noise_seeds: usize,
    /// What `lowrank-kl` keeps.
    pub rank: Rank,
    /// Whether causal metrics run every cell on every sequence; if not, they race.
    pub exact: bool,
    /// k of `subspace-overlap-*` and `delta-on-principal`: how many of the strongest singular directions are compared.
    pub subspace_rank: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            group: 128,
            seed: 0,
            outlier_factor: 5.0,
            resamples: 2000,
            draws: 16,
            steps: 5,
            noise_levels: vec![0.05, 0.1, 0.15, 0.2],
            noise_seeds: 2,
            rank: Rank::Share(0.5),
            exact: false,
            subspace_rank: 16,
        }
    }
}
