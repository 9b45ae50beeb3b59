//! Bytes against llama.cpp's (`tools/reference/blocks.py`), values against the gguf package's (`tools/reference/decode.py`).

use tomo_blocks::{BlockError, Dispatch, TYPES};

use crate::fixture::{Fixture, Rows, floats};
use crate::{decoded, encoded};

/// Types that importances change nothing about: the fixture has their bytes once.
const PLAIN: [&str; 5] = ["f32", "f16", "bf16", "q8_0", "mxfp4"];

#[test]
fn bytes_are_those_of_llama_cpp() {
    let fixture = Fixture::read("blocks/blocks.safetensors");
    let tensors = fixture.tensors();
    let mut compared = 0;
    for rows in Rows::all(&tensors) {
        for block in TYPES.iter().filter(|t| t.id != "f32" && t.fits(rows.columns)) {
            for importance in [None, Some(&rows.importance[..])] {
                let weighted = if importance.is_some() && !PLAIN.contains(&block.id) { ".importance" } else { "" };
                let key = format!("{}.{}{weighted}", rows.name, block.id);
                let theirs = tensors.tensor(&key).unwrap();
                let refused = tensors.tensor(&format!("{key}.refused")).unwrap().data();
                let mut out = vec![0; block.row_bytes(rows.columns).unwrap()];
                let theirs = theirs.data().chunks_exact(out.len());
                for (r, (row, theirs)) in rows.values.chunks_exact(rows.columns).zip(theirs).enumerate() {
                    for dispatch in Dispatch::ALL {
                        let done = block.encode_row_with(row, importance, &mut out, dispatch);
                        if refused[r] == 1 {
                            assert!(matches!(done, Err(BlockError::Range { .. })), "{key} row {r}: {done:?}");
                        } else {
                            done.unwrap_or_else(|e| panic!("{key} row {r}: {e}"));
                            let differ = out.iter().zip(theirs).position(|(a, b)| a != b);
                            assert!(differ.is_none(), "{key} row {r} {dispatch:?}: byte {}", differ.unwrap());
                            compared += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 3 * 1000, "{compared}");
}

/// Rows on which the last scale that a search tries wins now and then.
#[test]
fn searches_go_as_far_as_those_of_llama_cpp() {
    let fixture = Fixture::read("blocks/blocks.safetensors");
    let tensors = fixture.tensors();
    let rows = floats(&tensors, "searched");
    for id in ["q2_k", "q4_k", "q5_k"] {
        let block = tomo_blocks::find(id).unwrap();
        let theirs = tensors.tensor(&format!("searched.{id}")).unwrap();
        let ours: Vec<u8> = rows.chunks_exact(512).flat_map(|row| encoded(block, row, None).unwrap()).collect();
        assert!(ours.len() == theirs.data().len() && ours.len() > 10_000);
        let differ = ours.iter().zip(theirs.data()).position(|(a, b)| a != b);
        assert!(differ.is_none(), "{id}: byte {}", differ.unwrap());
    }
}

#[test]
fn values_are_those_of_the_gguf_package() {
    let fixture = Fixture::read("decode/blocks.safetensors");
    let tensors = fixture.tensors();
    for block in TYPES {
        let bytes = tensors.tensor(&format!("{}.blocks", block.title)).unwrap();
        let expected = floats(&tensors, &format!("{}.values", block.title));
        let found = decoded(block, bytes.data());
        assert_eq!(found.len(), expected.len());
        for (i, (x, y)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(x.to_bits(), y.to_bits(), "{}: element {i} is {x:e}, expected {y:e}", block.id);
        }
    }
}
