/// A number for the reader, with `digits` significant digits (at least 1), correctly rounded.
///
/// Plain decimals between 0.0001 and a million, powers of ten outside. Integer digits are never replaced by zeros, zero
/// is `0`, and nothing that is not zero prints as zero: `0.000123`, `0.140`, `1235`, `1.23e-7`.
pub fn significant(value: f64, digits: usize) -> String {
    let digits = digits.clamp(1, 17);
    if value == 0.0 {
        return "0".to_owned();
    }
    // The exponent after rounding: 9.996 with three digits is 10.0.
    let scientific = format!("{value:.*e}", digits - 1);
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok());
    match exponent {
        Some(exponent @ -4..=5) => {
            let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
            format!("{value:.decimals$}")
        }
        _ => scientific,
    }
}

/// Several numbers with as many significant digits as it takes to tell different ones apart, at least `digits`.
pub fn significant_apart(values: &[f64], digits: usize) -> Vec<String> {
    let print = |digits| values.iter().map(|v| significant(*v, digits)).collect::<Vec<_>>();
    let told_apart = |texts: &[String]| {
        values.iter().zip(texts).all(|(v, t)| values.iter().zip(texts).all(|(w, u)| (v == w) == (t == u)))
    };
    (digits..17).map(print).find(|texts| told_apart(texts)).unwrap_or_else(|| print(17))
}
