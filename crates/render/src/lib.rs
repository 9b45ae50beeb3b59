//! Pictures and reports of a map. A scene decides layout once; one file per output only serialises it.
//!
//! [`Picture`] (one metric of a map under one normalisation) -> [`Scene`] (order, words, colours) -> [`Page`] (measures)
//! -> one of [`FORMATS`].
//!
//! ```
//! use tomo_map::{Cell, CellId, Component, Column, Grid, Map, MetricInfo, NORMALISATIONS, Score};
//! use tomo_render::{Format, Options, Picture, Writer};
//!
//! # let info: MetricInfo = serde_json::from_str(r#"{"id": "rms", "title": "RMS weight", "summary": "Root of the mean square",
//! #   "unit": "weight units", "family": "weights", "meaning": "structure", "direction": "high", "scope": "map",
//! #   "additivity": "non-negative", "proxy": false, "caveat": ""}"#)?;
//! let id = CellId { layer: 0, component: Component::AttnQ, expert: None };
//! let cell = Cell { id, out_features: 4, in_features: 4, tensor: "q".into(), dtype: "F32".into() };
//! let map = Map {
//!     grid: Grid { layers: 1, cells: vec![cell], missing: vec![] },
//!     columns: vec![Column::new(info, vec![Score::from_value(0.25)])],
//!     ..Map::default()
//! };
//! let view = map.default_view("rms")?;
//! let Writer::Picture(write) = Format::from_path("rms.svg".as_ref())?.writer else { unreachable!() };
//! let svg = String::from_utf8(write(&Picture { map: &map, view: &view }, &Options::default())?)?;
//! assert!(svg.contains("RMS weight (weight units)"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
mod picture;
pub mod report;
mod scene;
mod words;

pub use colour::{Palette, Ramp, Rgb, STEPS, Scale, Span};
pub use error::RenderError;
pub use font::Weight;
pub use formats::{ColourLevel, FORMATS, Format, Options, Terminal, Writer};
pub use page::{Anchor, Item, Page, Rect, Text};
pub use picture::Picture;
pub use scene::{Bar, Cell, Origin, Scene, Style};
