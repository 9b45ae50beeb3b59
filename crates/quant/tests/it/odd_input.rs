//! Zeros, single weights, numbers at the ends of f32, and what is no number.

use tomo_quant::{FORMATS, Matrix, ShapeError, find};

use crate::{fitting, rounded};

#[test]
fn zeros_stay_zeros() {
    for format in FORMATS {
        let cols = fitting(format, 50);
        let out = rounded(format, &vec![0.0; 3 * cols], cols, 16);
        assert!(out.iter().all(|w| *w == 0.0), "{}", format.id);
        let sums = format.error(&Matrix::new(&vec![0.0; cols], cols, 16).unwrap());
        assert_eq!((sums.error2, sums.weight2), (0.0, 0.0), "{}", format.id);
        assert!(sums.relative().is_nan());
    }
}

#[test]
fn an_empty_matrix_has_no_error() {
    for format in FORMATS {
        assert!(format.error(&Matrix::new(&[], fitting(format, 8), 16).unwrap()).relative().is_nan(), "{}", format.id);
    }
}

#[test]
fn a_weight_alone_in_its_group_is_kept() {
    // Its own scale: exact for integers, whose end of range is the weight; asymmetric ones divide by 2^b - 1, times it.
    for id in ["int8", "int4", "int3", "int2", "int4-sym", "int2-sym", "nf4"] {
        for w in [0.7_f32, -0.7, 1e-3, -123.0] {
            let out = rounded(find(id).unwrap(), &[w], 1, 1)[0];
            assert!((out - w).abs() <= 2e-7 * w.abs(), "{id}: {w} became {out}");
        }
    }
}

#[test]
fn nan_never_vanishes() {
    for format in FORMATS {
        let cols = fitting(format, 37);
        for at in [0, 17, 36] {
            let mut values = vec![0.1_f32; cols];
            values[at] = f32::NAN;
            assert!(rounded(format, &values, cols, 16)[at].is_nan(), "{} at {at}", format.id);
            let sums = format.error(&Matrix::new(&values, cols, 16).unwrap());
            assert!(sums.relative().is_nan(), "{} at {at}", format.id);
        }
        assert!(rounded(format, &vec![f32::NAN; cols], cols, 16).iter().all(|w| w.is_nan()), "{}", format.id);
        let mut values = vec![0.0; fitting(format, 3)];
        values[0] = f32::NAN;
        assert!(rounded(format, &values, values.len(), 16)[0].is_nan(), "{}", format.id);
    }
}

#[test]
fn an_infinity_spoils_its_block() {
    for format in FORMATS {
        for infinity in [f32::INFINITY, f32::NEG_INFINITY] {
            let cols = fitting(format, 16);
            let mut values = vec![0.1_f32; cols];
            values[3] = infinity;
            assert!(rounded(format, &values, cols, 16).iter().all(|w| w.is_nan()), "{} {infinity}", format.id);
            assert!(format.error(&Matrix::new(&values, cols, 16).unwrap()).relative().is_nan(), "{}", format.id);
        }
    }
}

#[test]
fn smallest_numbers_stay_finite_and_near() {
    // A scale that underflows flushes its block; nothing may become NaN or grow beyond twice the largest weight.
    let smallest = f32::from_bits(1);
    for format in FORMATS {
        for unit in [smallest, smallest * 5.0, smallest * 100.0, f32::MIN_POSITIVE, 1e-37, 1e-30, 1e-9] {
            let cols = fitting(format, 32);
            let values: Vec<f32> = (0..cols).map(|i| (i % 32) as f32 * unit - 16.0 * unit).collect();
            for (w, q) in values.iter().zip(rounded(format, &values, cols, 16)) {
                assert!(q.abs() <= 32.0 * unit, "{}: {w:e} became {q:e}, unit {unit:e}", format.id);
            }
        }
    }
}

#[test]
fn a_float_grid_is_kept() {
    // Numbers of E2M1 times a power of two are MXFP4's own; the largest being 6 or 4 fixes the scale.
    let grid = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];
    for exponent in [-100, -20, 0, 20, 100] {
        let values = grid.map(|w| w * 2_f32.powi(exponent));
        assert_eq!(rounded(find("mxfp4").unwrap(), &values, values.len(), 16), values);
    }
    // Ties go to the even mantissa, and 7 saturates; 4 makes the scale 1.
    let ties = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0, -0.25, -0.75, -5.0];
    let even = [0.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 6.0, 0.0, -1.0, -4.0];
    assert_eq!(rounded(find("mxfp4").unwrap(), &ties, ties.len(), 16), even);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    assert_eq!(Matrix::new(&[0.0; 7], 3, 16).unwrap_err(), ShapeError::Ragged { len: 7, cols: 3 });
    assert_eq!(Matrix::new(&[], 0, 16).unwrap_err(), ShapeError::Ragged { len: 0, cols: 0 });
    assert_eq!(Matrix::new(&[0.0; 6], 3, 0).unwrap_err(), ShapeError::EmptyGroup);
    let matrix = Matrix::new(&[0.0; 6], 3, 16).unwrap();
    let short = find("int4").unwrap().roundtrip(&matrix, &mut [0.0; 5]);
    assert_eq!(short.unwrap_err(), ShapeError::Output { expected: 6, found: 5 });
}

#[test]
fn q8_0_rounds_halves_away_from_zero() {
    // 127 makes the scale 1, so a weight is its own quotient. 0.49999997 + 0.5 is 1 in f32; roundf is not fooled.
    let weights = [127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.499_999_97, -126.5];
    let expected = [127.0, 1.0, 2.0, 3.0, -1.0, -2.0, -3.0, 0.0, -127.0];
    assert_eq!(rounded(find("q8_0").unwrap(), &weights, weights.len(), 16), expected);
}
