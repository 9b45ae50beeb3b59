//! The compiled normalisation of SentencePiece, checked before the library walks it: it indexes without looking.
//!
//! Layout: bytes of the trie (u32), the trie (u32 units of a double array), then replacement texts that end with a zero
//! byte. A unit is one of: offset to its children (bits 10 to 30, times 256 where bit 9 is set), label (bits 0 to 7 and bit 31),
//! whether a value follows (bit 8).

use crate::{TextError, TextErrorKind};

/// Refuses a map in which some text could lead outside it.
pub(super) fn check(map: &[u8]) -> Result<(), TextError> {
    let wrong = |what: &str| {
        TextError::new(TextErrorKind::Malformed, "the tokenizer's compiled normalisation is damaged")
            .found(what)
            .hint("fetch or convert the tokenizer again")
    };
    let (head, rest) = map.split_first_chunk::<4>().ok_or_else(|| wrong("fewer than 4 bytes"))?;
    let length = u32::from_le_bytes(*head) as usize;
    let units = rest.get(..length).filter(|t| !t.is_empty() && t.len().is_multiple_of(4));
    let units = units.ok_or_else(|| wrong("a trie longer than the map, or of no whole units"))?;
    let units: Vec<u32> = units.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let texts = std::str::from_utf8(&rest[length..]).map_err(|_| wrong("replacements that are not UTF-8"))?;
    walk(&units, texts).map_err(wrong)
}

fn walk(units: &[u32], texts: &str) -> Result<(), &'static str> {
    let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
    let mut seen = vec![false; units.len()];
    let mut open = vec![offset(units[0])];
    while let Some(base) = open.pop() {
        if base >= units.len() || std::mem::replace(&mut seen[base], true) {
            if base >= units.len() {
                return Err("a branch that leads outside the trie");
            }
            continue;
        }
        for label in 1..=255usize {
            let at = base ^ label;
            let unit = *units.get(at).ok_or("a branch that leads outside the trie")?;
            if unit & (1 << 31 | 0xff) != label as u32 {
                continue;
            }
            let child = at ^ offset(unit);
            if (unit >> 8) & 1 == 1 {
                let value = *units.get(child).ok_or("a value outside the trie")? & !(1 << 31);
                if !texts.is_char_boundary(value as usize) {
                    return Err("a replacement outside the texts");
                }
            }
            open.push(child);
        }
    }
    Ok(())
}
