//! From a map and a budget to a plan, and from a plan to recipes: the files of the programs that act on it.
//!
//! A [`Plan`] says what is done to every cell, what that takes and what it is expected to cost, and where it came from. It is
//! made of a [`Map`](tomo_map::Map) alone, so that the same map gives the same plan. Every [`Client`] is one file under
//! `clients/` and one line of its registry: it names the formats the client has, and writes its recipes, after its own matching rule
//! was run over the model's names.
//!
//! It knows no tensors.

mod clients;
mod error;
mod plan;
mod stored;

pub use clients::{CLIENTS, Client, Dialect, Fuse, Recipe, find as find_client, recipes};
pub use error::PlanError;
pub use plan::{About, Budget, Choice, CostSource, Decision, Kind, OtherDecision, PLAN_SCHEMA, Plan, Totals};
pub use stored::Stored;
