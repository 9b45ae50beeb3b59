//! Tests of the metrics: planted matrices, equations over the registry, values computed elsewhere.

mod planted;
mod support;
