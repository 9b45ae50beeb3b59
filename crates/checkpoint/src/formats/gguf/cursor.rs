use crate::backing::Head;
use crate::layout::MAX_HEADER_BYTES;
use crate::{Error, ErrorKind};

/// Reads a header front to back. Every length is checked against what is left before anything is taken or allocated.
pub(super) struct Cursor<'a> {
    header: &'a [u8],
    at: usize,
    /// The file goes on after what may be header, so that running out means "too long" and not "truncated".
    is_capped: bool,
    /// Bytes of the file.
    file_bytes: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(file: Head<'a>) -> Self {
        let most = usize::try_from(MAX_HEADER_BYTES).unwrap_or(usize::MAX);
        let header = file.bytes.get(..most).unwrap_or(file.bytes);
        let is_capped = header.len() == most && file.file_bytes > MAX_HEADER_BYTES;
        Self { header, at: 0, is_capped, file_bytes: file.file_bytes }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        u64::try_from(self.at).unwrap_or(u64::MAX)
    }

    /// The bytes read since `start`, an earlier [`Cursor::position`].
    pub(super) fn since(&self, start: u64) -> &'a [u8] {
        let start = usize::try_from(start).unwrap_or(self.at);
        self.header.get(start..self.at).unwrap_or_default()
    }

    fn left(&self) -> u64 {
        u64::try_from(self.header.len() - self.at).unwrap_or(u64::MAX)
    }

    /// The next `n` bytes, which are `what`.
    pub(super) fn take(&mut self, n: u64, what: &str) -> Result<&'a [u8], Error> {
        let end = usize::try_from(n).ok().and_then(|n| self.at.checked_add(n));
        let taken = end.and_then(|end| self.header.get(self.at..end));
        let Some(taken) = taken else {
            return Err(self.ran_out(format!("{n} bytes for {what}"), n));
        };
        self.at += taken.len();
        Ok(taken)
    }

    /// `bytes` more were needed.
    fn ran_out(&self, expected: String, bytes: u64) -> Error {
        let error = if self.is_capped {
            Error::new(ErrorKind::Malformed, "the GGUF header is too long")
                .found(format!("the limit of {MAX_HEADER_BYTES} bytes of header"))
                .hint("a count or a length in the header is wrong; fetch the file again")
        } else {
            Error::new(ErrorKind::Malformed, "the GGUF header runs past the end of the file")
                .found(format!("{} bytes before the file ends", self.file_bytes.saturating_sub(self.position())))
                .hint("the download or copy is probably incomplete; fetch the file again")
        };
        error.at_byte(self.position()).expected(expected).needing(self.position().saturating_add(bytes))
    }

    /// Refuses a count of items, each at least `item_bytes` long, that cannot be in what is left.
    pub(super) fn check_count(&self, what: &str, count: u64, most: usize, item_bytes: u64) -> Result<usize, Error> {
        let checked = usize::try_from(count).ok().filter(|&n| n <= most);
        let Some(checked) = checked else {
            return Err(Error::new(ErrorKind::Malformed, format!("too many {what}"))
                .at_byte(self.position())
                .expected(format!("at most {most}"))
                .found(format!("{count}"))
                .hint("the count is wrong; fetch the file again"));
        };
        match count.checked_mul(item_bytes) {
            Some(bytes) if bytes <= self.left() => Ok(checked),
            bytes => {
                let expected = format!("{count} {what} of at least {item_bytes} bytes each");
                Err(self.ran_out(expected, bytes.unwrap_or(u64::MAX)))
            }
        }
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(u64::try_from(N).unwrap_or(u64::MAX), what)?);
        Ok(bytes)
    }

    pub(super) fn u8(&mut self, what: &str) -> Result<u8, Error> {
        self.array::<1>(what).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self, what: &str) -> Result<u16, Error> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, Error> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, Error> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String, Error> {
        let at = self.position();
        let length = self.u64(what)?;
        let bytes = self.take(length, what)?;
        let text = std::str::from_utf8(bytes).map_err(|cause| {
            Error::new(ErrorKind::Malformed, format!("{what} is not UTF-8"))
                .at_byte(at)
                .expected("text in UTF-8")
                .found(cause.to_string())
                .hint("the file is damaged; fetch or convert it again")
        })?;
        Ok(text.to_owned())
    }
}
