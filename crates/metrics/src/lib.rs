//! Importance metrics, one file each, and the runner that shares their work.
//!
//! A metric file holds its manual (the `//!` header), its [`Metric`] entry and the function that computes it from the
//! [`Facts`] of a cell. Facts are expensive things several metrics need (power sums, singular values, quantization
//! errors); each is computed at most once per cell.
//!
//! Metrics of weights alone are computed by [`scan`]. Metrics that read activations are computed by [`Activations`], which
//! watches a pass of the engine over a text, or from an
//! [`Imatrix`] that somebody made ([`scan_imatrix`]). Metrics of what training changed read two states of every cell
//! ([`scan_delta`]).

mod activations;
mod by_format;
mod catalogue;
mod causal;
mod cost;
mod delta;
mod facts;
mod gradients;
mod imatrix;
mod metric;
mod moments;
mod null;
mod null_table;
mod order_statistics;
mod own;
mod power_law;
mod predicted;
mod quantization_error;
mod runner;
mod schedule;
mod select;
mod share;
mod spectrum;
mod writes;

pub use activations::{Activations, CellFacts, Lanes, Salience, Sums, activations_cost};
pub use by_format::BY_FORMAT;
pub use catalogue::METRICS;
pub use causal::{
    Causal, CausalError, CausalPlan, Damage, Found, Keep, KeepError, Measured, MeasuredCell, MeasuredVariant, NoiseFit,
    Race, Standing, Standings,
};
pub use cost::{Cost, cost};
pub use delta::{
    AdapterPairs, Cast, ChangeSums, DeltaFacts, DeltaNeeds, Factors, Known, ModelPairs, Pair, PairError, PairSums,
    Pairs, Principal, StoredCell, norm_gain_drift, scan_delta,
};
pub use facts::{Facts, Matrix, Moments};
pub use gradients::{GradientSums, Gradients, IntegratedGradients, WholeGradient};
pub use imatrix::{
    Imatrix, ImatrixEntry, ImatrixFormat, ImatrixName, ImatrixObserver, ImatrixStatistics, LayerStatistics,
    TensorStatistics, imatrix_names, scan_imatrix,
};
pub use metric::{CausalEdit, Formula, GradientFormula, GradientReads, Kind, Metric, Needs, Options, Reads};
pub use own::{OfTaps, OfWeights, OwnError, OwnFormula, OwnMetric, OwnTaps};
pub use predicted::{Control, Draws, DrawsError, PredictedKl, Prediction, SetKl, most_nats, truncation_sd};
pub use runner::{DEFAULT_MEMORY_BYTES, Progress, Request, ScanError, scan};
pub use select::{Form, Selected, UnknownMetric, select, with_companions};
pub use share::{Along, Share, StateError};
pub use spectrum::Workspace;
