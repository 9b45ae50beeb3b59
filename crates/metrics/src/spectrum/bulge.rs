//! A band matrix to tridiagonal form, by chasing bulges down the band (Lang 1993).

use multiversion::multiversion;

/// Sub-diagonals of the band: four registers of the widest kind per column.
pub(super) const WIDTH: usize = 32;
/// Rows kept per column: the band and the bulges, which never reach farther.
const DEPTH: usize = 2 * WIDTH;
/// From a column's row i to the next column's row i.
const STRIDE: usize = DEPTH - 1;

/// One column of a block, or one row.
type Vector = [f64; WIDTH];

/// `BELOW[j][i]` is 1 for i > j and 0 otherwise: what of column j of a block on the diagonal lies below it.
static BELOW: [Vector; WIDTH] = {
    let mut mask = [[0.0; WIDTH]; WIDTH];
    let mut j = 0;
    while j < WIDTH {
        let mut i = j + 1;
        while i < WIDTH {
            mask[j][i] = 1.0;
            i += 1;
        }
        j += 1;
    }
    mask
};

/// Numbers a strip of this order holds.
pub(super) const fn strip_len(order: usize) -> usize {
    DEPTH * (order + DEPTH + 1)
}

/// The lower half of a symmetric band matrix: row i of column j at `j * DEPTH + i - j`. Zeros follow the last column, so
/// that every block is whole.
pub(super) struct Strip {
    order: usize,
    values: Vec<f64>,
}

impl Strip {
    /// Zeros.
    pub(super) fn new(order: usize) -> Self {
        Self { order, values: vec![0.0; strip_len(order)] }
    }

    /// Sets entry (i, j), `j <= i <= j + WIDTH`.
    pub(super) fn set(&mut self, i: usize, j: usize, value: f64) {
        self.values[j * STRIDE + i] = value;
    }

    /// Diagonal and sub-diagonal of the tridiagonal form.
    pub(super) fn tridiagonalise(mut self) -> (Vec<f64>, Vec<f64>) {
        for column in 0..self.order.saturating_sub(2) {
            chase(&mut self.values, column, self.order);
        }
        let at = |i: usize, j: usize| self.values[j * STRIDE + i];
        ((0..self.order).map(|i| at(i, i)).collect(), (1..self.order).map(|i| at(i, i - 1)).collect())
    }
}

/// `I - tau v v^T` that maps a vector to `beta e_0`.
struct Reflector {
    v: Vector,
    tau: f64,
    beta: f64,
}

impl Reflector {
    fn of(x: &Vector) -> Self {
        let tail: f64 = x[1..].iter().map(|x| x * x).sum();
        let mut v = *x;
        v[0] = 1.0;
        if tail == 0.0 {
            return Self { v, tau: 0.0, beta: x[0] };
        }
        let beta = -(x[0] * x[0] + tail).sqrt().copysign(x[0]);
        let scale = 1.0 / (x[0] - beta);
        v[1..].iter_mut().for_each(|x| *x *= scale);
        Self { v, tau: (beta - x[0]) / beta, beta }
    }
}

fn column(values: &[f64], at: usize) -> Vector {
    let mut out = [0.0; WIDTH];
    out.copy_from_slice(&values[at..at + WIDTH]);
    out
}

/// Brings one column to tridiagonal form and pushes what that spills over down the band, block by block, off its end.
#[multiversion(targets(
    "x86_64+avx+avx2+fma+avx512f+avx512vl+avx512dq+avx512bw",
    "x86_64+avx+avx2+fma",
    "aarch64+neon"
))]
fn chase(values: &mut [f64], first: usize, order: usize) {
    let mut row = first + 1;
    let at = first * STRIDE + row;
    let mut reflector = Reflector::of(&column(values, at));
    values[at..at + WIDTH].fill(0.0);
    values[at] = reflector.beta;
    loop {
        reflect_diagonal_block(&mut values[row * STRIDE + row..], &reflector);
        let below = row + WIDTH;
        if below >= order {
            return;
        }
        reflector = reflect_block_below(&mut values[row * STRIDE + below..], &reflector);
        row = below;
    }
}

/// `H D H` for a symmetric block of which the lower half is stored; `block` begins at its first entry.
#[inline(always)]
fn reflect_diagonal_block(block: &mut [f64], reflector: &Reflector) {
    let Reflector { v, tau, .. } = reflector;
    if *tau == 0.0 {
        return;
    }
    let mut w = [0.0; WIDTH];
    for j in 0..WIDTH {
        let entries = column(block, j * STRIDE);
        let mut dot = [0.0; 8];
        for i in 0..WIDTH {
            let below = entries[i] * BELOW[j][i];
            w[i] += v[j] * below;
            dot[i % 8] += below * v[i];
        }
        w[j] += entries[j] * v[j] + dot.iter().sum::<f64>();
    }
    let mut inner = 0.0;
    for i in 0..WIDTH {
        w[i] *= tau;
        inner += w[i] * v[i];
    }
    let half = 0.5 * tau * inner;
    for i in 0..WIDTH {
        w[i] -= half * v[i];
    }
    for j in 0..WIDTH {
        let entries: &mut [f64] = &mut block[j * STRIDE..j * STRIDE + WIDTH];
        let diagonal = entries[j] - 2.0 * v[j] * w[j];
        for i in 0..WIDTH {
            entries[i] -= BELOW[j][i] * (v[i] * w[j] + w[i] * v[j]);
        }
        entries[j] = diagonal;
    }
}

/// `E H`, then the reflection H' that clears the first column of the result below its first entry, then `H' E H`.
#[inline(always)]
fn reflect_block_below(block: &mut [f64], reflector: &Reflector) -> Reflector {
    let Reflector { v, tau, .. } = reflector;
    let mut u = [0.0; WIDTH];
    for j in 0..WIDTH {
        let entries = column(block, j * STRIDE);
        for i in 0..WIDTH {
            u[i] += v[j] * entries[i];
        }
    }
    let mut first = column(block, 0);
    for i in 0..WIDTH {
        u[i] *= tau;
        first[i] -= u[i] * v[0];
    }
    let next = Reflector::of(&first);
    block[..WIDTH].fill(0.0);
    block[0] = next.beta;
    for j in 1..WIDTH {
        let mut entries = column(block, j * STRIDE);
        let mut dot = [0.0; 8];
        for i in 0..WIDTH {
            entries[i] -= u[i] * v[j];
            dot[i % 8] += entries[i] * next.v[i];
        }
        let along = next.tau * dot.iter().sum::<f64>();
        for i in 0..WIDTH {
            block[j * STRIDE + i] = entries[i] - along * next.v[i];
        }
    }
    next
}
