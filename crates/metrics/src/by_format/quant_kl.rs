//! # Measures
//! What storing the cell in a number format costs, the one that the metric's id ends with, measured: the cell alone is
//! stored that way, the model is run, and its predictions are held against its own. Of a type of GGUF whose blocks do not
//! divide the cell's rows, the type that llama-quantize stores in its place is measured.
//!
//! # Formula
//! `mean over predicted tokens of KL(p || p')`, p the model's distribution of the next token, p' that of the model
//! with this one cell rounded. In `measured.json`, by sequence, also the change of the negative log likelihood and how
//! often both find the same token most likely.
//!
//! # Unit
//! Nats per token.
//!
//! # Direction
//! High = fragile.
//!
//! # Cost
//! The model from this cell's layer on, for every cell: about half the layers on average, and the head. Racing (on
//! unless `--exact`) stops measuring a cell when it is settled whether it belongs to the highest tenth.
//!
//! # Misleads when
//! Several cells are stored that way at once: their costs do not just add up. The text is another: scores are of this
//! one. Weights that lie on a grid already lose little to a format with the same grid.
//!
//! # Source
//! Sensitivity of one matrix at a time, as mixed-precision quantizers measure it; the divergence as in llama.cpp's
//! `--kl-divergence`.
