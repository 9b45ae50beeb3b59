//! Random numbers by counter: a draw depends on the words that name it, and on nothing that was drawn before.

/// Mixes `word` into `state` with the finalizer of SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) fn mix(state: u64, word: u64) -> u64 {
    let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in (0, 1) that depends on `words` alone.
pub(crate) fn uniform(words: [u64; 4]) -> f64 {
    let state = words.into_iter().fold(0, mix);
    ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}
