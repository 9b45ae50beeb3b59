//! The `.dat` format, little endian: i32 entries; per entry i32 length, name, i32 calls, i32 values, f32 values (mean times
//! calls); then, optionally, i32 chunks, i32 length, dataset.

use tomo_checkpoint::{Error, ErrorKind};

use super::{Imatrix, ImatrixEntry};

/// Bytes that the shortest entry takes.
const SHORTEST_ENTRY: usize = 17;

/// The file's bytes. Entries that no token came to are left out, as llama.cpp does.
pub(super) fn bytes(imatrix: &Imatrix) -> Result<Vec<u8>, Error> {
    let stored: Vec<_> = imatrix.entries.iter().filter(|(_, entry)| entry.counts.iter().any(|n| *n > 0)).collect();
    let mut out = Vec::new();
    out.extend(length(stored.len())?);
    for (name, entry) in stored {
        out.extend(length(name.len())?);
        out.extend(name.as_bytes());
        let most = entry.counts.iter().copied().max().unwrap_or(0);
        // Without a chunk size, each token is a call of its own: what counts is that means come back.
        let calls = most.div_ceil(u64::from(imatrix.chunk_size.max(1)));
        out.extend(length(usize::try_from(calls).unwrap_or(usize::MAX))?);
        out.extend(length(entry.in_sum2.len())?);
        let per_matrix = entry.in_sum2.len() / entry.counts.len().max(1);
        for (sums, count) in entry.in_sum2.chunks(per_matrix.max(1)).zip(&entry.counts) {
            let mean = |sum: &f64| if *count == 0 { 1.0 } else { sum / *count as f64 };
            out.extend(sums.iter().flat_map(|sum| ((mean(sum) * calls as f64) as f32).to_le_bytes()));
        }
    }
    out.extend(length(imatrix.chunk_count as usize)?);
    let dataset = imatrix.datasets.last().map_or("", String::as_str);
    out.extend(length(dataset.len())?);
    out.extend(dataset.as_bytes());
    Ok(out)
}

fn length(count: usize) -> Result<[u8; 4], Error> {
    let count = i32::try_from(count).map_err(|_| {
        Error::new(ErrorKind::Unsupported, "too much for a legacy imatrix")
            .expected("counts below 2^31")
            .found(count.to_string())
            .hint("write the GGUF format")
    })?;
    Ok(count.to_le_bytes())
}

/// What the bytes of a file hold.
pub(super) fn parse(bytes: &[u8]) -> Result<Imatrix, Error> {
    let mut cursor = Cursor { bytes, at: 0 };
    let entries = cursor.count("number of entries")?;
    if entries == 0 || entries > bytes.len() / SHORTEST_ENTRY {
        return Err(cursor
            .error("this is no imatrix", 0)
            .expected("GGUF, or a legacy imatrix that begins with its number of entries")
            .found(format!("{entries} entries in {} bytes", bytes.len()))
            .hint("llama-imatrix writes such files"));
    }
    let mut imatrix = Imatrix::default();
    for _ in 0..entries {
        let name = cursor.text("name of an entry")?;
        let calls = cursor.count("calls of an entry")?;
        let values = cursor.count("values of an entry")?;
        let start = cursor.at;
        let raw = cursor.take(values.saturating_mul(4), "values of an entry")?;
        let in_sum2 = raw.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect();
        // As llama.cpp: without calls the values are means already.
        let entry = ImatrixEntry { in_sum2, counts: vec![calls.max(1) as u64], in_sum: None };
        if imatrix.entries.insert(name.clone(), entry).is_some() {
            return Err(cursor.error("entry twice", start).in_tensor(&name));
        }
    }
    if cursor.at < bytes.len() {
        imatrix.chunk_count = u32::try_from(cursor.count("number of chunks")?).unwrap_or(u32::MAX);
        let dataset = if cursor.at < bytes.len() { cursor.text("name of the dataset")? } else { String::new() };
        imatrix.datasets.extend((!dataset.is_empty()).then_some(dataset));
    }
    imatrix.check()?;
    Ok(imatrix)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..length).ok_or_else(|| {
            self.error(&format!("{what} runs past the end of the file"), self.at)
                .expected(format!("{length} bytes"))
                .found(format!("{}", rest.len()))
        })?;
        self.at += length;
        Ok(taken)
    }

    /// A number of things, which is not negative.
    fn count(&mut self, what: &str) -> Result<usize, Error> {
        let start = self.at;
        let raw = self.take(4, what)?.try_into().unwrap_or_default();
        let count = i32::from_le_bytes(raw);
        usize::try_from(count).map_err(|_| {
            self.error(&format!("{what} is negative"), start).expected("0 or more").found(count.to_string())
        })
    }

    fn text(&mut self, what: &str) -> Result<String, Error> {
        let length = self.count(what)?;
        let start = self.at;
        let raw = self.take(length, what)?;
        String::from_utf8(raw.to_vec())
            .map_err(|_| self.error(&format!("{what} is not text"), start).expected("UTF-8").found("other bytes"))
    }

    fn error(&self, what: &str, byte: usize) -> Error {
        Error::new(ErrorKind::Malformed, what).at_byte(byte as u64)
    }
}
