//! Sums over the rows of a tap, one sweep for everything that is asked of it.
//!
//! Everything is f64 from the first product on, in fixed lanes, so that a sum is the same to the bit whatever
//! instructions the machine has and whichever thread runs it.

use multiversion::multiversion;
use tomo_model::engine::Rows;

/// Entries handled side by side.
const LANES: usize = 16;
/// Columns widened at a time; 4 KiB of f64.
const BLOCK: usize = 512;

/// What a sweep over inputs shall give.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct InputDemand {
    /// Sum of squares of every column.
    pub(crate) columns: bool,
    /// Sum of every column.
    pub(crate) signed: bool,
    /// Sums of x, x^3 and x^4.
    pub(crate) moments: bool,
    /// Square of the norm of every row.
    pub(crate) norms: bool,
}

/// Sums over the inputs of one sequence; what was not asked for is empty or 0.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct InputSweep {
    pub(crate) tokens: usize,
    /// Sums of x, x^2, x^3, x^4 over tokens and columns.
    pub(crate) powers: [f64; 4],
    /// `[n]`.
    pub(crate) columns2: Vec<f64>,
    /// `[n]`.
    pub(crate) columns: Vec<f64>,
    /// `[T]`.
    pub(crate) norms2: Vec<f64>,
}

/// Sums over the inputs of one sequence.
pub(crate) fn inputs(rows: Rows<'_>, demand: InputDemand) -> InputSweep {
    let mut sweep = InputSweep { tokens: rows.len(), ..InputSweep::default() };
    if demand.columns {
        sweep.columns2 = vec![0.0; rows.cols()];
    }
    if demand.signed {
        sweep.columns = vec![0.0; rows.cols()];
    }
    if demand.norms {
        sweep.norms2 = vec![0.0; rows.len()];
    }
    sweep_inputs(rows, demand, &mut sweep);
    sweep
}

#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
fn sweep_inputs(rows: Rows<'_>, demand: InputDemand, sweep: &mut InputSweep) {
    let mut wide = [0.0; BLOCK];
    let (mut ones, mut cubes, mut fourths) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let mut total2 = 0.0;
    for (t, row) in rows.iter().enumerate() {
        let mut norm2 = [0.0; LANES];
        for (at, part) in row.chunks(BLOCK).enumerate() {
            widen(part, &mut wide);
            fold(&mut norm2, &wide, |sum, x| sum + x * x);
            if demand.columns {
                let columns = &mut sweep.columns2[at * BLOCK..][..part.len()];
                columns.iter_mut().zip(&wide).for_each(|(sum, x)| *sum += x * x);
            }
            if demand.signed {
                let columns = &mut sweep.columns[at * BLOCK..][..part.len()];
                columns.iter_mut().zip(&wide).for_each(|(sum, x)| *sum += x);
            }
            if demand.moments {
                fold(&mut ones, &wide, |sum, x| sum + x);
                fold(&mut cubes, &wide, |sum, x| sum + x * x * x);
                fold(&mut fourths, &wide, |sum, x| sum + (x * x) * (x * x));
            }
        }
        let norm2 = total(&norm2);
        total2 += norm2;
        if demand.norms {
            sweep.norms2[t] = norm2;
        }
    }
    sweep.powers = [total(&ones), total2, total(&cubes), total(&fourths)];
}

/// `||y_t - bias||^2` of every row.
#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
pub(crate) fn norms2_without(rows: Rows<'_>, bias: Option<&[f32]>) -> Vec<f64> {
    let mut wide = [0.0; BLOCK];
    let mut norms2 = Vec::with_capacity(rows.len());
    for row in rows.iter() {
        let mut norm2 = [0.0; LANES];
        for (at, part) in row.chunks(BLOCK).enumerate() {
            widen(part, &mut wide);
            if let Some(bias) = bias {
                wide.iter_mut().zip(&bias[at * BLOCK..][..part.len()]).for_each(|(y, b)| *y -= f64::from(*b));
            }
            fold(&mut norm2, &wide, |sum, y| sum + y * y);
        }
        norms2.push(total(&norm2));
    }
    norms2
}

/// How vectors compare with others, token by token.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Comparison {
    /// Sum of `||a|| / ||h||`, and over how many tokens.
    pub(crate) ratio: (f64, f64),
    /// Sum of `cos(a, h)`, and over how many tokens.
    pub(crate) cosine: (f64, f64),
}

/// Compares each row of `a` with the same row of `h`.
#[multiversion(
    targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
    dispatcher = "direct"
)]
pub(crate) fn compare(a: Rows<'_>, h: Rows<'_>) -> Comparison {
    let mut comparison = Comparison::default();
    let (mut wide_a, mut wide_h) = ([0.0; BLOCK], [0.0; BLOCK]);
    for (a, h) in a.iter().zip(h.iter()) {
        let (mut aa, mut hh, mut ah) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for (a, h) in a.chunks(BLOCK).zip(h.chunks(BLOCK)) {
            widen(a, &mut wide_a);
            widen(h, &mut wide_h);
            fold(&mut aa, &wide_a, |sum, x| sum + x * x);
            fold(&mut hh, &wide_h, |sum, x| sum + x * x);
            let (chunks_a, _) = wide_a.as_chunks::<LANES>();
            let (chunks_h, _) = wide_h.as_chunks::<LANES>();
            for (x, y) in chunks_a.iter().zip(chunks_h) {
                for i in 0..LANES {
                    ah[i] += x[i] * y[i];
                }
            }
        }
        let (aa, hh, ah) = (total(&aa).sqrt(), total(&hh).sqrt(), total(&ah));
        if hh != 0.0 {
            comparison.ratio.0 += aa / hh;
            comparison.ratio.1 += 1.0;
            if aa != 0.0 {
                comparison.cosine.0 += ah / aa / hh;
                comparison.cosine.1 += 1.0;
            }
        }
    }
    comparison
}

/// Copies up to [`BLOCK`] entries to f64; zeros behind a short block change no sum.
#[inline(always)]
fn widen(part: &[f32], wide: &mut [f64; BLOCK]) {
    for (x, value) in wide.iter_mut().zip(part) {
        *x = f64::from(*value);
    }
    wide[part.len()..].fill(0.0);
}

/// Folds a block into the lanes of one sum.
#[inline(always)]
fn fold(into: &mut [f64; LANES], block: &[f64; BLOCK], step: impl Fn(f64, f64) -> f64) {
    let mut lanes = *into;
    let (chunks, _) = block.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = step(lanes[i], chunk[i]);
        }
    }
    *into = lanes;
}

#[inline(always)]
fn total(lanes: &[f64; LANES]) -> f64 {
    lanes.iter().sum()
}
