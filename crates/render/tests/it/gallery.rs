use std::fs;

use tomo_render::{ColourLevel, FORMATS};

use crate::{draw, samples, terminal};

/// Writes every output of a few maps into `TOMOGRAPH_GALLERY`, for people and for the browser test.
#[test]
#[ignore = "writes files; run it with TOMOGRAPH_GALLERY=<folder>"]
fn gallery() {
    let to = std::env::var("TOMOGRAPH_GALLERY").unwrap();
    let maps = [
        ("28", samples::map(28)),
        ("2", samples::map(2)),
        ("126", samples::map(126)),
        ("30-holes", samples::map_with_holes(30)),
        ("experts", samples::map_with_experts(16)),
        ("hostile", samples::hostile()),
    ];
    for (name, map) in maps {
        for (at, column) in map.columns.iter().enumerate() {
            for format in FORMATS {
                let file = format!("{to}/{name}-{at}.{}", format.extensions[0]);
                fs::write(file, draw(&map, &column.info.id, format.id, &terminal(80, ColourLevel::True))).unwrap();
            }
        }
    }
}
