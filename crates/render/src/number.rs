//! How numbers are written in pictures.

use tomo_map::significant;

/// Four significant digits and no trailing zeros, as a reader wants single numbers.
pub(crate) fn short(value: f64) -> String {
    trimmed(&significant(value, 4))
}

/// Takes trailing zeros after the decimal point away, in front of an exponent too.
fn trimmed(number: &str) -> String {
    let (mantissa, exponent) = number.split_once('e').map_or((number, None), |(m, e)| (m, Some(e)));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    exponent.map_or_else(|| mantissa.to_owned(), |e| format!("{mantissa}e{e}"))
}

/// Round numbers (1, 2 or 5 times a power of ten apart) inside `low..=high`, about `wanted` of them, with labels that
/// share their number of decimals.
pub(crate) fn ticks(low: f64, high: f64, wanted: usize) -> Vec<(f64, String)> {
    let span = high - low;
    if !(span.is_finite() && span > 0.0) {
        return vec![(low, short(low))];
    }
    let rough = span / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|s| s * power).into_iter().find(|s| *s >= rough * 0.999);
    let step = step.unwrap_or(power * 10.0);
    let first = (low / step - 1e-9).ceil();
    let last = (high / step + 1e-9).floor();
    let count = if first.is_finite() && last >= first { (last - first) as usize + 1 } else { 0 };
    let values: Vec<f64> = (0..count.min(50)).map(|i| (first + i as f64) * step).collect();
    if values.len() < 2 {
        // The range is finer than doubles can step through: its ends say all there is to say.
        return vec![(low, significant(low, 6)), (high, significant(high, 6))];
    }
    let largest = low.abs().max(high.abs());
    if largest >= 1e5 || step < 9.9e-5 {
        let digits = (largest.log10().floor() - step.log10().floor()).clamp(0.0, 12.0) as usize + 2;
        return values.into_iter().map(|v| (v, trimmed(&significant(clean_zero(v, step), digits)))).collect();
    }
    let decimals = (0..8).find(|d| is_integer(step * 10f64.powi(*d))).unwrap_or(8);
    let decimals = usize::try_from(decimals).unwrap_or(0);
    values.into_iter().map(|v| (v, format!("{:.decimals$}", clean_zero(v, step)))).collect()
}

/// Multiples of a step that should be 0 but are -1e-17.
fn clean_zero(value: f64, step: f64) -> f64 {
    if value.abs() < step * 1e-6 { 0.0 } else { value }
}

fn is_integer(x: f64) -> bool {
    (x - x.round()).abs() < 1e-6 * x.abs().max(1.0)
}

/// A way to write all numbers of a table in the same narrow column: fixed decimals after dividing by a power of ten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fixed {
    /// Numbers are divided by ten to this power.
    pub(crate) exponent: i32,
    /// Decimals that are written.
    pub(crate) decimals: usize,
}

impl Fixed {
    /// The most decimals (at most 4) with which every number of `values` fits `width` characters.
    pub(crate) fn from_values(values: &[f64], width: usize) -> Self {
        let largest = values.iter().fold(0f64, |m, v| m.max(v.abs()));
        let magnitude = if largest > 0.0 { largest.log10().floor() as i32 } else { 0 };
        let exponent = if (-2..4).contains(&magnitude) { 0 } else { magnitude.div_euclid(3) * 3 };
        let fits = |d: &usize| {
            let fixed = Self { exponent, decimals: *d };
            values.iter().all(|v| fixed.write(*v).len() <= width)
        };
        Self { exponent, decimals: (0..=4).rev().find(fits).unwrap_or(0) }
    }

    /// One number.
    pub(crate) fn write(self, value: f64) -> String {
        let text = format!("{:.*}", self.decimals, value / 10f64.powi(self.exponent));
        // -0.00 is a rounding artefact, and reads as a claim about the sign.
        if text.starts_with('-') && text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) {
            text[1..].to_owned()
        } else {
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers() {
        for (v, text) in [(0.143_21, "0.1432"), (12.0, "12"), (-0.5, "-0.5"), (1_500_000.0, "1.5e6"), (2e-7, "2e-7")] {
            assert_eq!(short(v), text);
        }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let labels = |l, h| ticks(l, h, 5).into_iter().map(|t| t.1).collect::<Vec<_>>().join(" ");
        assert_eq!(labels(0.12, 0.16), "0.12 0.13 0.14 0.15 0.16");
        assert_eq!(labels(-1.0, 1.0), "-1.0 -0.5 0.0 0.5 1.0");
        assert_eq!(labels(0.0, 3e-6), "0 1e-6 2e-6 3e-6");
        assert_eq!(labels(5.0, 5.0), "5");
        assert_eq!(labels(1e6, 3e6), "1e6 1.5e6 2e6 2.5e6 3e6");
    }

    #[test]
    fn fixed_fits_its_width() {
        let f = Fixed::from_values(&[0.143_21, -0.2], 5);
        assert_eq!((f.write(0.143_21), f.write(-0.2)), ("0.14".into(), "-0.20".into()));
        assert_eq!(Fixed::from_values(&[2.5e-5], 6), Fixed { exponent: -6, decimals: 3 });
        assert_eq!(Fixed { exponent: 0, decimals: 2 }.write(-0.0001), "0.00");
    }
}
