//! What is planted, one file per kind of structure: how it is drawn, and how a map shows it.
//!
//! A new fact is its file and one line in the list below.

mod densities;
mod figure;
mod heavy_tails;
mod levels;
mod low_rank;
mod noise;
mod outliers;
mod power_law;
mod reading;
mod spikes;

use rand_chacha::ChaCha8Rng;
use tomo_map::{CellId, Map};

use crate::draw::Entries;

/// One planted fact.
pub struct Fact {
    /// Identifier, kebab-case.
    pub id: &'static str,
    /// What is true of the phantom, in one sentence.
    pub sentence: &'static str,
    /// Metrics that a map must hold for the check.
    pub metrics: &'static [&'static str],
    check: fn(&Map) -> Result<Outcome, String>,
    pub(crate) plant: Plant,
}

impl Fact {
    /// Whether `map` shows the fact. A map that lacks a metric or a cell does not, and the evidence says so.
    pub fn check(&self, map: &Map) -> Outcome {
        (self.check)(map).unwrap_or_else(|evidence| Outcome { recovered: false, evidence })
    }
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Whether the map shows the planted fact.
    pub recovered: bool,
    /// The numbers that it was read from.
    pub evidence: String,
}

/// How a fact gets into the weights.
#[derive(Clone, Copy)]
pub(crate) enum Plant {
    /// Root mean square of the cells it speaks of.
    Rms(fn(CellId) -> Option<f64>),
    /// The structure of some cells.
    Structure {
        /// Which cells.
        here: fn(CellId) -> bool,
        /// Entries of such a cell, up to scale.
        draw: Draw,
    },
    /// That some cells have no structure; leaving the fact out gives them one.
    Noise {
        /// Which cells.
        here: fn(CellId) -> bool,
        /// What they get when the fact is left out.
        otherwise: Draw,
    },
    /// That every weight is moved by a step of one size; left out, steps are as large as the weights.
    OneStep,
}

/// Draws `rows x cols` entries.
pub(crate) type Draw = fn(&mut ChaCha8Rng, usize, usize) -> Entries;

static FACTS: &[Fact] = &[
    levels::VALUE_HIGH,
    levels::OUTPUT_STEP,
    levels::QUERY_KEY_LOW,
    levels::UP_DOWN_MIDDLE,
    levels::GATE_LOWEST,
    low_rank::FACT,
    spikes::FACT,
    heavy_tails::FACT,
    outliers::FACT,
    power_law::FACT,
    noise::FACT,
];

/// Every fact planted in the phantom, in the order of reports.
pub fn facts() -> &'static [Fact] {
    FACTS
}

static PAIR_FACTS: &[Fact] = &[
    densities::VALUE_HIGH,
    densities::OUTPUT_STEP,
    densities::QUERY_KEY_LOW,
    densities::UP_DOWN_MIDDLE,
    densities::GATE_LOWEST,
    densities::FOLLOWS_SIZE,
];

/// Every fact planted in the pair, in the order of reports.
pub fn pair_facts() -> &'static [Fact] {
    PAIR_FACTS
}
