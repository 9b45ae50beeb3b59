use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use object_store::ObjectMeta;
use object_store::path::Path as Key;
use tokio::runtime::{Builder, Runtime};

use super::address::{Address, Scheme};
use super::bucket::Bucket;
use super::connect;
use super::file::{RemoteFile, Request};
use super::held::Held;
use super::options::StoreOptions;
use super::refusal;
use super::traffic::Traffic;
use crate::backing::Backing;
use crate::files::Files;
use crate::{Error, ErrorKind};

/// First bytes of an object, fetched to learn its length and version; the header of a file of safetensors is in them as a rule.
const HEAD_BYTES: u64 = 64 << 10;

/// A listing takes no longer.
const LISTING_SECONDS: u64 = 120;

/// What a web server, which cannot list its files, is asked for in a folder.
const WEIGHTS: [&str; 2] = ["model.safetensors", "model.safetensors.index.json"];

/// A store, with its own threads and what was fetched from it.
pub(super) struct Place {
    pub(super) bucket: Arc<Bucket>,
    pub(super) held: Arc<Held>,
    pub(super) options: StoreOptions,
    traffic: Arc<Traffic>,
    threads: Threads,
    /// Objects that were looked at and not opened yet.
    seen: Mutex<HashMap<PathBuf, Result<Seen, Error>>>,
    files: AtomicUsize,
}

/// The start of an object, and what the store says of it.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) key: Key,
    pub(super) meta: ObjectMeta,
    pub(super) head: Bytes,
}

/// Threads that wait for the network. They are left to themselves at the end: what still waits has nobody to tell.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Place {
    pub(super) fn new(address: Address, options: &StoreOptions) -> Result<Arc<Self>, Error> {
        let traffic = Arc::new(Traffic::default());
        let client = connect::client(&address, options, &traffic)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(options.connections.max(1))
            .thread_name("tomograph-store")
            .enable_time()
            .build()
            .map_err(|cause| Error::io(&address.shown(), cause))?;
        Ok(Arc::new(Self {
            bucket: Arc::new(Bucket { address, client }),
            held: Arc::new(Held::new(options.held_bytes, options.piece_bytes, options.connections)),
            options: options.clone(),
            traffic,
            threads: Threads(Some(runtime)),
            seen: Mutex::default(),
            files: AtomicUsize::new(0),
        }))
    }

    pub(super) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Starts `work` on the store's threads.
    pub(super) fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.threads.0 {
            runtime.spawn(work);
        }
    }

    /// Does all of `work` side by side and waits for it; results are in its order. `path` is for an error.
    pub(super) fn all<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        path: &Path,
        work: impl Iterator<Item = F>,
    ) -> Result<Vec<T>, Error> {
        let (sender, receiver) = mpsc::channel();
        let mut count = 0;
        for (index, one) in work.enumerate() {
            let sender = sender.clone();
            self.start(async move {
                // A caller that went away needs no answer.
                let _ = sender.send((index, one.await));
            });
            count += 1;
        }
        drop(sender);
        let mut done: Vec<_> = receiver.iter().collect();
        done.sort_by_key(|(index, _)| *index);
        if done.len() == count { Ok(done.into_iter().map(|(_, one)| one).collect()) } else { Err(refusal::lost(path)) }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<PathBuf, Result<Seen, Error>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The start of the object at `path`: as it was seen already, else asked for now.
    pub(super) fn look(&self, path: &Path) -> Result<Seen, Error> {
        if let Some(seen) = self.seen().remove(path) {
            return seen;
        }
        let looked = self.all(path, std::iter::once(self.looking(path)?))?;
        looked.into_iter().next().unwrap_or_else(|| Err(refusal::lost(path)))
    }

    fn looking(&self, path: &Path) -> Result<impl Future<Output = Result<Seen, Error>> + use<>, Error> {
        let (bucket, path, key) = (Arc::clone(&self.bucket), path.to_owned(), self.bucket.address.key(path)?);
        Ok(async move {
            let (head, meta) = bucket.fetch(&key, &path, None, 0..HEAD_BYTES).await?;
            Ok(Seen { key, meta, head })
        })
    }

    /// Which of the files at `paths` are there.
    pub(super) fn present(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
        self.look_ahead(paths);
        let mut seen = self.seen();
        let (mut present, mut refusals) = (Vec::new(), Vec::new());
        for path in paths {
            match seen.get(path) {
                Some(Ok(_)) => present.push(path.clone()),
                Some(Err(_)) => refusals.extend(seen.remove(path).and_then(Result::err)),
                None => {}
            }
        }
        // Some servers forbid what they do not have; so one file that is there is answer enough.
        let real = refusals.into_iter().find(|error| !error.is_absence());
        match real {
            Some(error) if present.is_empty() => Err(error),
            _ => Ok(present),
        }
    }

    fn look_ahead(&self, paths: &[PathBuf]) {
        let Ok(work) = paths.iter().map(|path| self.looking(path)).collect::<Result<Vec<_>, _>>() else { return };
        if let Some(first) = paths.first()
            && let Ok(looked) = self.all(first, work.into_iter())
        {
            self.seen().extend(paths.iter().cloned().zip(looked));
        }
    }

    fn listed(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let (bucket, key, path) = (Arc::clone(&self.bucket), self.bucket.address.key(folder)?, folder.to_owned());
        let listing = async move {
            let prefix = Some(&key).filter(|key| !key.as_ref().is_empty());
            let listing = bucket.client.list_with_delimiter(prefix);
            match tokio::time::timeout(Duration::from_secs(LISTING_SECONDS), listing).await {
                Ok(listed) => listed.map_err(|cause| refusal::refused(&cause, &path, &bucket.address)),
                Err(_) => Err(refusal::unexpected(&path, "a listing".into(), "one that does not end".into())),
            }
        };
        let listed = self.all(folder, std::iter::once(listing))?.into_iter().next();
        let listed = listed.unwrap_or_else(|| Err(refusal::lost(folder)))?;
        let names = listed.objects.iter().filter_map(|object| object.location.filename());
        let mut files: Vec<PathBuf> = names.map(|name| folder.join(name)).collect();
        files.sort();
        Ok(files)
    }

    pub(super) fn opened(self: &Arc<Self>, path: &Path) -> Result<RemoteFile, Error> {
        Ok(self.file(path, self.look(path)?))
    }

    /// The object at `path`, which was looked at.
    pub(super) fn file(self: &Arc<Self>, path: &Path, seen: Seen) -> RemoteFile {
        let Seen { key, meta, head } = seen;
        let length = usize::try_from(meta.size).unwrap_or(usize::MAX);
        let request = Request { bucket: Arc::clone(&self.bucket), path: path.to_owned(), key, pinned: meta };
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        RemoteFile::new(Arc::clone(self), request, number, length, head)
    }
}

impl Files for Arc<Place> {
    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let is_web = self.bucket.address.scheme == Scheme::Web;
        let files = if is_web { self.present(&WEIGHTS.map(|name| folder.join(name)))? } else { self.listed(folder)? };
        if !files.is_empty() {
            return Ok(files);
        }
        let error = Error::new(ErrorKind::Store, "there is no checkpoint at this address").in_file(folder);
        Err(if is_web {
            let hint = "a web server cannot be asked what it has: name the .safetensors, .gguf or index file itself";
            error.expected(WEIGHTS.join(" or ")).found("neither").hint(hint)
        } else {
            error.expected("objects whose names begin with it").found("none").hint("check the spelling and the bucket")
        })
    }

    fn open(&self, path: &Path) -> Result<Backing, Error> {
        Ok(Backing::Remote(Box::new(self.opened(path)?)))
    }

    fn text(&self, path: &Path, most: u64) -> Result<Option<Vec<u8>>, Error> {
        let file = match self.opened(path) {
            Err(error) if error.is_absence() => return Ok(None),
            file => file?,
        };
        file.all(most).map(Some)
    }

    fn expect(&self, paths: &[PathBuf]) {
        self.look_ahead(paths);
    }
}
