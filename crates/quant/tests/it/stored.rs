//! Formats that are types of GGUF.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tomo_quant::{FORMATS, Matrix, ShapeError, blocks, find};

use crate::rounded;

/// What a block type's bytes stand for.
fn through_bytes(block: &blocks::BlockType, row: &[f32]) -> Vec<f32> {
    let mut bytes = vec![0; block.row_bytes(row.len()).unwrap()];
    block.encode_row(row, None, &mut bytes).unwrap();
    let mut out = vec![0.0; row.len()];
    block.decode_row(&bytes, &mut out).unwrap();
    out
}

/// Numbers of a few significant bits, where ties are common, among numbers of many.
fn weights(len: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    (0..len)
        .map(|i| {
            let w: f32 = StandardNormal.sample(&mut rng);
            if i / 512 % 2 == 0 { w * 0.02 } else { (w * 16.0).round() / 64.0 }
        })
        .collect()
}

#[test]
fn the_codec_makes_the_round_trip() {
    let ids: Vec<&str> = FORMATS.iter().filter(|f| f.stored().is_some()).map(|f| f.id).collect();
    assert_eq!(
        ids,
        ["q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "f16", "bf16"]
    );
    let values = weights(4 * 512);
    for format in FORMATS.iter().filter(|f| f.stored().is_some()) {
        let expected: Vec<f32> =
            values.chunks(512).flat_map(|row| through_bytes(blocks::find(format.id).unwrap(), row)).collect();
        assert_eq!(rounded(format, &values, 512, 128), expected, "{}", format.id);
    }
}

/// `q4_0` and `q8_0` are simulated, so that their error is one sweep; where 32 divides the row it is the codec's.
#[test]
fn simulated_types_of_gguf_round_as_their_codec() {
    let values = weights(64 * 1024);
    for id in ["q4_0", "q8_0"] {
        let expected: Vec<f32> =
            values.chunks(1024).flat_map(|row| through_bytes(blocks::find(id).unwrap(), row)).collect();
        assert_eq!(rounded(find(id).unwrap(), &values, 1024, 128), expected, "{id}");
    }
}

#[test]
fn rows_of_no_whole_blocks_are_refused() {
    let values = weights(2 * 576);
    let matrix = Matrix::new(&values, 576, 128).unwrap();
    let q4_k = find("q4_k").unwrap();
    let expected = ShapeError::Blocks { id: "q4_k", cols: 576, elements: 256, fallback: "q5_0" };
    assert_eq!(q4_k.check(&matrix).unwrap_err(), expected);
    assert_eq!(q4_k.roundtrip(&matrix, &mut vec![0.0; values.len()]).unwrap_err(), expected);
    assert!(q4_k.error(&matrix).relative().is_nan());
    assert!(q4_k.column_error2(&matrix).iter().all(|sum| sum.is_nan()));
    // Simulated formats end rows in a short block.
    find("int4").unwrap().check(&matrix).unwrap();
    find("q5_0").unwrap().check(&matrix).unwrap();
}
