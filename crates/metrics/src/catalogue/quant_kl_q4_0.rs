//! # Measures
//! What storing the cell as ggml's Q4_0, blocks of 32 with one scale costs, measured: the cell alone is stored that
//! way, the model is run, and its predictions are held against its own.
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

use crate::Metric;
use crate::causal::catalogue::quant_kl;

pub(crate) static METRIC: Metric = quant_kl(
    "quant-kl-q4_0",
    "Quantization KL Q4_0",
    "Divergence from the model's own predictions when the cell is stored as Q4_0, measured.",
    include_str!("quant_kl_q4_0.rs"),
    "q4_0",
);
