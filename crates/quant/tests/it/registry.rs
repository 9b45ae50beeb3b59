//! What holds for every entry of the registry.

use std::collections::BTreeSet;

use tomo_quant::{FORMATS, find};

#[test]
fn ids_are_unique_and_found() {
    let ids: BTreeSet<&str> = FORMATS.iter().map(|format| format.id).collect();
    assert_eq!(ids.len(), FORMATS.len());
    for id in ids {
        assert!(id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c)), "{id}");
        assert_eq!(find(id).unwrap().id, id);
    }
    assert!(find("int9").is_none());
}

#[test]
fn manuals_have_their_headings() {
    for format in FORMATS {
        let manual = tomo_map::manual(format.source);
        let headings: Vec<&str> = manual.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(headings, ["# What it is", "# Algorithm", "# Bits per weight", "# Source"], "{}", format.id);
    }
}

#[test]
fn bits_per_weight_count_scales() {
    let bits = |id: &str, cols, group| find(id).unwrap().bits_per_weight(cols, group);
    let expected = [
        ("int4", 4.0 + 20.0 / 128.0),
        ("int3", 3.0 + 19.0 / 128.0),
        ("int2", 2.0 + 18.0 / 128.0),
        ("int4-sym", 4.0 + 16.0 / 128.0),
        ("nf4", 4.5),
        ("q4_0", 4.5),
        ("q8_0", 8.5),
        ("nvfp4", 4.5),
        ("mxfp4", 4.25),
        ("fp8", 8.0),
        ("q4_k", 4.5),
        ("q6_k", 6.5625),
        ("bf16", 16.0),
    ];
    for (id, expected) in expected {
        assert_eq!(bits(id, 1024, 128), expected, "{id}");
    }
    // 576 = 4 * 128 + 64: five groups; and a group wider than the row is one group.
    assert_eq!(bits("int4", 576, 128), 4.0 + 20.0 * 5.0 / 576.0);
    assert_eq!(bits("int4", 100, 128), 4.2);
}

#[test]
fn a_group_can_be_chosen_exactly_where_it_changes_the_size() {
    for format in FORMATS {
        let bits = |group| format.bits_per_weight(1024, group);
        assert_eq!(format.takes_group(), bits(32) != bits(64), "{}", format.id);
    }
    assert!(find("int3").unwrap().takes_group() && !find("q4_0").unwrap().takes_group());
}
