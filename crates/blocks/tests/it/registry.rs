//! What holds of every entry of the registry, and the tables of ggml and llama.cpp.

use std::collections::BTreeSet;

use tomo_blocks::{TYPES, find};

/// Numbers and sizes as `gguf.constants` (gguf 0.19.0) has them: id, number, elements, bytes.
const SIZES: [(&str, u32, usize, usize); 16] = [
    ("f32", 0, 1, 4),
    ("f16", 1, 1, 2),
    ("q4_0", 2, 32, 18),
    ("q4_1", 3, 32, 20),
    ("q5_0", 6, 32, 22),
    ("q5_1", 7, 32, 24),
    ("q8_0", 8, 32, 34),
    ("q2_k", 10, 256, 84),
    ("q3_k", 11, 256, 110),
    ("q4_k", 12, 256, 144),
    ("q5_k", 13, 256, 176),
    ("q6_k", 14, 256, 210),
    ("iq4_nl", 20, 32, 18),
    ("iq4_xs", 23, 256, 136),
    ("bf16", 30, 1, 2),
    ("mxfp4", 39, 32, 17),
];

#[test]
fn types_are_those_of_ggml_in_its_order() {
    assert!(SIZES.is_sorted_by_key(|(_, number, ..)| *number));
    let found: Vec<_> = TYPES.iter().map(|t| (t.id, t.elements, t.bytes)).collect();
    assert_eq!(found, SIZES.map(|(id, _, elements, bytes)| (id, elements, bytes)));
    let titles: BTreeSet<&str> = TYPES.iter().map(|t| t.title).collect();
    assert_eq!(titles.len(), TYPES.len());
    for block in TYPES {
        assert!(std::ptr::eq(find(block.title).unwrap(), *block) && std::ptr::eq(find(block.id).unwrap(), *block));
        assert_eq!(block.title.to_ascii_lowercase(), block.id);
    }
    assert!(find("q4_k_m").is_none() && find("").is_none());
}

#[test]
fn manuals_have_their_headings_and_the_right_bits() {
    for block in TYPES {
        let manual = tomo_map::manual(block.source);
        let headings: Vec<&str> = manual.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(headings, ["# What it is", "# Algorithm", "# Bits per weight", "# Source"], "{}", block.id);
        let (_, bits) = manual.split_once("# Bits per weight\n").unwrap();
        let stated = bits.split([':', '\n']).next().unwrap().trim_end_matches('.');
        assert_eq!(stated.parse::<f64>().unwrap(), block.bits_per_weight(), "{}", block.id);
    }
}

/// `tensor_type_fallback` of llama.cpp at 0c1e57098 (`src/llama-quant.cpp`): columns, asked, taken.
#[test]
fn rows_that_do_not_fit_fall_back_as_in_llama_cpp() {
    let cases = [
        (576, "q2_k", "q4_0"),
        (576, "q3_k", "q4_0"),
        (576, "q4_k", "q5_0"),
        (576, "q5_k", "q5_1"),
        (576, "q6_k", "q8_0"),
        (576, "iq4_xs", "iq4_nl"),
        (576, "q4_0", "q4_0"),
        (576, "f32", "f32"),
        (1536, "q4_k", "q4_k"),
        (1536, "iq4_xs", "iq4_xs"),
        (100, "q4_k", "f16"),
        (100, "iq4_xs", "f16"),
        (100, "q4_0", "f16"),
        (100, "iq4_nl", "f16"),
        (100, "bf16", "bf16"),
    ];
    for (columns, asked, taken) in cases {
        assert_eq!(find(asked).unwrap().fallback(columns).id, taken, "{asked} of {columns}");
    }
}
