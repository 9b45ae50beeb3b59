//! What holds of every type.

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tomo_blocks::{Dispatch, TYPES};

use crate::{decoded, encoded};

/// Types whose codes can be told from the values they stand for.
const STABLE: [&str; 9] = ["f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "mxfp4"];

fn gaussian(seed: u64, len: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| -> f32 { StandardNormal.sample(&mut rng) }).map(|w: f32| w * 0.05).collect()
}

#[test]
fn what_was_decoded_is_encoded_to_the_same_values() {
    for id in STABLE {
        let block = tomo_blocks::find(id).unwrap();
        for seed in 0..50 {
            let once = decoded(block, &encoded(block, &gaussian(seed, 512), None).unwrap());
            let twice = decoded(block, &encoded(block, &once, None).unwrap());
            assert!(once == twice, "{id}, seed {seed}");
        }
    }
}

#[test]
fn blocks_do_not_see_each_other_but_for_importances() {
    // With importances, blocks of 32 are weighted by the mean square of their row.
    let row = gaussian(1, 5 * 512);
    for block in TYPES {
        let whole = encoded(block, &row, None).unwrap();
        let parts: Vec<u8> = row.chunks(256).flat_map(|part| encoded(block, part, None).unwrap()).collect();
        assert_eq!(whole, parts, "{}", block.id);
    }
}

#[test]
fn importances_that_are_all_alike_change_little_and_their_size_nothing() {
    let row = gaussian(2, 768);
    for block in TYPES {
        let one = encoded(block, &row, Some(&[1.0; 768])).unwrap();
        // A power of two scales every weight of a search exactly.
        assert_eq!(one, encoded(block, &row, Some(&[64.0; 768])).unwrap(), "{}", block.id);
        let error = |bytes: &[u8]| -> f64 {
            row.iter().zip(decoded(block, bytes)).map(|(w, q)| f64::from(w - q).powi(2)).sum()
        };
        let (plain, weighted) = (error(&encoded(block, &row, None).unwrap()), error(&one));
        assert!(weighted <= 1.3 * plain, "{}: {weighted:e} against {plain:e}", block.id);
    }
}

#[test]
fn importance_lowers_the_error_where_it_is() {
    let row = gaussian(3, 1024);
    let importance: Vec<f32> = (0..1024).map(|i| if i % 8 == 0 { 100.0 } else { 1.0 }).collect();
    for id in ["q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "iq4_nl", "iq4_xs"] {
        let block = tomo_blocks::find(id).unwrap();
        let error = |importance: Option<&[f32]>| -> f64 {
            let found = decoded(block, &encoded(block, &row, importance).unwrap());
            row.iter().zip(found).step_by(8).map(|(w, q)| f64::from(w - q).powi(2)).sum()
        };
        let (with, without) = (error(Some(&importance)), error(None));
        assert!(with < 0.9 * without, "{id}: {with:e} against {without:e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Bits of f32 of any kind: never a panic, and if there are bytes, all instruction sets give the same.
    #[test]
    fn any_row_is_encoded_or_refused(
        bits in prop::collection::vec(any::<u32>(), 512),
        shift in 0..9u32,
        importance in prop::collection::vec(0f32..10.0, 512),
    ) {
        // Fewer exponent bits: from every f32 to numbers that are close to each other.
        let row: Vec<f32> = bits.iter().map(|b| f32::from_bits(b & 0x807f_ffff | (b & 0x7f80_0000) >> shift & 0x7f80_0000)).collect();
        for block in TYPES {
            for importance in [None, Some(&importance[..])] {
                let results = Dispatch::ALL.map(|dispatch| {
                    let mut out = vec![0; block.row_bytes(512).unwrap()];
                    block.encode_row_with(&row, importance, &mut out, dispatch).map(|()| out).map_err(|e| e.to_string())
                });
                prop_assert_eq!(&results[0], &results[1], "{}", block.id);
                prop_assert_eq!(&results[1], &results[2], "{}", block.id);
                if let Ok(bytes) = &results[0] {
                    prop_assert!(decoded(block, bytes).iter().all(|w| w.is_finite()), "{}", block.id);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_decoded(bytes in prop::collection::vec(any::<u8>(), 0..2048), columns in 0..1024usize) {
        for block in TYPES {
            let mut out = vec![0.0; columns];
            let fits = block.row_bytes(columns).is_ok_and(|expected| expected == bytes.len());
            prop_assert_eq!(block.decode_row(&bytes, &mut out).is_ok(), fits);
            block.decode_blocks(&bytes, &mut out);
        }
    }
}
