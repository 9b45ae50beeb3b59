//! What the outputs look like, and what they never let through.

mod samples;

use std::fs;

use tomo_map::{Map, NORMALISATIONS, Normalisation};
use tomo_render::{ColourLevel, FORMATS, Format, Options, Picture, Terminal, Writer};

/// The bytes of one output.
fn draw(map: &Map, metric: &str, format: &str, options: &Options) -> Vec<u8> {
    let view = map.view(metric, Normalisation::by_id("raw").unwrap()).unwrap();
    match Format::from_id(format).unwrap().writer {
        Writer::Picture(write) => write(&Picture { map, view: &view }, options).unwrap(),
        Writer::Document(write) => write(map, options).unwrap(),
    }
}

/// Writes pictures to look at; run with `--ignored`.
#[test]
#[ignore = "writes files for people to look at"]
fn gallery() {
    let to = std::env::var("TOMOGRAPH_GALLERY").unwrap();
    let maps = [
        ("28", samples::map(28)),
        ("2", samples::map(2)),
        ("126", samples::map(126)),
        ("30-holes", samples::map_with_holes(30)),
    ];
    for (name, map) in maps {
        for column in &map.columns {
            for format in FORMATS {
                let file = format!("{to}/{}-{name}.{}", column.info.id, format.extensions[0]);
                let terminal = Terminal { width: 80, colours: ColourLevel::True };
                fs::write(file, draw(&map, &column.info.id, format.id, &Options { terminal, ..Options::default() }))
                    .unwrap();
            }
        }
    }
    assert_eq!(NORMALISATIONS.len(), 9);
}
