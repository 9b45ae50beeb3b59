use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};

use crate::error::quoted;
use crate::{Beside, Column, Grid, Inventory, Map, MapError, MapErrorKind as Kind, Provenance, Sides};

/// The schema this version writes and reads.
pub const SCHEMA: &str = "tomograph.map/1";

#[derive(Serialize)]
struct FileOut<'a> {
    schema: &'static str,
    provenance: &'a Provenance,
    grid: &'a Grid,
    metrics: &'a [Column],
    #[serde(skip_serializing_if = "Option::is_none")]
    sides: Option<&'a Sides>,
    #[serde(skip_serializing_if = "<[Beside]>::is_empty")]
    beside: &'a [Beside],
    #[serde(skip_serializing_if = "Option::is_none")]
    inventory: Option<&'a Inventory>,
}

#[derive(Deserialize)]
struct FileIn {
    provenance: Provenance,
    grid: Grid,
    metrics: Vec<Column>,
    #[serde(default)]
    beside: Vec<Beside>,
    #[serde(default)]
    sides: Option<Box<Sides>>,
    #[serde(default)]
    inventory: Option<Box<Inventory>>,
}

#[derive(Deserialize)]
struct Head {
    schema: Option<serde_json::Value>,
}

/// Writes `map.json`: schema `tomograph.map/1`, one cell and one score per line, so that two maps can be compared line by
/// line. Numbers are printed so that reading gives the same bits.
///
/// # Errors
/// [`MapErrorKind::Output`](Kind::Output) if `output` fails, any other kind if the map is not valid
/// ([`Map::validate`]): a file that could not be read back is not written.
pub fn write_json(map: &Map, mut output: impl Write) -> Result<(), MapError> {
    map.validate()?;
    let file = FileOut {
        schema: SCHEMA,
        provenance: &map.provenance,
        grid: &map.grid,
        metrics: &map.columns,
        sides: map.sides.as_deref(),
        beside: &map.beside,
        inventory: map.inventory.as_deref(),
    };
    let failed = |error: String| MapError::new(Kind::Output, "map.json", "an output that takes it", error);
    let mut serializer = Serializer::with_formatter(&mut output, OneLinePerEntry::default());
    file.serialize(&mut serializer).map_err(|e| failed(e.to_string()))?;
    output.write_all(b"\n").map_err(|e| failed(e.to_string()))
}

/// Any file of ours as JSON in the manner of `map.json`: a line for each field of the file and of its parts, and for each entry of
/// their lists, so that two files can be compared line by line.
///
/// # Errors
/// What cannot be JSON: keys that are no strings.
pub fn json_lines(file: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    file.serialize(&mut Serializer::with_formatter(&mut bytes, OneLinePerEntry::default()))?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads `map.json` and checks all of it. Fields this version does not know are passed over, so that later writers may
/// add some. Text is kept as it is; whoever prints it escapes it.
///
/// # Errors
/// A [`MapError`] with the place: not JSON, another schema, fields that are missing or wrong, lengths that do not match
/// the grid, cells out of order, numbers that are not finite, absurd sizes.
pub fn read_json(bytes: &[u8]) -> Result<Map, MapError> {
    let head: Head = serde_json::from_slice(bytes).map_err(|e| from_serde(&e))?;
    match head.schema {
        Some(serde_json::Value::String(schema)) if schema == SCHEMA => {}
        other => {
            let found = other.map_or("none".to_owned(), |schema| quoted(&schema.to_string()));
            let expected = format!("{SCHEMA:?} (another number needs another version of tomograph)");
            return Err(MapError::new(Kind::Schema, "schema", expected, found));
        }
    }
    let file: FileIn = serde_json::from_slice(bytes).map_err(|e| from_serde(&e))?;
    let FileIn { provenance, grid, metrics: columns, beside, sides, inventory } = file;
    let map = Map { provenance, grid, columns, beside, sides, inventory };
    map.validate()?;
    Ok(map)
}

fn from_serde(error: &serde_json::Error) -> MapError {
    let place = format!("line {} column {}", error.line(), error.column());
    let (kind, expected) = match error.classify() {
        serde_json::error::Category::Data => (Kind::Field, "the fields of a map"),
        _ => (Kind::Syntax, "JSON"),
    };
    // The message may repeat text of the file and ends with the place, which is said already.
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
    MapError::new(kind, place, expected, quoted_message(message))
}

/// A parser's message with control characters escaped and cut to a few lines' length.
fn quoted_message(message: &str) -> String {
    const LONGEST: usize = 200;
    let escaped: String =
        message.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
    if escaped.chars().count() <= LONGEST {
        escaped
    } else {
        escaped.chars().take(LONGEST).chain("...".chars()).collect()
    }
}

/// JSON with a line for each field of the map and its metrics, each cell and each score, and nothing deeper.
#[derive(Default)]
struct OneLinePerEntry {
    /// For each open container, whether it is spread over lines.
    open: Vec<bool>,
    /// Whether the innermost container holds anything.
    filled: bool,
}

/// Objects down to this depth are spread over lines: the file, its parts, a metric.
const DEEPEST_OBJECT: usize = 3;
/// Arrays down to this depth are: cells and scores.
const DEEPEST_ARRAY: usize = 4;

impl OneLinePerEntry {
    fn begin(&mut self, deepest: usize) {
        let spread = self.open.len() < deepest && self.open.last().copied().unwrap_or(true);
        self.open.push(spread);
        self.filled = false;
    }

    fn end<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let spread = self.open.pop().unwrap_or(false);
        if spread && self.filled {
            self.new_line(writer)?;
        }
        self.filled = true;
        Ok(())
    }

    fn entry<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.filled = true;
        if !first {
            writer.write_all(b",")?;
        }
        if self.open.last().copied().unwrap_or(false) {
            return self.new_line(writer);
        }
        if first { Ok(()) } else { writer.write_all(b" ") }
    }

    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        self.open.iter().try_for_each(|_| writer.write_all(b" "))
    }
}

impl Formatter for OneLinePerEntry {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(DEEPEST_ARRAY);
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer)?;
        writer.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.entry(writer, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(DEEPEST_OBJECT);
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer)?;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.entry(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
