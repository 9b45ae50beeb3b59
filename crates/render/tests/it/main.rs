//! What the outputs look like, and what they never let through.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod gallery;
mod hostile;
mod pictures;
mod registry;
mod report_page;
mod samples;

use tomo_map::{Map, Normalisation};
use tomo_render::{ColourLevel, Format, Options, Page, Picture, Scene, Style, Terminal, Writer};

/// The bytes of one output, raw scores.
fn draw(map: &Map, metric: &str, format: &str, options: &Options) -> Vec<u8> {
    let view = map.view(metric, Normalisation::by_id("raw").unwrap()).unwrap();
    match Format::from_id(format).unwrap().writer {
        Writer::Picture(write) => write(&Picture { map, view: &view }, options).unwrap(),
        Writer::Document(write) => write(map, options).unwrap(),
    }
}

fn draw_text(map: &Map, metric: &str, format: &str, options: &Options) -> String {
    String::from_utf8(draw(map, metric, format, options)).unwrap()
}

fn terminal(width: usize, colours: ColourLevel) -> Options {
    Options { terminal: Terminal { width, colours }, ..Options::default() }
}

fn page(map: &Map, metric: &str, style: Style) -> (Scene, Page) {
    let view = map.view(metric, Normalisation::by_id("raw").unwrap()).unwrap();
    let scene = Scene::from_picture(&Picture { map, view: &view }, style);
    let page = Page::from_scene(&scene);
    (scene, page)
}
