/// Cliff's delta (Cliff 1993): of all pairs of one value of `a` and one of `b`, the share in which `a` is higher minus
/// the share in which it is lower. 1 if every `a` is above every `b`, -1 if below, 0 if neither tends to be higher.
/// Equals `2 U / (len a * len b) - 1` with U of Mann and Whitney. `None` if either is empty.
pub fn cliffs_delta(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let sign = |x: f64, y: f64| i64::from(x > y) - i64::from(x < y);
    let sum: i64 = a.iter().flat_map(|x| b.iter().map(move |y| sign(*x, *y))).sum();
    Some(sum as f64 / (a.len() as f64 * b.len() as f64))
}
