use crate::dispatch::{Dispatch, Kernel, run};
use crate::lanes::{LANES, abs_max};
use crate::matrix::Matrix;

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

/// Sixteen lanes of running sums; the lane of a weight is its place in its block modulo 16.
#[derive(Clone, Copy, Default)]
struct LaneSums {
    error2: [f64; LANES],
    weight2: [f64; LANES],
}

impl LaneSums {
    #[inline(always)]
    fn add_block<C: Codec>(mut self, codec: C, block: &[f32], amax: f32) -> Self {
        let scale = codec.scale(block, amax);
        let (chunks, tail) = block.as_chunks::<LANES>();
        for chunk in chunks {
            let mut rounded = [0.0; LANES];
            for i in 0..LANES {
                rounded[i] = codec.round(scale, chunk[i]);
            }
            for i in 0..LANES {
                self.add(i, chunk[i], rounded[i]);
            }
        }
        for (i, w) in tail.iter().enumerate() {
            self.add(i, *w, codec.round(scale, *w));
        }
        self
    }

    #[inline(always)]
    fn add(&mut self, lane: usize, weight: f32, rounded: f32) {
        let (weight, rounded) = (f64::from(weight), f64::from(rounded));
        let error = weight - rounded;
        self.error2[lane] += error * error;
        self.weight2[lane] += weight * weight;
    }
}

/// Sums the errors of a format without storing what it makes of the matrix.
struct ErrorKernel<'a, C> {
    codec: C,
    matrix: Matrix<'a>,
}

impl<C: Codec> Kernel for ErrorKernel<'_, C> {
    type Output = ErrorSums;

    #[inline(always)]
    fn run(self) -> ErrorSums {
        let Self { codec, matrix } = self;
        let amax = if C::NEEDS_AMAX { abs_max(matrix.values()) } else { 0.0 };
        let mut sums = LaneSums::default();
        for row in matrix.values().chunks_exact(matrix.cols()) {
            sums = match C::CUT {
                Cut::By16 => error_of_fixed::<C, 16>(codec, row, amax, sums),
                Cut::By32 => error_of_fixed::<C, 32>(codec, row, amax, sums),
                Cut::By64 => error_of_fixed::<C, 64>(codec, row, amax, sums),
                Cut::ByGroup if matrix.group() == 128 => error_of_fixed::<C, 128>(codec, row, amax, sums),
                cut => error_of_any(codec, row, amax, cut.length(matrix.cols(), matrix.group()), sums),
            };
        }
        ErrorSums { error2: sums.error2.iter().sum(), weight2: sums.weight2.iter().sum() }
    }
}

#[inline(always)]
fn error_of_any<C: Codec>(codec: C, row: &[f32], amax: f32, length: usize, mut sums: LaneSums) -> LaneSums {
    for block in row.chunks(length) {
        sums = sums.add_block(codec, block, amax);
    }
    sums
}

/// As the general case, for a block length the compiler knows.
#[inline(always)]
fn error_of_fixed<C: Codec, const N: usize>(codec: C, row: &[f32], amax: f32, mut sums: LaneSums) -> LaneSums {
    let (blocks, short) = row.as_chunks::<N>();
    for block in blocks {
        sums = sums.add_block(codec, block, amax);
    }
    if short.is_empty() { sums } else { sums.add_block(codec, short, amax) }
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
        let amax = if C::NEEDS_AMAX { abs_max(matrix.values()) } else { 0.0 };
        let length = C::CUT.length(matrix.cols(), matrix.group());
        for (row, out) in matrix.values().chunks_exact(matrix.cols()).zip(out.chunks_exact_mut(matrix.cols())) {
            for (block, out) in row.chunks(length).zip(out.chunks_mut(length)) {
                let scale = codec.scale(block, amax);
                for (place, w) in out.iter_mut().zip(block) {
                    *place = codec.round(scale, *w);
                }
            }
        }
    }
}

/// A codec whose type is forgotten: what a registry entry holds.
pub(crate) trait Simulate: Sync {
    fn error(&self, matrix: &Matrix<'_>, dispatch: Dispatch) -> ErrorSums;
    /// `out` is as long as the matrix.
    fn roundtrip(&self, matrix: &Matrix<'_>, out: &mut [f32], dispatch: Dispatch);
    fn bits_per_weight(&self, cols: usize, group: usize) -> f64;
}

impl<C: Codec> Simulate for C {
    fn error(&self, matrix: &Matrix<'_>, dispatch: Dispatch) -> ErrorSums {
        run(dispatch, ErrorKernel { codec: *self, matrix: *matrix })
    }

    fn roundtrip(&self, matrix: &Matrix<'_>, out: &mut [f32], dispatch: Dispatch) {
        run(dispatch, RoundtripKernel { codec: *self, matrix: *matrix, out });
    }

    fn bits_per_weight(&self, cols: usize, group: usize) -> f64 {
        let (element, block) = self.stored_bits();
        let blocks = cols.div_ceil(C::CUT.length(cols, group));
        f64::from(element) + f64::from(block) * blocks as f64 / cols.max(1) as f64
    }
}
