/// Hears how a download goes. Every method does nothing unless it is written; `()` hears nothing.
pub trait HubProgress {
    /// Before the first byte: how many files will be present at the end and how many bytes they have, those already in
    /// the cache included.
    fn started(&self, files: usize, bytes: u64) {
        let _ = (files, bytes);
    }

    /// A file comes next; `bytes_done` of its `bytes` are there already (all, when it is cached).
    fn file(&self, name: &str, bytes: u64, bytes_done: u64) {
        let _ = (name, bytes, bytes_done);
    }

    /// Bytes present in all files together. It ends at the number that [`HubProgress::started`] gave, and may fall when a
    /// download has to begin again.
    fn reached(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Something the user should know, one sentence.
    fn note(&self, text: &str) {
        let _ = text;
    }

    /// Asked between pieces of a file; `true` ends the fetch with an error. What has arrived is kept for the next one.
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl HubProgress for () {}
