//! Is a map true, and does a plan help?
//!
//! Is a map true? Holds its metrics against a ground truth: what changing each cell was measured to cost.
//!
//! [`agree`] takes maps of one grid, of which one holds the ground truth, and says of every other column how far it orders the cells as
//! the costs do: rank correlations with intervals, inside columns and layers too, beside controls that know nothing of the
//! weights. Whatever loses is listed as well.
//!
//! ```
//! use tomo_map::{Component, Direction, Score};
//! use tomo_testkit::{LlamaDims, metric_info, tiny_map};
//! use tomo_verify::{Options, Source, agree};
//!
//! let dims = LlamaDims { layers: 4, ..LlamaDims::TINY };
//! let causal = tomo_map::MetricInfo { family: "causal".into(), direction: Direction::High, ..metric_info("quant-kl-int3") };
//! let proxy = tomo_map::MetricInfo { direction: Direction::Low, ..metric_info("a-proxy") };
//! let map = tiny_map(dims, &[
//!     (causal, |id| Score::from_value(f64::from(id.layer) + id.component.index() as f64 / 10.0)),
//!     (proxy, |id| Score::from_value(-f64::from(id.layer))),
//! ]);
//! let found = agree(&[Source::new("map", map)], &Options::default())?;
//! assert_eq!(found.truth.metric, "quant-kl-int3");
//! assert!(found.rows.iter().any(|row| row.id == "a-proxy" && row.raw.rho.value() > Some(0.9)));
//! # Ok::<(), tomo_verify::VerifyError>(())
//! ```
//!
//! And does a plan help? [`proof`] compares ways of storing a model by what they do to every token, [`refine`] finds better ones by
//! measuring.
//!
//! It knows maps and numbers only, not how they are printed.

mod agreement;
mod controls;
mod damage;
mod error;
mod ground;
mod measured;
mod position;
pub mod proof;
pub mod refine;
mod row;

pub use agreement::{Agreement, LeftOut, Options, ReliabilityOfTruth, Source, Truth, agree};
pub use damage::{Damage, Estimate, Token};
pub use error::VerifyError;
pub use measured::{MEASURED_SCHEMA, Measured};
pub use row::{Form, Kind, Row, Side};
