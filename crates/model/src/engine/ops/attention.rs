//! Causal attention of one sequence.

use rayon::prelude::*;

use crate::engine::Rows;

/// The shape and switches of attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    /// H.
    pub(crate) heads: usize,
    /// K; divides H.
    pub(crate) kv_heads: usize,
    /// C.
    pub(crate) head_dim: usize,
    /// Multiplier of `q . k`.
    pub(crate) scale: f32,
    /// `cap * tanh(score / cap)`.
    pub(crate) softcap: Option<f32>,
    /// A token sees itself and the `window - 1` before it.
    pub(crate) window: Option<usize>,
}

/// `out = softmax(scale q k^T + causal mask) v` for one sequence: q `[T, H*C]`, k and v `[T, K*C]`, out `[T, H*C]` dense.
pub(crate) fn attention(shape: Heads, q: Rows<'_>, k: Rows<'_>, v: Rows<'_>, out: &mut [f32]) {
    let Heads { heads, kv_heads, head_dim, scale, softcap, window } = shape;
    let group = heads / kv_heads;
    out.par_chunks_mut(heads * head_dim).enumerate().for_each(|(t, out)| {
        let first = window.map_or(0, |w| (t + 1).saturating_sub(w));
        let mut scores = vec![0.0_f32; t + 1 - first];
        for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
            let (own, shared) = (head * head_dim, head / group * head_dim);
            let query = &q.row(t)[own..own + head_dim];
            for (score, s) in scores.iter_mut().zip(first..) {
                let key = &k.row(s)[shared..shared + head_dim];
                let dot = scale * query.iter().zip(key).map(|(a, b)| a * b).sum::<f32>();
                *score = softcap.map_or(dot, |cap| cap * (dot / cap).tanh());
            }
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scores.iter_mut().for_each(|s| *s = (*s - top).exp());
            let sum: f32 = scores.iter().sum();
            out.fill(0.0);
            for (score, s) in scores.iter().zip(first..) {
                let value = &v.row(s)[shared..shared + head_dim];
                out.iter_mut().zip(value).for_each(|(o, v)| *o += score / sum * v);
            }
        }
    });
}
