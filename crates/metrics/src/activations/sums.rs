//! What activation metrics are computed from.

use tomo_map::CellId;

/// Sums over tokens of what one cell reads and writes: of one sequence, or of several added up. All f64.
///
/// x_t is the cell's input at token t, `[n]`; y_t = W x_t its output without bias, `[m]`; h the residual stream and a what the
/// cell's sublayer adds to it. Of an expert's cell only the tokens routed to it count.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sums {
    /// Tokens the cell read.
    pub tokens: f64,
    /// Sum of x over tokens and columns; likewise the next three.
    pub input: f64,
    /// Sum of x^2.
    pub input2: f64,
    /// Sum of x^3.
    pub input3: f64,
    /// Sum of x^4.
    pub input4: f64,
    /// Sum of `||y_t||^2`.
    pub output2: f64,
    /// Sum of `||y_t|| / ||x_t||` over the tokens whose input is not zero.
    pub gain: f64,
    /// How many tokens those are.
    pub gain_tokens: f64,
    /// Sum of `||a_t|| / ||h_t||` over tokens whose h is not zero; of the sublayer that the cell ends.
    pub write_ratio: f64,
    /// How many tokens those are.
    pub write_ratio_tokens: f64,
    /// Sum of `cos(a_t, h_t)` over tokens where neither is zero.
    pub write_cosine: f64,
    /// How many tokens those are.
    pub write_cosine_tokens: f64,
    /// Sum of `cos(h_t before the block, h_t after it)` over tokens where neither is zero.
    pub block_cosine: f64,
    /// How many tokens those are.
    pub block_tokens: f64,
    /// Tokens sent to the cell's expert.
    pub sent: f64,
    /// Tokens of all the layer's experts together: each token counts once for every expert it is sent to.
    pub routed: f64,
}

impl Sums {
    /// Adds `times` times `other`.
    pub(crate) fn add(&mut self, times: f64, other: &Self) {
        let Self {
            tokens,
            input,
            input2,
            input3,
            input4,
            output2,
            gain,
            gain_tokens,
            write_ratio,
            write_ratio_tokens,
            write_cosine,
            write_cosine_tokens,
            block_cosine,
            block_tokens,
            sent,
            routed,
        } = other;
        self.tokens += times * tokens;
        self.input += times * input;
        self.input2 += times * input2;
        self.input3 += times * input3;
        self.input4 += times * input4;
        self.output2 += times * output2;
        self.gain += times * gain;
        self.gain_tokens += times * gain_tokens;
        self.write_ratio += times * write_ratio;
        self.write_ratio_tokens += times * write_ratio_tokens;
        self.write_cosine += times * write_cosine;
        self.write_cosine_tokens += times * write_cosine_tokens;
        self.block_cosine += times * block_cosine;
        self.block_tokens += times * block_tokens;
        self.sent += times * sent;
        self.routed += times * routed;
    }
}

/// What a formula may ask of the cell itself.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CellFacts {
    /// Which cell.
    pub id: CellId,
    /// Output features m.
    pub rows: f64,
    /// Input features n.
    pub cols: f64,
    /// `||W||_F`, where [`Reads::norm`](crate::Reads::norm) asks for it; else NaN.
    pub frobenius: f64,
    /// Experts in the cell's layer; 0 for a dense one.
    pub experts: f64,
}

/// What the magnitudes `s_ij = |W_ij| sqrt(A_j)` of a cell say.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Salience {
    /// Mean of s over all weights.
    pub mean: f64,
    /// Share of weights with `s > M mean`, M being [`Options::outlier_factor`](crate::Options::outlier_factor); NaN unless
    /// [`Reads::outliers`](crate::Reads::outliers) asks for it.
    pub outlier_share: f64,
}
