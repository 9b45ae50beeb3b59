//! Runs a model on token ids, block by block, and hands out what observers ask for.
//!
//! The order is layer-major: a block is decoded, every sequence runs through it, it is dropped. Weights are read once per
//! pass whatever the number of tokens, and memory is the residual stream plus one or two blocks whatever the depth.
//!
//! ```no_run
//! use std::sync::Arc;
//! use tomo_model::engine::{Engine, EngineOptions, PassProgress, Until};
//!
//! fn nll(
//!     model: Arc<tomo_model::Model>,
//!     tokens: Vec<u32>,
//!     progress: &dyn PassProgress,
//! ) -> Result<f64, Box<dyn std::error::Error>> {
//!     let architecture = model.architecture()?;
//!     let engine = Engine::new(model, architecture, EngineOptions::default())?;
//!     let sequences = [tokens];
//!     let plan = engine.plan(&[sequences[0].len()], &[], 0, Until::Loss)?;
//!     let outcome = engine.forward(&sequences, &[], &plan, Until::Loss, progress)?;
//!     Ok(outcome.losses[0].iter().sum::<f64>() / outcome.losses[0].len() as f64)
//! }
//! ```

mod block;
mod buffer;
mod compare;
mod error;
mod gradient;
mod head;
mod memory;
mod ops;
mod pass;
mod resume;
mod reverse;
mod store;
mod tap;
mod taps;
mod weights;

pub use compare::{Branch, Change, ComparePlan, DamageSink, OutputChange, Rewrite, Round, TokenDamage, Variant};
pub use error::EngineError;
pub use gradient::{
    Blend, CellGradients, GradientObserver, Input, Loss, Objective, ParameterGradient, ReverseOutcome, Span,
};
pub use memory::{MemoryPlan, ReversePlan, default_budget};
pub use pass::{Activations, Engine, EngineOptions, Outcome, PassProgress, Until, Unwatched};
pub use resume::Resume;
pub use tap::{CellWeights, Observer, Port, Rows, Seen, Tap};
