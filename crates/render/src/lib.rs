//! Pictures and reports of a map. A scene decides layout once; one file per output only serialises it.
//!
//! [`Picture`] (one metric of a map under one normalisation) -> [`Scene`] (order, words, colours) -> [`Page`] (measures)
//! -> one of [`FORMATS`].
//!
//! It knows maps only, and cannot see tensors. It neither reads nor writes files, and asks nothing of the terminal: what
//! a terminal can show is handed in.

mod colour;
mod error;
pub mod escape;
mod font;
mod formats;
mod number;
mod page;
pub mod report;
mod picture;
mod scene;
mod words;

pub use colour::{Palette, Ramp, Rgb, STEPS, Scale, Span};
pub use error::RenderError;
pub use font::Weight;
pub use formats::{ColourLevel, FORMATS, Format, Options, Terminal, Writer};
pub use page::{Anchor, Item, Page, Rect, Text};
pub use picture::Picture;
pub use scene::{Bar, Cell, Origin, Scene, Style};
