//! # Measures
//! How much the model's predictions suffer from noise in this cell, whatever makes the noise: multiplied by the
//! squared relative error of any quantizer it says what that quantizer costs.
//!
//! # Formula
//! `W' = W + t ||W||_F / sqrt(mn) N(0,1)` with this cell alone changed, t from `--noise-levels` (.05 .1 .15 .2),
//! `--noise-seeds` draws each (2). alpha is the slope of the line through the origin of KL(t) against t^2: `sum t^2 KL
//! / sum t^4`; so alpha of a text is the mean of the sequences' own, by tokens. Intervals are over sequences. R2 is
//! the share of the variance of the levels' mean KL around their mean that the line explains; below .95 the score says
//! that it is to be read with care.
//!
//! # Unit
//! Nats per token, for noise as large as the weights (t = 1), if the square went on so far.
//!
//! # Direction
//! High = fragile.
//!
//! # Cost
//! Levels times seeds passes of the changed model for every cell: 8 times `quant-kl-int3`. Racing applies.
//!
//! # Misleads when
//! The divergence does not grow with the square: it says so. Errors of a quantizer are not Gaussian, and not
//! independent of the weights. Few seeds: the noise of one draw is in alpha and not in its interval.
//!
//! # Source
//! Linearity theorem of HIGGS (Malinovskii et al. 2024, arXiv 2411.17525), with the divergence in place of perplexity.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{CausalEdit, Kind, Metric};

pub(crate) static METRIC: Metric = Metric {
    info: MetricInfo {
        id: Cow::Borrowed("noise-alpha"),
        title: Cow::Borrowed("Noise coefficient"),
        summary: Cow::Borrowed("How fast the divergence grows with the square of the noise in the cell."),
        unit: Cow::Borrowed("nats per token at noise of size 1"),
        family: Cow::Borrowed("causal"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Additive,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("A slope at small noise; nothing says that it goes on to noise of size 1."),
    },
    source: include_str!("noise_alpha.rs"),
    kind: Kind::Causal { edit: CausalEdit::Noise },
};
