//! How the metrics of a change are held against `fixtures/golden/demo-delta.json`.

use crate::golden::{Check, check};

/// Sums and singular values, of ten digits.
const CLOSE: f64 = 1e-7;
/// Singular vectors: rounding moves them by eps over the gap behind the last one, which is 1e-4 of the largest singular value or more
/// in this pair (`subspace:gap`).
const SUBSPACE: f64 = 1e-7;

/// Every metric of the family, in the registry's order.
pub(crate) const CHECKS: &[Check] = &[
    check("delta-relative", "delta-relative", CLOSE),
    check("delta-scale", "delta-scale", CLOSE),
    check("delta-direction", "delta-direction", CLOSE),
    check("delta-cosine", "delta-cosine", CLOSE),
    check("update-density", "update-density", CLOSE),
    check("update-density-tol", "update-density-tol", CLOSE),
    check("update-density-bf16", "update-density-bf16", CLOSE),
    check("density-lower-bound", "density-lower-bound", CLOSE),
    check("base-rms", "base-rms", CLOSE),
    check("delta-rank", "delta-rank", CLOSE),
    check("delta-stable-rank", "delta-stable-rank", CLOSE),
    check("delta-effective-rank", "delta-effective-rank", CLOSE),
    check("subspace-overlap-left", "subspace-overlap-left", SUBSPACE),
    check("subspace-overlap-right", "subspace-overlap-right", SUBSPACE),
    check("delta-on-principal", "delta-on-principal", SUBSPACE),
    check("spectrum-drift", "spectrum-drift", CLOSE),
    check("sign-flips", "sign-flips", CLOSE),
];
