use tomo_blocks::dispatch::{Dispatch, Kernel, run};

use crate::lanes::{LANES, abs_max};
use crate::matrix::{Matrix, ShapeError};

/// How a format rounds. `scale` sees one block at a time, `round` one weight at a time; both are `#[inline(always)]`
/// and free of branches per element, so that they vectorise.
pub(crate) trait Codec: Copy + Send + Sync {
    /// What a block shares.
    type Scale: Copy;
    /// How rows are cut.
    const CUT: Cut;
    /// Whether `amax` of [`Codec::scale`] is the largest |w| of the matrix; otherwise it is 0.
    const NEEDS_AMAX: bool = false;

    fn scale(&self, block: &[f32], amax: f32) -> Self::Scale;
    fn round(&self, scale: Self::Scale, w: f32) -> f32;
    /// Bits stored per element, and per block.
    fn stored_bits(&self) -> (u32, u32);
}

/// How the blocks of a format lie along a row. The last one may be short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// Blocks of 16.
    By16,
    /// Blocks of 32.
    By32,
    /// Blocks of 64.
    By64,
    /// Blocks of the group size asked for.
    ByGroup,
    /// The row is one block.
    Row,
}

impl Cut {
    /// Weights of a full block in a row of `cols`.
    pub(crate) fn length(self, cols: usize, group: usize) -> usize {
        match self {
            Self::By16 => 16,
            Self::By32 => 32,
            Self::By64 => 64,
            Self::ByGroup => group.max(1),
            Self::Row => cols.max(1),
        }
    }
}

/// Squared norms of a rounding error and of what was rounded, in f64.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ErrorSums {
    /// `||W - Q(W)||_F^2`; NaN when the format has no number for a weight.
    pub error2: f64,
    /// `||W||_F^2`.
    pub weight2: f64,
}

impl ErrorSums {
    /// `||W - Q(W)||_F / ||W||_F`; NaN for a matrix of zeros and wherever a sum is not finite.
    pub fn relative(&self) -> f64 {
        (self.error2 / self.weight2).sqrt()
    }
}

/// Rounds one row.
#[inline(always)]
fn round_row<C: Codec>(codec: C, amax: f32, group: usize, row: &[f32], out: &mut [f32]) {
    match C::CUT {
        Cut::By16 => round_blocks::<C, 16>(codec, amax, row, out),
        Cut::By32 => round_blocks::<C, 32>(codec, amax, row, out),
        Cut::By64 => round_blocks::<C, 64>(codec, amax, row, out),
        Cut::ByGroup if group == 128 => round_blocks::<C, 128>(codec, amax, row, out),
        cut => {
            let length = cut.length(row.len(), group);
            for (block, out) in row.chunks(length).zip(out.chunks_mut(length)) {
                round_block(codec, amax, block, out);
            }
        }
    }
}

/// As the general case, for a block length the compiler knows.
#[inline(always)]
fn round_blocks<C: Codec, const N: usize>(codec: C, amax: f32, row: &[f32], out: &mut [f32]) {
    let (blocks, short) = row.as_chunks::<N>();
    let (out_blocks, out_short) = out.as_chunks_mut::<N>();
    for (block, out) in blocks.iter().zip(out_blocks) {
        if N <= SHORT {
            round_short_block(codec, amax, block, out);
        } else {
            round_block(codec, amax, block, out);
        }
    }
    if !short.is_empty() {
        round_block(codec, amax, short, out_short);
    }
}

/// A block as one plain loop, which compilers turn into the widest registers and unroll.
#[inline(always)]
fn round_block<C: Codec>(codec: C, amax: f32, block: &[f32], out: &mut [f32]) {
    let scale = codec.scale(block, amax);
    for (place, w) in out.iter_mut().zip(block) {
        *place = codec.round(scale, *w);
    }
}

/// Longest block that is rounded sixteen weights at a time: a loop this short is unrolled before it is vectorised.
const SHORT: usize = 64;

/// As [`round_block`] for a multiple of sixteen weights: each sixteen are read whole before any is written.
#[inline(always)]
fn round_short_block<C: Codec>(codec: C, amax: f32, block: &[f32], out: &mut [f32]) {
    let scale = codec.scale(block, amax);
    let (chunks, _) = block.as_chunks::<LANES>();
    let (out_chunks, _) = out.as_chunks_mut::<LANES>();
    for (place, chunk) in out_chunks.iter_mut().zip(chunks) {
        let mut rounded = [0.0; LANES];
        for i in 0..LANES {
            rounded[i] = codec.round(scale, chunk[i]);
        }
        *place = rounded;
    }
}

#[inline(always)]
fn amax_if_needed<C: Codec>(matrix: &Matrix<'_>) -> f32 {
    if C::NEEDS_AMAX { abs_max(matrix.values()) } else { 0.0 }
}

/// Adds up the errors of a format row by row, without storing what it makes of the matrix.
struct Error2Kernel<'a, C> {
    codec: C,
    matrix: Matrix<'a>,
}

impl<C: Codec> Kernel for Error2Kernel<'_, C> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let Self { codec, matrix } = self;
        let amax = amax_if_needed::<C>(&matrix);
        let mut rounded = vec![0.0; matrix.cols().min(matrix.values().len())];
        let mut sums = [0.0; LANES];
        for row in matrix.values().chunks_exact(matrix.cols()) {
            round_row(codec, amax, matrix.group(), row, &mut rounded);
            add_squares(&mut sums, row, &rounded);
        }
        sums.iter().sum()
    }
}

/// Adds up the errors of a format column by column.
struct ColumnError2Kernel<'a, 'b, C> {
    codec: C,
    matrix: Matrix<'a>,
    /// One per column.
    sums: &'b mut [f64],
}

impl<C: Codec> Kernel for ColumnError2Kernel<'_, '_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { codec, matrix, sums } = self;
        let amax = amax_if_needed::<C>(&matrix);
        let mut rounded = vec![0.0; matrix.cols().min(matrix.values().len())];
        for row in matrix.values().chunks_exact(matrix.cols()) {
            round_row(codec, amax, matrix.group(), row, &mut rounded);
            for ((sum, w), q) in sums.iter_mut().zip(row).zip(&rounded) {
                let error = f64::from(w - q);
                *sum += error * error;
            }
        }
    }
}

/// Adds up the squares of a matrix.
struct Weight2Kernel<'a> {
    matrix: Matrix<'a>,
}

impl Kernel for Weight2Kernel<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        const ZEROS: [f32; 512] = [0.0; 512];
        let mut sums = [0.0; LANES];
        for block in self.matrix.values().chunks(ZEROS.len()) {
            add_squares(&mut sums, block, &ZEROS[..block.len()]);
        }
        sums.iter().sum()
    }
}

/// Adds `(w - q)^2` to the lane of each place. The difference is taken in f32, where it is exact for what is rounded to
/// nearest: q is 0 or within a factor of two of w (Sterbenz).
#[inline(always)]
fn add_squares(sums: &mut [f64; LANES], weights: &[f32], rounded: &[f32]) {
    let (weights, weights_tail) = weights.as_chunks::<LANES>();
    let (rounded, rounded_tail) = rounded.as_chunks::<LANES>();
    let mut lanes = *sums;
    for (w, q) in weights.iter().zip(rounded) {
        for i in 0..LANES {
            let error = f64::from(w[i] - q[i]);
            lanes[i] += error * error;
        }
    }
    for (lane, (w, q)) in lanes.iter_mut().zip(weights_tail.iter().zip(rounded_tail)) {
        let error = f64::from(w - q);
        *lane += error * error;
    }
    *sums = lanes;
}

/// Writes what a format makes of the matrix.
struct RoundtripKernel<'a, 'b, C> {
    codec: C,
    matrix: Matrix<'a>,
    out: &'b mut [f32],
}

impl<C: Codec> Kernel for RoundtripKernel<'_, '_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { codec, matrix, out } = self;
        let amax = amax_if_needed::<C>(&matrix);
        for (row, out) in matrix.values().chunks_exact(matrix.cols()).zip(out.chunks_exact_mut(matrix.cols())) {
            round_row(codec, amax, matrix.group(), row, out);
        }
    }
}

/// The squared Frobenius norm of a matrix.
pub(crate) fn weight2(matrix: &Matrix<'_>, dispatch: Dispatch) -> f64 {
    run(dispatch, Weight2Kernel { matrix: *matrix })
}

/// A format whose kind is forgotten: what a registry entry holds. Shapes were checked.
pub(crate) trait Simulate: Sync {
    fn error2(&self, matrix: &Matrix<'_>, dispatch: Dispatch) -> f64;
    /// `sums` has one place per column, to which it adds.
    fn column_error2(&self, matrix: &Matrix<'_>, sums: &mut [f64], dispatch: Dispatch);
    /// `out` is as long as the matrix.
    fn roundtrip(&self, matrix: &Matrix<'_>, out: &mut [f32], dispatch: Dispatch);
    fn bits_per_weight(&self, cols: usize, group: usize) -> f64;
    /// Whether the group size is the caller's to choose.
    fn takes_group(&self) -> bool {
        false
    }
    /// Whether the format has something for rows of so many columns.
    fn check(&self, _cols: usize) -> Result<(), ShapeError> {
        Ok(())
    }
}

impl<C: Codec> Simulate for C {
    fn error2(&self, matrix: &Matrix<'_>, dispatch: Dispatch) -> f64 {
        run(dispatch, Error2Kernel { codec: *self, matrix: *matrix })
    }

    fn column_error2(&self, matrix: &Matrix<'_>, sums: &mut [f64], dispatch: Dispatch) {
        run(dispatch, ColumnError2Kernel { codec: *self, matrix: *matrix, sums });
    }

    fn roundtrip(&self, matrix: &Matrix<'_>, out: &mut [f32], dispatch: Dispatch) {
        run(dispatch, RoundtripKernel { codec: *self, matrix: *matrix, out });
    }

    fn bits_per_weight(&self, cols: usize, group: usize) -> f64 {
        let (element, block) = self.stored_bits();
        let blocks = cols.div_ceil(C::CUT.length(cols, group));
        f64::from(element) + f64::from(block) * blocks as f64 / cols.max(1) as f64
    }

    fn takes_group(&self) -> bool {
        C::CUT == Cut::ByGroup
    }
}
