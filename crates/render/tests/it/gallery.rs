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

/// Says how long the pictures of a large map take: 120 layers, 30 metrics.
#[test]
#[ignore = "prints timings; run it with --release --nocapture"]
#[allow(clippy::print_stderr)]
fn timings() {
    let mut map = samples::map(120);
    let column = map.columns[0].clone();
    map.columns = (0..30)
        .map(|i| {
            let mut column = column.clone();
            column.info.id = format!("metric-{i}").into();
            column
        })
        .collect();
    for format in FORMATS {
        let start = std::time::Instant::now();
        let pictures = if matches!(format.writer, tomo_render::Writer::Picture(_)) { map.columns.len() } else { 1 };
        let bytes: usize = map.columns[..pictures]
            .iter()
            .map(|c| draw(&map, &c.info.id, format.id, &terminal(80, ColourLevel::True)).len())
            .sum();
        eprintln!("{:5} {pictures:3} files {:9} bytes {:7.3} s", format.id, bytes, start.elapsed().as_secs_f64());
    }
}
