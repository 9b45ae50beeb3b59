//! Number formats of quantized weights, simulated: what a format would make of a matrix, and how far off that is.
//!
//! It knows matrices only: no files, no models, no metrics.
