//! Tests of the metrics: planted matrices, equations over the registry, values computed elsewhere.

mod linear;
mod planted;
mod support;
