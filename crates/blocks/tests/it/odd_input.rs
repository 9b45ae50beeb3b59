//! Zeros, constants, numbers at the ends of f32, lengths that do not fit, and what is no number.

use tomo_blocks::{BlockError, TYPES, find};

use crate::{decoded, encoded};

#[test]
fn zeros_stay_zeros() {
    for block in TYPES {
        for importance in [None, Some(&[1.0; 768][..]), Some(&[0.0; 768][..])] {
            let out = decoded(block, &encoded(block, &[0.0; 768], importance).unwrap());
            assert!(out.iter().all(|w| *w == 0.0), "{}", block.id);
        }
    }
}

#[test]
fn a_constant_is_kept() {
    for block in TYPES {
        for value in [0.25_f32, -0.25, 3.0, -3.0] {
            let out = decoded(block, &encoded(block, &[value; 512], None).unwrap());
            // q3_k has no level at its upper end for what is positive; its scale keeps 6 bits.
            let tolerance = if block.id == "q3_k" { 0.02 } else { 0.01 };
            assert!(out.iter().all(|w| (w - value).abs() <= tolerance * value.abs()), "{}: {}", block.id, out[0]);
        }
    }
}

#[test]
fn numbers_near_the_bottom_become_zero_or_stay_small() {
    for block in TYPES {
        for unit in [f32::from_bits(1), f32::from_bits(100), f32::MIN_POSITIVE, 1e-30, 1e-12] {
            let row: Vec<f32> = (0..512).map(|i| (i % 32 - 16) as f32 * unit).collect();
            let out = decoded(block, &encoded(block, &row, None).unwrap());
            assert!(out.iter().all(|w| w.abs() <= 32.0 * unit), "{} {unit:e}", block.id);
        }
    }
}

#[test]
fn what_is_no_number_is_refused_with_its_column() {
    for block in TYPES {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut row = [0.5; 512];
            row[300] = value;
            let error = encoded(block, &row, None).unwrap_err();
            assert!(matches!(error, BlockError::Weight { column: 300, value: v } if v.to_bits() == value.to_bits()));
        }
    }
}

#[test]
fn weights_beyond_a_scale_are_refused_with_their_block() {
    for block in TYPES {
        for value in [3e8, -3e8, 1e12, 1e30, -3e38] {
            let mut row = [0.01; 768];
            row[700] = value;
            for importance in [None, Some(&[1.0; 768][..])] {
                let done = encoded(block, &row, importance);
                if ["f32", "bf16", "mxfp4"].contains(&block.id) {
                    let found = decoded(block, &done.unwrap())[700];
                    assert!((found - value).abs() <= 0.3 * value.abs(), "{}: {found}", block.id);
                } else {
                    let column = 700 / block.elements * block.elements;
                    assert_eq!(done.unwrap_err(), BlockError::Range { id: block.id, column }, "{value}");
                }
            }
        }
    }
    // The largest f32 is nearer to what would be bf16's next power than to its largest number.
    assert_eq!(
        encoded(find("bf16").unwrap(), &[f32::MAX], None).unwrap_err(),
        BlockError::Range { id: "bf16", column: 0 }
    );
}

#[test]
fn importances_are_checked() {
    let q4_k = find("q4_k").unwrap();
    let row = [0.5; 256];
    let refused = |importance: &[f32]| encoded(q4_k, &row, Some(importance)).unwrap_err();
    assert_eq!(refused(&[1.0; 255]), BlockError::Importances { columns: 256, found: 255 });
    assert_eq!(refused(&[]), BlockError::Importances { columns: 256, found: 0 });
    let mut importance = [1.0; 256];
    importance[9] = -1.0;
    assert_eq!(refused(&importance), BlockError::Importance { column: 9, value: -1.0 });
    for value in [f32::NAN, f32::INFINITY, 2e15] {
        importance[9] = value;
        assert!(matches!(refused(&importance), BlockError::Importance { column: 9, .. }));
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    for block in TYPES {
        let bytes = block.row_bytes(512).unwrap();
        for found in [0, bytes - 1, bytes + 1, 2 * bytes] {
            let expected = BlockError::Bytes { id: block.id, columns: 512, expected: bytes, found };
            assert_eq!(block.encode_row(&[0.5; 512], None, &mut vec![0; found]).unwrap_err(), expected);
            assert_eq!(block.decode_row(&vec![0; found], &mut [0.0; 512]).unwrap_err(), expected);
        }
        if block.elements > 1 {
            for columns in [1, block.elements - 1, block.elements + 1] {
                let error = block.encode_row(&vec![0.5; columns], None, &mut vec![0; block.bytes]).unwrap_err();
                assert!(matches!(error, BlockError::Columns { columns: c, .. } if c == columns), "{error}");
                assert!(block.decode_row(&vec![0; block.bytes], &mut vec![0.0; columns]).is_err());
            }
        }
        assert!(encoded(block, &[], None).unwrap().is_empty());
        assert!(encoded(block, &[], Some(&[])).unwrap().is_empty());
        // A length near the end of what can be counted must not overflow.
        let most = usize::MAX / block.elements * block.elements;
        assert_eq!(block.row_bytes(most).unwrap() == usize::MAX, block.bytes > block.elements, "{}", block.id);
    }
}

#[test]
fn errors_say_what_and_what_else() {
    let text = |e: BlockError| e.to_string();
    assert_eq!(
        text(find("q4_k").unwrap().row_bytes(576).unwrap_err()),
        "a row of 576 weights cannot be stored as q4_k, expected a multiple of 256; llama.cpp would store it as q5_0"
    );
    let error = find("q8_0").unwrap().encode_row(&[0.0; 32], None, &mut [0; 33]).unwrap_err();
    assert_eq!(text(error), "a row of 32 weights takes 34 bytes as q8_0, found 33");
}
