use std::fmt;

/// How near two numbers must be. Each rule is written so that NaN and infinities fail it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Within {
    /// `|got - expected| <= t`, each entry.
    Absolute(f64),
    /// `|got - expected| <= t * |expected|`, each entry; an expected 0 wants exactly 0.
    Relative(f64),
    /// `||got - expected|| <= t * ||expected||` in the Euclidean norm, all entries together: for long vectors whose
    /// small entries are rounding.
    RelativeNorm(f64),
}

/// Numbers that can be compared: `f32`, `f64`, and slices, arrays and vectors of them.
pub trait Numbers {
    /// All of them, in order.
    fn numbers(&self) -> Vec<f64>;
}

impl Numbers for f64 {
    fn numbers(&self) -> Vec<f64> {
        vec![*self]
    }
}

impl Numbers for f32 {
    fn numbers(&self) -> Vec<f64> {
        vec![f64::from(*self)]
    }
}

impl<T: Numbers> Numbers for [T] {
    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(Numbers::numbers).collect()
    }
}

impl<T: Numbers, const N: usize> Numbers for [T; N] {
    fn numbers(&self) -> Vec<f64> {
        self.as_slice().numbers()
    }
}

impl<T: Numbers> Numbers for Vec<T> {
    fn numbers(&self) -> Vec<f64> {
        self.as_slice().numbers()
    }
}

impl<T: Numbers + ?Sized> Numbers for &T {
    fn numbers(&self) -> Vec<f64> {
        (**self).numbers()
    }
}

/// Why two lists of numbers are not close. Its text names the first and the worst offender.
#[derive(Clone, PartialEq, Debug)]
pub struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

/// Panics unless `got` is close to `expected`; see [`compare`].
///
/// # Panics
/// When the lengths differ, an entry on either side is not finite, or an entry is too far off.
#[track_caller]
#[allow(clippy::panic)] // this is an assertion
pub fn assert_close(got: impl Numbers, expected: impl Numbers, within: Within) {
    if let Err(mismatch) = compare(got, expected, within) {
        panic!("{mismatch}");
    }
}

/// Whether `got` is close to `expected`: same length, every entry finite, every entry within the tolerance.
///
/// # Errors
/// A [`Mismatch`] that names the first and the worst offender with index, got and expected.
pub fn compare(got: impl Numbers, expected: impl Numbers, within: Within) -> Result<(), Mismatch> {
    let (got, expected) = (got.numbers(), expected.numbers());
    if got.len() != expected.len() {
        return Err(Mismatch(format!("{} numbers, expected {}", got.len(), expected.len())));
    }
    if got.is_empty() {
        return Err(Mismatch("nothing to compare: both sides are empty".to_owned()));
    }
    match within {
        Within::RelativeNorm(t) => compare_norms(&got, &expected, t),
        Within::Absolute(t) => compare_entries(&got, &expected, within, |_| t),
        Within::Relative(t) => compare_entries(&got, &expected, within, |e| t * e.abs()),
    }
}

/// Error of one entry as a multiple of what is allowed; infinite when a side is not finite.
fn excess(got: f64, expected: f64, allowed: f64) -> f64 {
    let off = (got - expected).abs();
    if off.is_nan() || off.is_infinite() {
        f64::INFINITY
    } else if off == 0.0 {
        0.0
    } else {
        off / allowed
    }
}

fn compare_entries(
    got: &[f64],
    expected: &[f64],
    within: Within,
    allowed: impl Fn(f64) -> f64,
) -> Result<(), Mismatch> {
    let excess_at = |i: usize| excess(got[i], expected[i], allowed(expected[i]));
    // Written as "not within" so that a tolerance of NaN fails too.
    let bad: Vec<usize> = (0..got.len()).filter(|&i| !matches!(excess_at(i), x if x <= 1.0)).collect();
    let worst = bad.iter().copied().max_by(|&a, &b| excess_at(a).total_cmp(&excess_at(b)));
    let (Some(&first), Some(worst)) = (bad.first(), worst) else {
        return Ok(());
    };
    let entry = |i: usize| {
        format!("[{i}]: got {:e}, expected {:e}, off by {:e}", got[i], expected[i], (got[i] - expected[i]).abs())
    };
    Err(Mismatch(format!(
        "{} of {} numbers are not within {within:?}\n  first {}\n  worst {}",
        bad.len(),
        got.len(),
        entry(first),
        entry(worst)
    )))
}

fn compare_norms(got: &[f64], expected: &[f64], tolerance: f64) -> Result<(), Mismatch> {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let off = norm(&mut got.iter().zip(expected).map(|(g, e)| g - e));
    let size = norm(&mut expected.iter().copied());
    if off.is_finite() && size.is_finite() && off <= tolerance * size {
        return Ok(());
    }
    let distance = |i: &usize| excess(got[*i], expected[*i], 1.0);
    let first = (0..got.len()).find(|i| distance(i) > 0.0).unwrap_or_default();
    let worst = (0..got.len()).max_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or_default();
    let entry = |i: usize| format!("[{i}]: got {:e}, expected {:e}", got[i], expected[i]);
    Err(Mismatch(format!(
        "off by {off:e} in norm where {tolerance:e} of {size:e} is allowed\n  first {}\n  worst {}",
        entry(first),
        entry(worst)
    )))
}
