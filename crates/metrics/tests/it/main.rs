//! Tests of the metrics: planted matrices, equations over the registry, values computed elsewhere, the runner.

mod conformance;
mod planted;
mod power_law;
mod runner;
mod selection;
mod support;
