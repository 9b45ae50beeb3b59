//! Sums over pairs of entries: everything linear that the metrics of a change read, in one sweep.
//!
//! Entries are widened and subtracted in f64, so that no difference and no product is rounded to f32 anywhere. Sums run in
//! fixed lanes, by fused multiply-add (which has one result wherever it runs), and are folded every 8,192 entries: the same
//! bits on every instruction set, relative errors near 1e-15.

use multiversion::multiversion;

use super::cast::bf16;

/// What the entries of dW say, whatever W0 is.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ChangeSums {
    /// Number of entries.
    pub count: f64,
    /// Sum of (w1 - w0)^2.
    pub delta2: f64,
    /// Sum of |w1 - w0|.
    pub delta_abs: f64,
}

/// What pairs of entries say.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct PairSums {
    /// What their differences say.
    pub change: ChangeSums,
    /// Sum of w0^2.
    pub base2: f64,
    /// Sum of w1^2.
    pub tuned2: f64,
    /// Sum of w0 (w1 - w0).
    pub dot: f64,
    /// Entries with w0 != w1.
    pub changed: u64,
    /// Entries whose difference, both rounded to bf16 and the difference too, is beyond 1e-5 (as bf16).
    pub changed_beyond: u64,
    /// Entries that differ as bf16.
    pub changed_bf16: u64,
    /// Entries with w0 != 0.
    pub nonzero: u64,
    /// Entries with w0 != 0 whose sign is another: the opposite, or none.
    pub flipped: u64,
}

impl PairSums {
    /// Whether every sum is a number: any entry that is not finite makes one of these infinite or NaN.
    pub(crate) fn is_finite(&self) -> bool {
        self.base2.is_finite() && self.tuned2.is_finite() && self.change.delta2.is_finite()
    }

    /// The sums over both sets of pairs.
    fn plus(self, other: Self) -> Self {
        Self {
            change: ChangeSums {
                count: self.change.count + other.change.count,
                delta2: self.change.delta2 + other.change.delta2,
                delta_abs: self.change.delta_abs + other.change.delta_abs,
            },
            base2: self.base2 + other.base2,
            tuned2: self.tuned2 + other.tuned2,
            dot: self.dot + other.dot,
            changed: self.changed + other.changed,
            changed_beyond: self.changed_beyond + other.changed_beyond,
            changed_bf16: self.changed_bf16 + other.changed_bf16,
            nonzero: self.nonzero + other.nonzero,
            flipped: self.flipped + other.flipped,
        }
    }

    /// Adds pairs of f32, of one length.
    pub(crate) fn add(&mut self, base: &[f32], tuned: &[f32]) {
        for (base, tuned) in base.chunks(RUN).zip(tuned.chunks(RUN)) {
            let run = if base == tuned { run_of_equal(base) } else { run_of_f32(base, tuned) };
            *self = self.plus(run);
        }
    }

    /// Adds pairs of bf16 as they are stored, of one length.
    pub(crate) fn add_bf16(&mut self, base: &[u8], tuned: &[u8]) {
        for (base, tuned) in base.chunks(2 * RUN).zip(tuned.chunks(2 * RUN)) {
            let run = if base == tuned { run_of_equal_bf16(base) } else { run_of_bf16(base, tuned) };
            *self = self.plus(run);
        }
    }
}

/// Sums over the pairs of two slices of one length.
pub(crate) fn sweep(base: &[f32], tuned: &[f32]) -> PairSums {
    let mut sums = PairSums::default();
    sums.add(base, tuned);
    sums
}

/// The largest difference that rounds to 1e-5 as a bf16 or less: half way to the next bf16 (ties go to the even one, which
/// 1e-5's is).
const BEYOND: f32 = f32::from_bits(0x3728_8000);

/// Entries side by side in one step: an AVX-512 register of f64.
const WIDTH: usize = 8;

/// Steps that do not wait for each other. With two, all sums stay in registers while a block goes by; with one or four,
/// compilers were seen to give up (three times slower).
const CHAINS: usize = 2;

/// One sum in lanes.
type Sum = [[f64; WIDTH]; CHAINS];

/// Entries decoded at a time.
const BLOCK: usize = 512;

/// Entries whose sums are kept in lanes before they are folded.
const RUN: usize = 16 * BLOCK;

macro_rules! for_every_machine {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> PairSums $body:block) => {
        $(#[$doc])*
        #[multiversion(
            targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c", "x86_64+avx2+fma+f16c"),
            dispatcher = "direct"
        )]
        fn $name($($arg: $type),*) -> PairSums $body
    };
}

for_every_machine! {
    /// Pairs of stored bf16.
    fn run_of_bf16(base: &[u8], tuned: &[u8]) -> PairSums {
        let mut lanes = Lanes::default();
        let (mut w0, mut w1) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (base, tuned) in base.chunks(2 * BLOCK).zip(tuned.chunks(2 * BLOCK)) {
            widen(base, &mut w0);
            widen(tuned, &mut w1);
            lanes.add(&w0, &w1);
            let changed = lanes.count(&w0, &w1);
            lanes.changed_bf16 += changed;
            lanes.beyond(&w0, &w1);
        }
        lanes.total(base.len() / 2)
    }
}

for_every_machine! {
    /// Pairs of f32.
    fn run_of_f32(base: &[f32], tuned: &[f32]) -> PairSums {
        let mut lanes = Lanes::default();
        let (mut w0, mut w1) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (base, tuned) in base.chunks(BLOCK).zip(tuned.chunks(BLOCK)) {
            // What is left of a short last block changes no sum when it is zero.
            pad(base, &mut w0);
            pad(tuned, &mut w1);
            lanes.add(&w0, &w1);
            lanes.count(&w0, &w1);
            w0.iter_mut().for_each(|w| *w = bf16(*w));
            w1.iter_mut().for_each(|w| *w = bf16(*w));
            lanes.beyond(&w0, &w1);
            lanes.changed_bf16 += differing(&w0, &w1);
        }
        lanes.total(base.len())
    }
}

for_every_machine! {
    /// Stored bf16 that are equal on both sides: all differences are 0.
    fn run_of_equal_bf16(base: &[u8]) -> PairSums {
        let mut lanes = Lanes::default();
        let mut w0 = [0.0; BLOCK];
        for base in base.chunks(2 * BLOCK) {
            widen(base, &mut w0);
            lanes.add_equal(&w0);
        }
        lanes.total(base.len() / 2)
    }
}

for_every_machine! {
    /// f32 that are equal on both sides.
    fn run_of_equal(base: &[f32]) -> PairSums {
        let mut lanes = Lanes::default();
        let mut w0 = [0.0; BLOCK];
        for base in base.chunks(BLOCK) {
            pad(base, &mut w0);
            lanes.add_equal(&w0);
        }
        lanes.total(base.len())
    }
}

/// Up to a block of stored bf16; zeros after them.
#[inline(always)]
fn widen(bytes: &[u8], out: &mut [f32; BLOCK]) {
    let (pairs, _) = bytes.as_chunks::<2>();
    if let Ok(pairs) = <&[[u8; 2]; BLOCK]>::try_from(pairs) {
        for i in 0..BLOCK {
            out[i] = f32::from_bits(u32::from(u16::from_le_bytes(pairs[i])) << 16);
        }
        return;
    }
    out.fill(0.0);
    for (w, bytes) in out.iter_mut().zip(pairs) {
        *w = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
    }
}

#[inline(always)]
fn pad(values: &[f32], out: &mut [f32; BLOCK]) {
    out[..values.len()].copy_from_slice(values);
    out[values.len()..].fill(0.0);
}

#[inline(always)]
fn add_products(sum: &mut [f64; WIDTH], a: &[f64; WIDTH], b: &[f64; WIDTH]) {
    for i in 0..WIDTH {
        sum[i] = a[i].mul_add(b[i], sum[i]);
    }
}

/// How many pairs differ.
#[inline(always)]
fn differing(w0: &[f32; BLOCK], w1: &[f32; BLOCK]) -> u32 {
    number(|i| w0[i] != w1[i])
}

/// How many entries of a block are so.
#[inline(always)]
fn number(is_so: impl Fn(usize) -> bool) -> u32 {
    let mut count = 0;
    for i in 0..BLOCK {
        count += u32::from(is_so(i));
    }
    count
}

/// The sum of the lanes.
#[inline(always)]
fn folded(lanes: Sum) -> f64 {
    let [a, b] = lanes;
    let [a, b, c, d, e, f, g, h]: [f64; WIDTH] = std::array::from_fn(|i| a[i] + b[i]);
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[derive(Default)]
struct Lanes {
    base2: Sum,
    tuned2: Sum,
    dot: Sum,
    delta2: Sum,
    delta_abs: Sum,
    changed: u32,
    changed_beyond: u32,
    changed_bf16: u32,
    nonzero: u32,
    flipped: u32,
    is_equal: bool,
}

impl Lanes {
    /// All sums of a block in one pass. They are taken out for it, so that they live in registers.
    #[inline(always)]
    fn add(&mut self, w0: &[f32; BLOCK], w1: &[f32; BLOCK]) {
        let Self { mut base2, mut tuned2, mut dot, mut delta2, mut delta_abs, .. } = *self;
        for step in 0..BLOCK / (CHAINS * WIDTH) {
            for chain in 0..CHAINS {
                let at = (step * CHAINS + chain) * WIDTH;
                let (mut x, mut y, mut d) = ([0.0; WIDTH], [0.0; WIDTH], [0.0; WIDTH]);
                for i in 0..WIDTH {
                    x[i] = f64::from(w0[at + i]);
                }
                for i in 0..WIDTH {
                    y[i] = f64::from(w1[at + i]);
                }
                for i in 0..WIDTH {
                    d[i] = y[i] - x[i];
                }
                add_products(&mut base2[chain], &x, &x);
                add_products(&mut tuned2[chain], &y, &y);
                add_products(&mut delta2[chain], &d, &d);
                add_products(&mut dot[chain], &x, &d);
                for i in 0..WIDTH {
                    delta_abs[chain][i] += d[i].abs();
                }
            }
        }
        (self.base2, self.tuned2, self.dot, self.delta2, self.delta_abs) = (base2, tuned2, dot, delta2, delta_abs);
    }

    /// A block that is the same on both sides.
    #[inline(always)]
    fn add_equal(&mut self, w0: &[f32; BLOCK]) {
        let mut base2 = self.base2;
        for step in 0..BLOCK / (CHAINS * WIDTH) {
            for chain in 0..CHAINS {
                let at = (step * CHAINS + chain) * WIDTH;
                let mut x = [0.0; WIDTH];
                for i in 0..WIDTH {
                    x[i] = f64::from(w0[at + i]);
                }
                add_products(&mut base2[chain], &x, &x);
            }
        }
        self.base2 = base2;
        self.nonzero += number(|i| w0[i] != 0.0);
        self.is_equal = true;
    }

    /// Counts that the entries as they are decide; returns how many differ.
    #[inline(always)]
    fn count(&mut self, w0: &[f32; BLOCK], w1: &[f32; BLOCK]) -> u32 {
        let changed = differing(w0, w1);
        self.changed += changed;
        self.nonzero += number(|i| w0[i] != 0.0);
        let turned = |i: usize| (w0[i].to_bits() ^ w1[i].to_bits()) >> 31 != 0;
        self.flipped += number(|i| (w0[i] != 0.0) & ((w1[i] == 0.0) | turned(i)));
        changed
    }

    /// Counts differences beyond 1e-5, of entries that are bf16.
    #[inline(always)]
    fn beyond(&mut self, w0: &[f32; BLOCK], w1: &[f32; BLOCK]) {
        self.changed_beyond += number(|i| (w1[i] - w0[i]).abs() > BEYOND);
    }

    #[inline(always)]
    fn total(&self, count: usize) -> PairSums {
        let base2 = folded(self.base2);
        PairSums {
            change: ChangeSums { count: count as f64, delta2: folded(self.delta2), delta_abs: folded(self.delta_abs) },
            base2,
            tuned2: if self.is_equal { base2 } else { folded(self.tuned2) },
            dot: folded(self.dot),
            changed: u64::from(self.changed),
            changed_beyond: u64::from(self.changed_beyond),
            changed_bf16: u64::from(self.changed_bf16),
            nonzero: u64::from(self.nonzero),
            flipped: u64::from(self.flipped),
        }
    }
}
