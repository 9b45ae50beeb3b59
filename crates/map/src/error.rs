use std::fmt;

/// In what way a map, or a file that should hold one, is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MapErrorKind {
    /// Not JSON or CSV at all, or cut short.
    Syntax,
    /// JSON, but not of a schema this version reads.
    Schema,
    /// A field is missing or of the wrong kind.
    Field,
    /// A number of entries does not match the grid.
    Length,
    /// Entries are out of order or occur twice.
    Order,
    /// A number is not finite or out of range.
    Number,
    /// More layers or cells than any model has.
    Size,
    /// Writing failed.
    Output,
}

/// Why a map could not be read or written: what is wrong, where, what was expected, what was found.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct MapError {
    kind: MapErrorKind,
    place: String,
    expected: String,
    found: String,
}

impl MapError {
    pub(crate) fn new(
        kind: MapErrorKind,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { kind, place: place.into(), expected: expected.into(), found: found.into() }
    }

    /// In what way it is wrong.
    pub fn kind(&self) -> MapErrorKind {
        self.kind
    }

    /// Where: a path in the map (`metrics[2].scores[17]`) or a line of the file.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What should be there.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What is there.
    pub fn found(&self) -> &str {
        &self.found
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.place, self.expected, self.found)
    }
}

/// Text from a file as an error shows it: quoted, control characters escaped, cut to a line's length.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() { format!("{shown:?}... ({} bytes)", text.len()) } else { format!("{shown:?}") }
}
