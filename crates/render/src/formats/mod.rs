//! The outputs, one file each, and their registry.

use std::path::Path;

use tomo_map::Map;

use crate::{Picture, RenderError, Style};

mod ansi;
mod csv;
mod html;
mod json;
mod md;
mod pdf;
mod png;
mod svg;

pub use ansi::{ColourLevel, Terminal};

/// One output.
pub struct Format {
    /// The word on the command line.
    pub id: &'static str,
    /// File extensions that mean it, without the dot.
    pub extensions: &'static [&'static str],
    /// What it is, in half a sentence.
    pub summary: &'static str,
    /// The output's own source file; its `//!` header is the manual.
    pub source: &'static str,
    /// How it is written.
    pub writer: Writer,
}

/// What an output shows, and the function that makes its bytes.
pub enum Writer {
    /// One metric under one normalisation.
    Picture(fn(&Picture<'_>, &Options) -> Result<Vec<u8>, RenderError>),
    /// The whole map.
    Document(fn(&Map, &Options) -> Result<Vec<u8>, RenderError>),
}

/// Choices that reach every output; each takes those that mean something to it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Options {
    /// Origin, palette and span of pictures.
    pub style: Style,
    /// What the terminal can show.
    pub terminal: Terminal,
}

/// Every output, in the order of help texts and manuals.
pub static FORMATS: &[&Format] =
    &[&ansi::FORMAT, &svg::FORMAT, &png::FORMAT, &pdf::FORMAT, &html::FORMAT, &md::FORMAT, &csv::FORMAT, &json::FORMAT];

impl Format {
    /// The output called `id`.
    ///
    /// # Errors
    /// When there is none; the error lists those there are.
    pub fn from_id(id: &str) -> Result<&'static Self, RenderError> {
        FORMATS.iter().copied().find(|f| f.id == id).ok_or_else(|| unknown(id))
    }

    /// The output meant by the extension of `path`, in any case.
    ///
    /// # Errors
    /// When there is no extension, or none that is known.
    pub fn from_path(path: &Path) -> Result<&'static Self, RenderError> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let meant = FORMATS.iter().copied().find(|f| f.extensions.contains(&extension.as_str()));
        meant.ok_or_else(|| unknown(&extension))
    }
}

fn unknown(asked: &str) -> RenderError {
    let known: Vec<&str> = FORMATS.iter().map(|f| f.id).collect();
    RenderError::UnknownFormat { asked: crate::escape::plain(asked, 80), known: known.join(" ") }
}
