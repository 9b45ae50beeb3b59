use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

use super::address::Address;
use super::refusal;
use crate::Error;

/// One store and how it is asked. Everything here waits on the network and runs on the store's own threads.
pub(super) struct Bucket {
    pub(super) address: Address,
    pub(super) client: Arc<dyn ObjectStore>,
}

impl Bucket {
    /// Some bytes of the object `key`, which is shown as `path`, and what the store says of it. Of an object that was opened,
    /// `pinned` is what was said of it then.
    pub(super) async fn fetch(
        &self,
        key: &Key,
        path: &Path,
        pinned: Option<&ObjectMeta>,
        range: Range<u64>,
    ) -> Result<(Bytes, ObjectMeta), Error> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            // A weak tag never matches, by the rules of HTTP.
            if_match: pinned.and_then(|meta| meta.e_tag.clone()).filter(|tag| !tag.starts_with("W/")),
            ..GetOptions::default()
        };
        let refused = |cause: &object_store::Error| refusal::refused(cause, path, &self.address);
        let got = match self.client.get_opts(key, options).await {
            Ok(got) => got,
            Err(object_store::Error::Precondition { .. }) if pinned.is_some() => {
                let now = self.client.get_opts(key, GetOptions { head: true, ..GetOptions::default() }).await;
                let found = now.map_or_else(|_| "another version".to_owned(), |now| version(&now.meta));
                return Err(refusal::changed(path, &pinned.map(version).unwrap_or_default(), &found));
            }
            Err(cause) => return Err(refused(&cause)),
        };
        let meta = got.meta.clone();
        if let Some(pinned) = pinned
            && !is_same(pinned, &meta)
        {
            return Err(refusal::changed(path, &version(pinned), &version(&meta)));
        }
        let bytes = got.bytes().await.map_err(|cause| refused(&cause))?;
        let length = range.end.min(meta.size).saturating_sub(range.start);
        if bytes.len() as u64 != length {
            let expected = format!("{length} bytes from byte {}", range.start);
            return Err(refusal::unexpected(path, expected, format!("{} bytes", bytes.len())));
        }
        Ok((bytes, meta))
    }
}

/// By the entity tag; where a server gives none, by length and time.
fn is_same(pinned: &ObjectMeta, now: &ObjectMeta) -> bool {
    let is_dated = pinned.e_tag.is_none();
    pinned.size == now.size && pinned.e_tag == now.e_tag && (!is_dated || pinned.last_modified == now.last_modified)
}

/// What tells versions of an object apart.
pub(super) fn version(meta: &ObjectMeta) -> String {
    match &meta.e_tag {
        Some(tag) => format!("ETag {tag}, {} bytes", meta.size),
        None => format!("{} bytes, written {}", meta.size, meta.last_modified),
    }
}
