use std::collections::{BTreeMap, BTreeSet};

use super::cursor::Cursor;
use crate::layout::is_hostile;
use crate::metadata::GgufEntry;
use crate::{Error, ErrorKind, MetaValue};

/// Entries a file may have; known ones have a few dozen.
const MAX_ENTRIES: usize = 1 << 16;

/// Values in all arrays together. The largest vocabularies, with scores, types and merges, stay below 1.4 million.
const MAX_VALUES: usize = 3 << 19;

/// Arrays of arrays are allowed by the format and used by nobody; without a bound they could exhaust the stack.
const MAX_DEPTH: usize = 4;

/// Key length, type and one byte of value.
const MIN_ENTRY_BYTES: u64 = 8 + 4 + 1;

/// Reads `count` entries; refuses a key that occurs twice.
pub(super) fn read(cursor: &mut Cursor<'_>, count: u64) -> Result<BTreeMap<String, MetaValue>, Error> {
    let mut entries = BTreeMap::new();
    each(cursor, count, |entry| entries.insert(entry.key, entry.value).is_none())?;
    Ok(entries)
}

/// Reads `count` entries as they are stored, and in their order; refuses a key that occurs twice.
pub(super) fn read_stored(cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<GgufEntry>, Error> {
    let mut keys = BTreeSet::new();
    let mut entries = Vec::new();
    each(cursor, count, |Entry { key, kind, stored, .. }| {
        entries.push(GgufEntry::stored_as(key.clone(), kind, stored.to_vec()));
        keys.insert(key)
    })?;
    Ok(entries)
}

struct Entry<'f> {
    key: String,
    kind: u32,
    value: MetaValue,
    /// The bytes of the value.
    stored: &'f [u8],
}

/// Reads and checks `count` entries; `keep` says no to one whose key it has already.
fn each<'f>(cursor: &mut Cursor<'f>, count: u64, mut keep: impl FnMut(Entry<'f>) -> bool) -> Result<(), Error> {
    let count = cursor.check_count("metadata entries", count, MAX_ENTRIES, MIN_ENTRY_BYTES)?;
    let mut values_left = MAX_VALUES;
    for _ in 0..count {
        let at = cursor.position();
        let key = cursor.string("a metadata key")?;
        if key.contains(is_hostile) {
            return Err(Error::new(ErrorKind::Malformed, "a key has characters that metadata keys do not have")
                .at_byte(at)
                .expected("no control characters, no invisible characters, no < and >")
                .found(key)
                .hint("the file was made to mislead whoever prints its keys; do not trust it"));
        }
        let kind = cursor.u32("the type of a metadata value")?;
        let start = cursor.position();
        let value = Reader { cursor, values_left: &mut values_left, key: &key }.value(kind, 0)?;
        let found = key.clone();
        if !keep(Entry { key, kind, value, stored: cursor.since(start) }) {
            return Err(Error::new(ErrorKind::Malformed, "a metadata key occurs twice")
                .at_byte(at)
                .expected("every key once")
                .found(found)
                .hint("which of the two is meant cannot be known; convert the checkpoint again"));
        }
    }
    Ok(())
}

struct Reader<'a, 'f> {
    cursor: &'a mut Cursor<'f>,
    values_left: &'a mut usize,
    key: &'a str,
}

/// Type numbers of metadata values (`enum gguf_type`).
const ARRAY: u32 = 9;

impl Reader<'_, '_> {
    fn value(&mut self, kind: u32, depth: usize) -> Result<MetaValue, Error> {
        let what = "a metadata value";
        let cursor = &mut *self.cursor;
        Ok(match kind {
            0 => MetaValue::Unsigned(cursor.u8(what)?.into()),
            1 => MetaValue::Signed(cursor.u8(what)?.cast_signed().into()),
            2 => MetaValue::Unsigned(cursor.u16(what)?.into()),
            3 => MetaValue::Signed(cursor.u16(what)?.cast_signed().into()),
            4 => MetaValue::Unsigned(cursor.u32(what)?.into()),
            5 => MetaValue::Signed(cursor.u32(what)?.cast_signed().into()),
            6 => MetaValue::Float(f32::from_bits(cursor.u32(what)?).into()),
            7 => MetaValue::Bool(self.boolean()?),
            8 => MetaValue::Text(cursor.string(what)?),
            ARRAY => MetaValue::Array(self.array(depth)?),
            10 => MetaValue::Unsigned(cursor.u64(what)?),
            11 => MetaValue::Signed(cursor.u64(what)?.cast_signed()),
            12 => MetaValue::Float(f64::from_bits(cursor.u64(what)?)),
            other => return Err(self.wrong("unknown type of metadata value", "a type from 0 to 12", other)),
        })
    }

    fn boolean(&mut self) -> Result<bool, Error> {
        match self.cursor.u8("a boolean")? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.wrong("a boolean is neither true nor false", "0 or 1", other.into())),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<MetaValue>, Error> {
        let kind = self.cursor.u32("the type of an array")?;
        let count = self.cursor.u64("the length of an array")?;
        let item_bytes = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            ARRAY if depth < MAX_DEPTH => 4 + 8,
            ARRAY => return Err(self.wrong("arrays are nested too deep", "at most 4 levels", kind)),
            other => return Err(self.wrong("unknown type of array", "a type from 0 to 12", other)),
        };
        let count = self.cursor.check_count("values of an array", count, *self.values_left, item_bytes)?;
        *self.values_left -= count;
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(self.value(kind, depth + 1)?);
        }
        Ok(values)
    }

    fn wrong(&self, what: &str, expected: &str, found: u32) -> Error {
        Error::new(ErrorKind::Malformed, what)
            .at_byte(self.cursor.position())
            .expected(format!("{expected} for key {:?}", self.key))
            .found(format!("{found}"))
            .hint("the file is damaged; fetch it again")
    }
}
