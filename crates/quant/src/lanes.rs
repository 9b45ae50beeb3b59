//! Reductions over a block, in sixteen lanes and a fixed order.
//!
//! Comparisons with NaN are false, so a NaN takes no part in a maximum; it comes back when the element itself is
//! rounded.

/// Elements handled side by side: one AVX-512 register of f32.
pub(crate) const LANES: usize = 16;

#[inline(always)]
pub(crate) fn max(kept: f32, new: f32) -> f32 {
    if new > kept { new } else { kept }
}

#[inline(always)]
fn min(kept: f32, new: f32) -> f32 {
    if new < kept { new } else { kept }
}

/// Folds sixteen lanes in halves.
#[inline(always)]
fn fold(mut lanes: [f32; LANES], op: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = op(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Largest |w| of a block; 0 for an empty one.
#[inline(always)]
pub(crate) fn abs_max(block: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, tail) = block.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = max(lanes[i], chunk[i].abs());
        }
    }
    for (lane, w) in lanes.iter_mut().zip(tail) {
        *lane = max(*lane, w.abs());
    }
    fold(lanes, max)
}

/// Smallest and largest w of a block and 0: the range that asymmetric formats cover.
#[inline(always)]
pub(crate) fn range_with_zero(block: &[f32]) -> (f32, f32) {
    let (mut low, mut high) = ([0.0; LANES], [0.0; LANES]);
    let (chunks, tail) = block.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            low[i] = min(low[i], chunk[i]);
            high[i] = max(high[i], chunk[i]);
        }
    }
    for (i, w) in tail.iter().enumerate() {
        low[i] = min(low[i], *w);
        high[i] = max(high[i], *w);
    }
    (fold(low, min), fold(high, max))
}
