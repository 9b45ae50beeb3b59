//! `png`: the picture as pixels, for slides, issues and chats.
//!
//! The SVG drawn at two pixels per pixel, so that it is sharp on dense screens and in print. The font is inside the program:
//! every machine makes the same bytes.

use std::sync::Arc;

use resvg::{tiny_skia, usvg};

use super::{Format, Options, Writer, svg};
use crate::font::{DATABASE, FAMILY};
use crate::page::Page;
use crate::{Picture, RenderError, Scene};

pub(super) static FORMAT: Format = Format {
    id: "png",
    extensions: &["png"],
    summary: "one picture as pixels, at 2x",
    source: include_str!("png.rs"),
    writer: Writer::Picture(write),
};

/// Pixels of the file per pixel of the page.
const SCALE: f32 = 2.0;
/// Taller pages are refused: decoders give up on them, and so do people.
const TALLEST: f64 = 16_000.0;

fn write(picture: &Picture<'_>, options: &Options) -> Result<Vec<u8>, RenderError> {
    let page = Page::from_scene(&Scene::from_picture(picture, options.style));
    if page.height > TALLEST {
        return Err(RenderError::TooLarge { layers: picture.view.layers });
    }
    let settings =
        usvg::Options { font_family: FAMILY.into(), fontdb: Arc::clone(&DATABASE), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(&svg::document(&page), &settings)
        .map_err(|e| RenderError::library("reading our own svg", e))?;
    let size = tree.size().to_int_size().scale_by(SCALE).unwrap_or(tree.size().to_int_size());
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).ok_or_else(|| {
        RenderError::library("making a canvas", format!("{} x {} pixels", size.width(), size.height()))
    })?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| RenderError::library("encoding the png", e))
}
