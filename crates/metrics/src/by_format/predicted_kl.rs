//! # Measures
//! What storing the cell in a number format costs, the one that the metric's id ends with: the divergence of the
//! changed model's predictions from the model's own, predicted from gradients alone.
//!
//! # Formula
//! `KL(p || p') = 1/2 E[u^2] / N` to second order, `u = sum_t g_t . dy_t` over a *whole* sequence, `dy_t = (Q(W) - W)
//! x_t` with Q the format; g is the gradient of the negative log likelihood, in nats, of labels that are drawn
//! from the model itself, one for every scored position; E is the mean over draws, summed over sequences; N the scored
//! tokens. The mean of u^2 is combined with a sum of squares over blocks of 8 tokens, which is biased and far less noisy:
//! their ratio is smoothed over depth, component by component, as far as the draws leave it open. The interval is made of
//! what the draws leave open and of what orders above the second were found to add (docs/predicted-kl.md).
//!
//! # Unit
//! Nats per token.
//!
//! # Direction
//! High = fragile.
//!
//! # Cost
//! A reverse pass of output gradients per draw (`--draws`; 96 over the number of sequences unless said), all in one
//! sweep; the matrix rounded, and one product with the inputs, shared by all draws and `quant-taylor-…` of the same format.
//!
//! # Misleads when
//! The change is too large to be of second order; it says so where it can see that. Draws are few: its relative noise
//! is about the root of 2 over draws times sequences. It is the cost of this cell alone: changes of several cells
//! interact.
//!
//! # Source
//! Second-order expansion of the Kullback-Leibler divergence in the Fisher information (Amari 1998); Fisher with the
//! model's own labels rather than the text's, as in Kunstner et al. 2019, arXiv 1905.12558. The same curvature rounds
//! weights in YAQA, arXiv 2505.22988.
