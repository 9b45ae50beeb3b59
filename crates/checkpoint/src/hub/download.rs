use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use super::cache::{RepoCache, make_parent, not_written};
use super::client::{Client, Remote};
use super::progress::HubProgress;
use super::refusal::Failure;
use super::spec::Spec;
use crate::{Error, ErrorKind};

const PIECE: usize = 1 << 20;

/// Where files come from and go to.
pub(super) struct Source<'a> {
    pub(super) client: &'a Client,
    pub(super) cache: &'a RepoCache,
    pub(super) spec: &'a Spec,
    pub(super) commit: &'a str,
}

/// Files that are there already, and what the hub says of those that are not.
enum State {
    Present(u64),
    Absent(Remote),
}

/// Makes `files` present in the snapshot.
pub(super) fn ensure(source: &Source<'_>, files: &[String], progress: &dyn HubProgress) -> Result<(), Error> {
    let mut states = Vec::with_capacity(files.len());
    let mut total = 0u64;
    for file in files {
        let state = source.state(file)?;
        let (State::Present(bytes) | State::Absent(Remote { bytes, .. })) = state;
        total = total.saturating_add(bytes);
        states.push((file, state));
    }
    progress.started(files.len(), total);
    let mut before = 0;
    for (file, state) in states {
        let bytes = match state {
            State::Present(bytes) => {
                progress.file(file, bytes, bytes);
                bytes
            }
            State::Absent(remote) => {
                source.fetch(file, &remote, before, progress)?;
                remote.bytes
            }
        };
        before += bytes;
        progress.reached(before);
    }
    Ok(())
}

impl Source<'_> {
    fn state(&self, file: &str) -> Result<State, Error> {
        let present = fs::metadata(self.cache.file(self.commit, file)).ok().filter(fs::Metadata::is_file);
        match present {
            Some(found) => Ok(State::Present(found.len())),
            None => self.client.describe(self.spec, self.commit, file).map(State::Absent).map_err(Failure::into_error),
        }
    }

    /// Fetches one file into the blobs and links it; `before` bytes of other files are done.
    fn fetch(&self, file: &str, remote: &Remote, before: u64, progress: &dyn HubProgress) -> Result<(), Error> {
        let blob = self.cache.blob(&remote.etag);
        let _lock = self.cache.lock(&remote.etag)?;
        // Another revision may have the same contents, or another process may have just fetched them.
        let is_there = fs::metadata(&blob).is_ok_and(|m| m.is_file() && m.len() == remote.bytes);
        if is_there {
            progress.file(file, remote.bytes, remote.bytes);
        } else {
            let part = blob.with_added_extension("incomplete");
            make_parent(&part).map_err(|e| not_written(&part, &e))?;
            let mut transfer = Transfer { file, remote, part: &part, before, progress };
            self.client.repeated(|| transfer.run(self)).map_err(Failure::into_error)?;
            fs::rename(&part, &blob).map_err(|e| not_written(&blob, &e))?;
        }
        self.cache.link(&remote.etag, self.commit, file)
    }
}

/// One file on its way into `<etag>.incomplete`.
struct Transfer<'a> {
    file: &'a str,
    remote: &'a Remote,
    part: &'a Path,
    before: u64,
    progress: &'a dyn HubProgress,
}

impl Transfer<'_> {
    /// Fetches what is missing of the file and checks all of it. What has arrived stays for the next try, unless it is
    /// wrong.
    fn run(&mut self, source: &Source<'_>) -> Result<(), Failure> {
        let io = |e| Failure::Final(not_written(self.part, &e));
        let bytes = self.remote.bytes;
        let mut out =
            File::options().create(true).truncate(false).read(true).write(true).open(self.part).map_err(io)?;
        let mut sum = Checksum::new(self.remote);
        let mut done = out.metadata().map_err(io)?.len();
        if done > bytes {
            (out, done) = (self.emptied().map_err(io)?, 0);
        }
        // Whole or not, what was there has to be part of the digest.
        copied(&mut out, |piece| sum.update(piece)).map_err(io)?;
        self.progress.file(self.file, bytes, done);
        self.progress.reached(self.before + done);
        if done < bytes {
            let (begins, mut body) = source.client.body(source.spec, source.commit, self.file, done)?;
            if begins != done {
                (out, done, sum) = (self.emptied().map_err(io)?, 0, Checksum::new(self.remote));
            }
            self.receive(&mut body, &mut out, &mut sum, done)?;
        }
        if sum.agrees() {
            return out.sync_all().map_err(io);
        }
        fs::remove_file(self.part).map_err(io)?;
        Err(Failure::Final(
            Error::new(ErrorKind::Hub, format!("{} did not arrive as the hub has it", self.file))
                .expected(format!("the digest {}", self.remote.etag))
                .found("another digest")
                .hint("fetch it again; if it happens again, something between here and the hub changes files"),
        ))
    }

    fn receive(&self, body: &mut impl Read, out: &mut File, sum: &mut Checksum, mut done: u64) -> Result<(), Failure> {
        let bytes = self.remote.bytes;
        let mut piece = vec![0; PIECE];
        loop {
            if self.progress.is_cancelled() {
                let error = Error::new(ErrorKind::Hub, "the download was cancelled");
                return Err(Failure::Final(error.hint("what has arrived is kept; the next fetch goes on from there")));
            }
            let broke =
                |found: String| Error::new(ErrorKind::Hub, format!("{} did not arrive whole", self.file)).found(found);
            let read = match body.read(&mut piece) {
                Ok(read) => read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Failure::Passing(broke(e.to_string()))),
            };
            if read == 0 {
                let found = format!("{done} of {bytes} bytes");
                return if done == bytes { Ok(()) } else { Err(Failure::Passing(broke(found))) };
            }
            done += read as u64;
            if done > bytes {
                fs::remove_file(self.part).map_err(|e| Failure::Final(not_written(self.part, &e)))?;
                return Err(Failure::Final(broke(format!("more than the {bytes} bytes that were announced"))));
            }
            let arrived = &piece[..read];
            out.write_all(arrived).map_err(|e| Failure::Final(not_written(self.part, &e)))?;
            sum.update(arrived);
            self.progress.reached(self.before + done);
        }
    }

    /// The file, empty.
    fn emptied(&self) -> std::io::Result<File> {
        File::options().create(true).truncate(true).read(true).write(true).open(self.part)
    }
}

/// Reads `file` to its end; its position is there afterwards.
fn copied(file: &mut File, mut take: impl FnMut(&[u8])) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            read => take(&piece[..read]),
        }
    }
}

/// The digest that an entity tag is: 64 hexadecimal digits are the SHA-256 of the contents, 40 the id of a git blob.
/// Mirrors may give others, which say nothing about the contents; then the length alone is checked.
struct Checksum {
    context: Option<Context>,
    expected: String,
}

impl Checksum {
    fn new(remote: &Remote) -> Self {
        let is_hex = remote.etag.bytes().all(|b| b.is_ascii_hexdigit());
        let context = match remote.etag.len() {
            64 if is_hex => Some(Context::new(&SHA256)),
            40 if is_hex => {
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                context.update(format!("blob {}\0", remote.bytes).as_bytes());
                Some(context)
            }
            _ => None,
        };
        Self { context, expected: remote.etag.to_ascii_lowercase() }
    }

    fn update(&mut self, bytes: &[u8]) {
        if let Some(context) = &mut self.context {
            context.update(bytes);
        }
    }

    fn agrees(self) -> bool {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        self.context.is_none_or(|context| hex(context.finish().as_ref()) == self.expected)
    }
}
