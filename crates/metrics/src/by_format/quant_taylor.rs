//! # Measures
//! What storing the cell in a number format costs, the one that the metric's id ends with, to a first, separable
//! approximation: the error that the format makes in the cell's output times the gradient there.
//!
//! # Formula
//! `sum_t sum_k g_tk^2 dy_tk^2`, `g_t = dL/dy_t`, `dy_t = (Q(W) - W) x_t` with Q the format; L is the mean loss
//! of the text's scored tokens.
//!
//! # Unit
//! (Nats per token)^2.
//!
//! # Direction
//! High = fragile.
//!
//! # Cost
//! The matrix rounded, one product with the inputs (shared with `predicted-kl-…` of the same format), a sweep. No weight gradients.
//!
//! # Misleads when
//! It is read as nats: it ranks. Errors of the entries are taken as independent, so what adds up over a sequence or
//! cancels within a token is lost. It falls with the square of the number of tokens.
//!
//! # Source
//! Score of AutoQuantize in NVIDIA TensorRT-Model-Optimizer (`AutoQuantizeGradientSearcher`), there with the error of a
//! layer's output and gradients of the loss averaged over a batch.
