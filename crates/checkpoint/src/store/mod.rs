//! Checkpoints in object stores and on web servers, read by ranges: only the tensors that are decoded are fetched.
//!
//! [`crate::open`] takes an address where it takes a path: `s3://bucket/folder`, `gs://…`, `az://…` or `https://…` of a Hugging Face
//! folder, or of one `.safetensors`, `.safetensors.index.json` or `.gguf` file. Where stores are and who asks is said by environment
//! variables, as the crate object_store reads them ([`StoreOptions::from_env`]).
//!
//! Opening fetches configuration, index and headers. [`Source::decode`] fetches the range it decodes in pieces, several at a time,
//! and hands on each as it arrives; a reader that goes on where it stopped is read ahead of. What was fetched is held until it is
//! [released](Source::release) or a budget of memory is full. Nothing of a tensor is ever written to disk; the files of a
//! tokenizer are, when they are asked for ([`Source::companions`]).
//!
//! An object is read in the version that was opened: every request carries its entity tag, and another version is an error. The
//! other side is not trusted: lengths, ranges and names are checked, answers have limits, and silence ends.

mod address;
mod bucket;
mod companions;
mod connect;
mod file;
mod held;
mod http;
mod options;
mod place;
mod refusal;
mod traffic;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use address::Address;
use place::Place;

pub use options::StoreOptions;
pub use traffic::{Account, take_accounts};

use crate::checkpoint::Origin;
use crate::formats::{folder, sharded};
use crate::open::open_file;
use crate::{Error, ErrorKind, Fetched, Source, refuse};

/// The weights of an adapter.
const ADAPTER: &str = "adapter_model.safetensors";

/// Whether `path` is an address of a store: `s3://bucket/folder`, say.
pub fn is_address(path: &Path) -> bool {
    path.to_str().is_some_and(|text| address::split(text).is_some())
}

/// The address without what may be secret in it (the query of a signed web address, a password); any other text as it is.
pub fn without_secrets(text: &str) -> String {
    address::without_secrets(text)
}

/// Opens the checkpoint at an address.
///
/// # Errors
/// An address that cannot be used, a store that cannot be reached or refuses, and what [`crate::open`] refuses.
pub fn open(address: &Path, options: &StoreOptions) -> Result<Arc<dyn Source>, Error> {
    let address = Address::parse(address.to_str().unwrap_or_default())?;
    let shown = address.shown();
    if refuse::is_pickle_name(&shown) {
        return Err(refuse::pickle(&shown));
    }
    let place = Place::new(address, options)?;
    traffic::watch(&shown, place.traffic());
    let is_file =
        [".safetensors", ".gguf", sharded::INDEX_SUFFIX].iter().any(|suffix| folder::has_suffix(&shown, suffix));
    let (opened, folder) = if is_file {
        (open_file(&place, &shown)?, shown.parent().unwrap_or(&shown).to_owned())
    } else {
        (folder::open(&place, &shown)?, shown)
    };
    if opened.files().iter().any(|file| file.ends_with(ADAPTER)) {
        return Err(Error::new(ErrorKind::Unsupported, "this is an adapter, and adapters are read from disk")
            .in_file(&folder)
            .found(ADAPTER)
            .hint("copy its folder here; it is small"));
    }
    Ok(Arc::new(opened.with_origin(Box::new(Remote { place, folder, companions: Mutex::default() }))))
}

/// Where a checkpoint came from.
struct Remote {
    place: Arc<Place>,
    folder: PathBuf,
    /// Once they are on disk.
    companions: Mutex<Option<PathBuf>>,
}

impl Origin for Remote {
    fn companions(&self) -> Result<PathBuf, Error> {
        let mut known = self.companions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = known.as_ref() {
            return Ok(folder.clone());
        }
        let folder = companions::fetch(&self.place, &self.folder)?;
        Ok(known.insert(folder).clone())
    }

    fn fetched(&self) -> Fetched {
        self.place.traffic().total()
    }

    fn hold_at_most(&self, bytes: u64) {
        self.place.held.lower(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
}
