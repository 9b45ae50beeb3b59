//! From a map and a budget to a plan, and from a plan to recipes: the files of the programs that act on it.
//!
//! A [`Plan`] says what is done to every cell, what that takes and what it is expected to cost, and where it came from. It is
//! made of a [`Map`](tomo_map::Map) alone, so that the same map gives the same plan. Every [`Client`] is one file under
//! `clients/` and one line of its registry: it names the formats the client has, and writes its recipes, after its own matching rule
//! was run over the model's names.
//!
//! It knows no tensors.

mod about;
mod adapt;
mod ask;
mod baseline;
mod bits;
mod clients;
mod cost;
mod error;
mod frame;
mod keep;
pub mod knapsack;
mod options;
mod plan;
pub mod rules;
mod size;
mod sparsity;
mod stored;
mod ties;
mod worth;

pub use ask::{Ask, Limit};
pub use baseline::{Baseline, baseline};
pub use clients::{CLIENTS, Client, Dialect, Fuse, Recipe, find as find_client, recipes};
pub use cost::CostModel;
pub use error::PlanError;
pub use keep::Keep;
pub use options::Options;
pub use plan::{About, Budget, Choice, CostSource, Decision, Kind, OtherDecision, PLAN_SCHEMA, Plan, Totals};
pub use stored::Stored;

/// The best plan of a kind that a map knows, within a budget, for a client. The same map and options give the same plan.
///
/// # Errors
/// A budget that is too small or says nothing of this kind; columns or scores that the map lacks, with the command that makes them;
/// types that the client lacks; wishes that cannot be met.
pub fn make_plan(map: &tomo_map::Map, client: &'static Client, options: &Options) -> Result<Plan, PlanError> {
    match options.kind {
        Kind::Bits => bits::bits(map, client, options),
        Kind::Rank => adapt::ranks(map, client, options),
        Kind::Train => adapt::train(map, client, options),
        Kind::Sparsity => sparsity::sparsity(map, client, options),
    }
}
