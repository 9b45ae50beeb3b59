//! What the formulas of gradient metrics read.

/// Sums over the sequences of a text (or of a resample of it). Gradients in them are those of the *sum* of the losses of a
/// sequence's scored tokens, in nats; `g_t` is the gradient to a cell's output `y_t`.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize, serde::Deserialize, Default)]
pub struct GradientSums {
    /// Scored tokens N; a sum over them divided by this is the gradient of L.
    pub tokens: f64,
    /// Sequences that have scored tokens.
    pub sequences: f64,
    /// `sum_t g_t . (y_t - b)`, b being the bias; equal to `<W, G>`.
    pub product: f64,
    /// `sum_t g_t . (0 - y_t)`.
    pub zero: f64,
    /// `sum_s ||G_s / N_s||_F^2`, G_s being the gradient to W of sequence s and N_s its scored tokens.
    pub squares: f64,
    /// `sum_t g_t . (m - y_t)`, m being the mean of y over the whole text.
    pub mean: f64,
    /// `sum_t g_t . (y'_t - y_t)`, y' being the output of the next sequence.
    pub resample: f64,
}

impl GradientSums {
    /// Adds `times` the sums of another.
    pub(crate) fn add(&mut self, times: f64, other: &Self) {
        self.tokens += times * other.tokens;
        self.sequences += times * other.sequences;
        self.product += times * other.product;
        self.zero += times * other.zero;
        self.squares += times * other.squares;
        self.mean += times * other.mean;
        self.resample += times * other.resample;
    }
}

/// What the gradient of L to all weights of a cell, `G = dL/dW`, amounts to. L is the mean loss of the scored tokens.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct WholeGradient {
    /// `sum_ij |W_ij G_ij|`.
    pub taylor: f64,
    /// The same, all cells of the model together.
    pub model_taylor: f64,
    /// `||G||_F`.
    pub norm: f64,
    /// `||W||_F`.
    pub weight_norm: f64,
}
