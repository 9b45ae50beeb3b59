/// Eigenvalues of a symmetric tridiagonal matrix, in no order, left in `diagonal`; `off_diagonal` is used up.
/// `None` when the iteration does not converge, which finite input does not cause.
///
/// The square-root-free QL and QR iteration of Pal, Walker and Kahan (Parlett, The Symmetric Eigenvalue Problem,
/// section 8.15; LAPACK's `dsterf` is another implementation): it works on squared off-diagonals, forms no
/// vectors, and takes two divisions that do not wait for each other per step.
pub(crate) fn eigenvalues(diagonal: &mut [f64], off_diagonal: &mut [f64]) -> Option<()> {
    let order = diagonal.len();
    let scale = diagonal.iter().chain(off_diagonal.iter()).fold(0.0_f64, |top, x| top.max(x.abs()));
    if scale == 0.0 || !scale.is_finite() || diagonal.iter().chain(off_diagonal.iter()).any(|x| x.is_nan()) {
        return (scale == 0.0 && !diagonal.iter().any(|x| x.is_nan())).then_some(());
    }
    // Squares of entries must neither overflow nor vanish.
    diagonal.iter_mut().for_each(|x| *x /= scale);
    off_diagonal.iter_mut().for_each(|x| *x = (*x / scale) * (*x / scale));
    let mut steps_left = 30 * order;
    let mut start = 0;
    while start < order {
        let end = start + unreduced_length(&diagonal[start..], &off_diagonal[start..]);
        solve_block(&mut diagonal[start..end], &mut off_diagonal[start..end - 1], &mut steps_left)?;
        start = end;
    }
    diagonal.iter_mut().for_each(|x| *x *= scale);
    Some(())
}

/// Whether a squared off-diagonal between two diagonal entries no longer matters.
fn negligible(square: f64, above: f64, below: f64) -> bool {
    square <= f64::EPSILON * f64::EPSILON * (above * below).abs() || square < f64::MIN_POSITIVE
}

/// Length of the leading block that does not split.
fn unreduced_length(diagonal: &[f64], squares: &[f64]) -> usize {
    let split =
        squares.iter().zip(diagonal.windows(2)).position(|(&square, pair)| negligible(square, pair[0], pair[1]));
    split.map_or(diagonal.len(), |at| at + 1)
}

/// All eigenvalues of one block; it may split further on the way.
fn solve_block(diagonal: &mut [f64], squares: &mut [f64], steps_left: &mut usize) -> Option<()> {
    // The iteration finds eigenvalues at the front; graded matrices converge faster from their small end.
    if diagonal.len() > 1 && diagonal[diagonal.len() - 1].abs() < diagonal[0].abs() {
        diagonal.reverse();
        squares.reverse();
    }
    let mut front = 0;
    while front < diagonal.len() {
        let end = front + unreduced_length(&diagonal[front..], &squares[front..]);
        if end < diagonal.len() {
            squares[end - 1] = 0.0;
        }
        match end - front {
            1 => front += 1,
            2 => {
                let (low, high) = eigenvalues_of_pair(diagonal[front], squares[front], diagonal[front + 1]);
                (diagonal[front], diagonal[front + 1]) = (low, high);
                front += 2;
            }
            _ => {
                *steps_left = steps_left.checked_sub(1)?;
                sweep(&mut diagonal[front..end], &mut squares[front..end - 1]);
            }
        }
    }
    Some(())
}

/// Eigenvalues of `[a, b; b, c]` from `b^2`.
fn eigenvalues_of_pair(a: f64, square: f64, c: f64) -> (f64, f64) {
    let half_gap = 0.5 * (a - c);
    let radius = half_gap.hypot(square.sqrt());
    let middle = 0.5 * (a + c);
    // The eigenvalue far from zero is exact to the last digits; the other follows from the determinant.
    let far = if middle >= 0.0 { middle + radius } else { middle - radius };
    if far == 0.0 {
        return (0.0, 0.0);
    }
    let near = (a / far) * c - (square / far);
    (near.min(far), near.max(far))
}

/// One implicit QL step from the back to the front, shifted towards the eigenvalue nearest the front.
fn sweep(diagonal: &mut [f64], squares: &mut [f64]) {
    let last = diagonal.len() - 1;
    let off = squares[0].sqrt();
    let slope = (diagonal[1] - diagonal[0]) / (2.0 * off);
    let shift = diagonal[0] - off / (slope + slope.hypot(1.0).copysign(slope));
    let (mut sine, mut gamma) = (0.0, diagonal[last] - shift);
    let (mut cosine, mut p) = (1.0, gamma * gamma);
    for i in (0..last).rev() {
        let square = squares[i];
        let r = p + square;
        if i + 1 < last {
            squares[i + 1] = sine * r;
        }
        let old_cosine = cosine;
        cosine = p / r;
        sine = square / r;
        let secant = r / p;
        let old_gamma = gamma;
        let alpha = diagonal[i];
        gamma = cosine * (alpha - shift) - sine * old_gamma;
        diagonal[i + 1] = old_gamma + (alpha - gamma);
        p = if cosine == 0.0 { old_cosine * square } else { gamma * gamma * secant };
    }
    squares[0] = sine * p;
    diagonal[0] = shift + gamma;
}

#[cfg(test)]
mod tests {
    use super::eigenvalues;

    /// The second difference matrix has eigenvalues `2 - 2 cos(k pi / (n + 1))`.
    #[test]
    fn second_difference_has_known_eigenvalues() {
        for order in [1_usize, 2, 3, 4, 7, 64, 301] {
            let mut diagonal = vec![2.0; order];
            let mut off = vec![-1.0; order - 1];
            eigenvalues(&mut diagonal, &mut off).unwrap();
            diagonal.sort_unstable_by(f64::total_cmp);
            for (k, &value) in diagonal.iter().enumerate() {
                let angle = (k + 1) as f64 * std::f64::consts::PI / (order + 1) as f64;
                let expected = 2.0 - 2.0 * angle.cos();
                assert!((value - expected).abs() < 1e-14 * order as f64, "{order} {k}: {value} {expected}");
            }
        }
    }

    #[test]
    fn split_zero_and_extreme_blocks_are_solved() {
        let mut diagonal = vec![3.0, 1e-300, 1e300];
        eigenvalues(&mut diagonal, &mut [0.0, 0.0]).unwrap();
        diagonal.sort_unstable_by(f64::total_cmp);
        assert_eq!(diagonal[2], 1e300);
        let mut diagonal = vec![3.0, 0.0, 0.0, -5.0];
        eigenvalues(&mut diagonal, &mut [0.0, 4.0, 0.0]).unwrap();
        diagonal.sort_unstable_by(f64::total_cmp);
        for (value, expected) in diagonal.iter().zip([-5.0, -4.0, 3.0, 4.0]) {
            assert!((value - expected).abs() < 1e-15 * 5.0, "{value} {expected}");
        }
        let mut zeros = vec![0.0; 5];
        eigenvalues(&mut zeros, &mut [0.0; 4]).unwrap();
        assert_eq!(zeros, [0.0; 5]);
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        assert!(eigenvalues(&mut [1.0, f64::NAN, 2.0], &mut [1.0, 1.0]).is_none());
        assert!(eigenvalues(&mut [1.0, 1.0, 2.0], &mut [1.0, f64::INFINITY]).is_none());
    }
}
