//! Statistics of predicted KL: from what reverse passes with drawn labels gave of each cell to nats per token, with
//! intervals, for cells, pairs and sets of cells.
//!
//! To second order `KL(full || changed) = 1/2 E[u^2]` over a sequence, with `u = sum_t g_t . dy_t` over the whole
//! sequence, g the gradients of the negative log likelihood of labels drawn from the model itself. One draw of one
//! sequence gives one u of every cell, so u^2 has the noise of a chi square with one degree of freedom: a mean over n of
//! them is off by about sqrt(2 / n).
//!
//! [`Draws::predict`] gets below that with a control: the sum of squares over short blocks of tokens, `v = sum_b (sum_{t in b}
//! c_t)^2` with `c_t = g_t . dy_t` (blocks of one token are the form most often used). It leaves out what tokens far apart do together, so it
//! is biased, but far less noisy. Its bias depends on the component and changes slowly with depth; the ratio of the two is
//! fitted there, and each cell's own ratio is believed as far as its noise and the spread of the cells around the curve say
//! (empirical Bayes; Efron & Morris 1973). With many draws the estimate is the plain mean.

mod curve;
mod draws;
mod estimate;
mod truncation;

pub use draws::{Draws, DrawsError, SetKl};
pub use estimate::{Control, PredictedKl, Prediction};
pub use truncation::{most_nats, truncation_sd};
