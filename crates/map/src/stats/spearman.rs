//! How alike two orders of the same cells are.

use super::{constant, mean, ranks, scaled};

/// Pearson's correlation of two lists of equal length. `None` for fewer than two values, different lengths, or a list whose
/// values are all equal.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() < 2 || a.len() != b.len() || constant(a) || constant(b) {
        return None;
    }
    let ((a, _), (b, _)) = (scaled(a), scaled(b));
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let (mut products, mut squares_a, mut squares_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        let (a, b) = (a - mean_a, b - mean_b);
        products += a * b;
        squares_a += a * a;
        squares_b += b * b;
    }
    let r = products / (squares_a.sqrt() * squares_b.sqrt());
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}

/// Spearman's rank correlation: Pearson's of the ranks, ties sharing their mean rank. `None` as for [`pearson`].
///
/// ```
/// use tomo_map::stats::spearman;
///
/// // Two of four neighbours swapped: 1 - 6 * 4 / (4 * 15).
/// let rho = spearman(&[1.0, 2.0, 3.0, 4.0], &[20.0, 10.0, 40.0, 30.0]).ok_or("constant")?;
/// assert!((rho - 0.6).abs() < 1e-12);
/// assert_eq!(spearman(&[1.0, 2.0, 3.0], &[7.0, 7.0, 7.0]), None);
/// # Ok::<(), &str>(())
/// ```
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    pearson(&ranks(a), &ranks(b))
}

/// Spearman's rank correlation of `a` and `b` given `control`: what is left when the straight-line dependence of both ranks on
/// the control's ranks is taken away. `None` where one of the three is constant, or the control orders the cells exactly as
/// `a` or `b` does, so that nothing is left.
pub fn partial_spearman(a: &[f64], b: &[f64], control: &[f64]) -> Option<f64> {
    partial(spearman(a, b)?, spearman(a, control)?, spearman(b, control)?)
}

/// The partial correlation of a and b given c, from the three correlations. `None` where c says all of a or of b.
pub fn partial(ab: f64, ac: f64, bc: f64) -> Option<f64> {
    /// Less than this left of the variance is rounding.
    const ROUNDING: f64 = 1e-12;
    let (left_of_a, left_of_b) = (1.0 - ac * ac, 1.0 - bc * bc);
    if left_of_a < ROUNDING || left_of_b < ROUNDING {
        return None;
    }
    let r = (ab - ac * bc) / (left_of_a * left_of_b).sqrt();
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}

/// Kendall's tau-b: pairs in the same order minus pairs in opposite order, over the geometric mean of the pairs that are not
/// tied in `a` and in `b` (Kendall 1945). Counted by merging (Knight 1966), `O(n log n)`. `None` as for [`pearson`].
pub fn kendall(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() < 2 || a.len() != b.len() || constant(a) || constant(b) {
        return None;
    }
    // Adding 0 turns -0 into 0: the two are equal, but would be sorted apart.
    let mut pairs: Vec<(f64, f64)> = a.iter().zip(b).map(|(a, b)| (a + 0.0, b + 0.0)).collect();
    pairs.sort_by(|x, y| x.0.total_cmp(&y.0).then(x.1.total_cmp(&y.1)));
    let all = pairs_among(a.len());
    let tied_in_a = tied_pairs(&pairs, |x, y| x.0 == y.0);
    let tied_in_both = tied_pairs(&pairs, |x, y| x == y);
    let mut by_b: Vec<f64> = pairs.iter().map(|(_, b)| *b).collect();
    let opposite = inversions(&mut by_b);
    let tied_in_b = tied_pairs(&by_b, |x, y| x == y);
    let same = all + tied_in_both - tied_in_a - tied_in_b - opposite;
    let untied = ((all - tied_in_a) as f64).sqrt() * ((all - tied_in_b) as f64).sqrt();
    Some(((same - opposite) as f64 / untied).clamp(-1.0, 1.0))
}

fn pairs_among(n: usize) -> i64 {
    let n = n as i64;
    n * (n - 1) / 2
}

/// Pairs of equal entries in a list in which equal ones are neighbours.
fn tied_pairs<T>(sorted: &[T], equal: impl Fn(&T, &T) -> bool) -> i64 {
    sorted.chunk_by(equal).map(|run| pairs_among(run.len())).sum()
}

/// Sorts `values` and returns how many pairs stood in falling order.
fn inversions(values: &mut [f64]) -> i64 {
    let middle = values.len() / 2;
    if middle == 0 {
        return 0;
    }
    let (left, right) = values.split_at_mut(middle);
    let mut count = inversions(left) + inversions(right);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (0, 0);
    while l < left.len() && r < right.len() {
        if right[r] < left[l] {
            count += (left.len() - l) as i64;
            merged.push(right[r]);
            r += 1;
        } else {
            merged.push(left[l]);
            l += 1;
        }
    }
    merged.extend_from_slice(&left[l..]);
    merged.extend_from_slice(&right[r..]);
    values.copy_from_slice(&merged);
    count
}

/// Of the `count` highest of `a`, the share that is among the `count` highest of `b`. Where equal values stand at the border the
/// places left are shared out among them evenly, so that the order of the list never decides: a list of equal values
/// overlaps with anything as chance does, `count / n`. `None` for different lengths or a count of 0 or above the length.
pub fn top_overlap(a: &[f64], b: &[f64], count: usize) -> Option<f64> {
    if a.len() != b.len() || count == 0 || count > a.len() {
        return None;
    }
    let (a, b) = (membership(a, count), membership(b, count));
    Some(a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>() / count as f64)
}

/// The number of cells that a top `share` means: rounded, at least one.
pub fn top_count(cells: usize, share: f64) -> usize {
    ((cells as f64 * share).round() as usize).clamp(1, cells.max(1))
}

/// How far each value is among the `count` highest: 1, 0, or the share of the places left for those tied at the border.
fn membership(values: &[f64], count: usize) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|x, y| y.total_cmp(x));
    let border = sorted[count - 1];
    let above = sorted.iter().filter(|v| **v > border).count();
    let tied = sorted.iter().filter(|v| **v == border).count();
    let share = (count - above) as f64 / tied as f64;
    let of = |v: &f64| {
        if *v > border {
            1.0
        } else if *v == border {
            share
        } else {
            0.0
        }
    };
    values.iter().map(of).collect()
}
