//! What types with blocks of 32 share. In a byte of two elements the low one is element i, the high one i + 16.

use crate::lanes::{LANES, each, side_by_side, sum_of_squares, truncated, weighted};
use crate::search::{Affine, symmetric};

/// Weights of a block.
pub(super) const N: usize = 32;

/// An f16 in little endian.
#[inline(always)]
pub(super) fn half_bytes(x: f32) -> [u8; 2] {
    half::f16::from_f32(x).to_le_bytes()
}

/// The value of an f16 in little endian.
#[inline(always)]
pub(super) fn half_at(bytes: [u8; 2]) -> f32 {
    half::f16::from_le_bytes(bytes).to_f32()
}

/// Hands out the blocks one by one, `B` bytes and `N` values each.
#[inline(always)]
pub(super) fn blocks<const B: usize, const N: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; B], &mut [f32; N]),
) {
    for (block, values) in bytes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        decode(block, values);
    }
}

/// The low four bits of 16 bytes, then their high four bits.
#[inline(always)]
pub(super) fn nibbles(packed: &[u8; 16]) -> [u8; N] {
    std::array::from_fn(|i| if i < 16 { packed[i] & 15 } else { packed[i - 16] >> 4 })
}

/// The inverse of [`nibbles`]; of each code the low four bits.
#[inline(always)]
pub(super) fn pack_nibbles(codes: &[u8; N]) -> [u8; 16] {
    std::array::from_fn(|i| codes[i] & 15 | codes[i + 16] << 4)
}

/// Adds bit i of `high` to element i as its fifth bit.
#[inline(always)]
pub(super) fn with_fifth_bit(low: [u8; N], high: u32) -> [u8; N] {
    std::array::from_fn(|i| low[i] | ((high >> i & 1) as u8) << 4)
}

/// The fifth bits of all codes.
#[inline(always)]
pub(super) fn fifth_bits(codes: &[u8; N]) -> u32 {
    codes.iter().enumerate().fold(0, |bits, (i, code)| bits | u32::from(code >> 4 & 1) << i)
}

/// Encodes a row as `w ~ d (code - reach)`; `write` gets d and the codes, `0..2 * reach`.
///
/// Without importances d follows from the largest |w| of the block, with them from a search.
#[inline(always)]
pub(super) fn encode_symmetric<const B: usize>(
    reach: u8,
    row: &[f32],
    importance: Option<&[f32]>,
    out: &mut [u8],
    write: impl Fn(&mut [u8; B], f32, &[u8; N]),
) {
    let out = out.as_chunks_mut::<B>().0;
    let Some(importance) = importance else {
        for (block, out) in row.as_chunks::<N>().0.iter().zip(out) {
            let (d, codes) = cover_symmetric(reach, block);
            write(out, d, &codes);
        }
        return;
    };
    let variance = [sum_of_squares(row) / row.len() as f32; LANES];
    let groups = row.chunks(LANES * N).zip(importance.chunks(LANES * N)).zip(out.chunks_mut(LANES));
    for ((row, importance), out) in groups {
        let x = side_by_side::<N>(row);
        let weights = weighted(&x, &side_by_side(importance), &variance);
        let fit = symmetric(i32::from(reach), &x, &weights);
        let codes = x.map(|x| each(|l| fit.code(l, x[l])));
        for (l, out) in out.iter_mut().enumerate() {
            write(out, fit.scale[l], &codes.map(|code| code[l] as u8));
        }
    }
}

/// The scale that puts the weight with the largest |w| on the lowest level, and the codes it gives.
#[inline(always)]
fn cover_symmetric(reach: u8, block: &[f32; N]) -> (f32, [u8; N]) {
    let largest = block.iter().fold(0.0, |largest: f32, w| if w.abs() > largest { w.abs() } else { largest });
    let signed = if largest > 0.0 { block.iter().copied().find(|w| w.abs() == largest).unwrap_or(0.0) } else { 0.0 };
    let reach_f = f32::from(reach);
    let d = signed / -reach_f;
    let inverse = if d != 0.0 { 1.0 / d } else { 0.0 };
    (d, std::array::from_fn(|i| truncated(block[i] * inverse + (reach_f + 0.5)).min(2 * reach - 1)))
}

/// Encodes a row as `w ~ d code + m`; `write` gets d, m and the codes, `0..=highest`.
///
/// Without importances d and m span the block, with them they come from a search, and m is at most 0.
#[inline(always)]
pub(super) fn encode_affine<const B: usize>(
    highest: u8,
    row: &[f32],
    importance: Option<&[f32]>,
    out: &mut [u8],
    write: impl Fn(&mut [u8; B], f32, f32, &[u8; N]),
) {
    let out = out.as_chunks_mut::<B>().0;
    let Some(importance) = importance else {
        for (block, out) in row.as_chunks::<N>().0.iter().zip(out) {
            let (d, m, codes) = cover_affine(highest, block);
            write(out, d, m, &codes);
        }
        return;
    };
    let variance = [sum_of_squares(row) / row.len() as f32; LANES];
    let search = Affine { highest: i32::from(highest), first: -0.9, step: 0.05, steps: 36, absolute: false };
    let groups = row.chunks(LANES * N).zip(importance.chunks(LANES * N)).zip(out.chunks_mut(LANES));
    for ((row, importance), out) in groups {
        let x = side_by_side::<N>(row);
        let weights = weighted(&x, &side_by_side(importance), &variance);
        let fit = search.fit(&x, &weights);
        let codes = x.map(|x| each(|l| fit.level(l, x[l])));
        for (l, out) in out.iter_mut().enumerate() {
            write(out, fit.scale[l], -fit.minimum[l], &codes.map(|code| code[l] as u8));
        }
    }
}

/// The scale and minimum that span a block, and the codes they give.
#[inline(always)]
fn cover_affine(highest: u8, block: &[f32; N]) -> (f32, f32, [u8; N]) {
    let low = block.iter().fold(f32::MAX, |low, w| if *w < low { *w } else { low });
    let high = block.iter().fold(f32::MIN, |high, w| if *w > high { *w } else { high });
    let d = (high - low) / f32::from(highest);
    let inverse = if d != 0.0 { 1.0 / d } else { 0.0 };
    (d, low, std::array::from_fn(|i| truncated((block[i] - low) * inverse + 0.5).min(highest)))
}
