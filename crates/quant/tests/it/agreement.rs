//! Laws between the two ways through a format, and between instruction sets.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tomo_quant::{Dispatch, FORMATS, Matrix};

use crate::fitting;

fn gaussian(len: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    (0..len).map(|_| -> f32 { StandardNormal.sample(&mut rng) }).map(|w: f32| w * 0.05).collect()
}

/// Columns and group sizes: full blocks, short last ones, groups of one, a group wider than the row.
const CUTS: [(usize, usize); 7] = [(576, 128), (200, 128), (37, 128), (1, 128), (96, 1), (130, 7), (64, 1000)];

#[test]
fn error_is_the_error_of_the_roundtrip() {
    for format in FORMATS {
        for (cols, group) in CUTS {
            let cols = fitting(format, cols);
            let values = gaussian(5 * cols);
            let matrix = Matrix::new(&values, cols, group).unwrap();
            let mut out = vec![0.0; values.len()];
            format.roundtrip(&matrix, &mut out).unwrap();
            let error2: f64 = values.iter().zip(&out).map(|(w, q)| (f64::from(*w) - f64::from(*q)).powi(2)).sum();
            let weight2: f64 = values.iter().map(|w| f64::from(*w).powi(2)).sum();
            let sums = format.error(&matrix);
            let close =
                (sums.error2 - error2).abs() <= 1e-13 * error2 && (sums.weight2 - weight2).abs() <= 1e-13 * weight2;
            assert!(close, "{} {cols}/{group}: {sums:?}, roundtrip {error2:e} {weight2:e}", format.id);
        }
    }
}

#[test]
fn errors_by_column_are_those_of_the_roundtrip() {
    for format in FORMATS {
        for (cols, group) in CUTS {
            let cols = fitting(format, cols);
            let values = gaussian(5 * cols);
            let matrix = Matrix::new(&values, cols, group).unwrap();
            let mut out = vec![0.0; values.len()];
            format.roundtrip(&matrix, &mut out).unwrap();
            let sums = format.column_error2(&matrix);
            assert_eq!(sums.len(), cols);
            for (column, sum) in sums.iter().enumerate() {
                let at = |row: usize| f64::from(values[row * cols + column]) - f64::from(out[row * cols + column]);
                let expected: f64 = (0..5).map(|row| at(row).powi(2)).sum();
                assert!((sum - expected).abs() <= 1e-13 * expected, "{} {cols}/{group}: {sum} {expected}", format.id);
            }
        }
        assert!(format.column_error2(&Matrix::new(&[], fitting(format, 8), 128).unwrap()).is_empty());
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for format in FORMATS {
        for (cols, group) in CUTS {
            let cols = fitting(format, cols);
            let values = gaussian(5 * cols);
            let matrix = Matrix::new(&values, cols, group).unwrap();
            let results = Dispatch::ALL.map(|dispatch| {
                let mut out = vec![0.0; values.len()];
                format.roundtrip_with(&matrix, &mut out, dispatch).unwrap();
                let sums = format.error_with(&matrix, dispatch);
                let bits: Vec<u32> = out.iter().map(|w| w.to_bits()).collect();
                let columns: Vec<u64> =
                    format.column_error2_with(&matrix, dispatch).iter().map(|sum| sum.to_bits()).collect();
                (bits, columns, sums.error2.to_bits(), sums.weight2.to_bits())
            });
            assert!(results[0] == results[1] && results[1] == results[2], "{} {cols}/{group}", format.id);
        }
    }
}

#[test]
fn rows_do_not_see_each_other() {
    for format in FORMATS.iter().filter(|format| !["nvfp4", "fp8"].contains(&format.id)) {
        let cols = fitting(format, 75);
        let values = gaussian(3 * cols);
        let together = crate::rounded(format, &values, cols, 50);
        let apart: Vec<f32> = values.chunks(cols).flat_map(|row| crate::rounded(format, row, cols, 50)).collect();
        assert_eq!(together, apart, "{}", format.id);
    }
}
