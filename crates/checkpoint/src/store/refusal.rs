//! What a store would not do, in our words.

use std::path::Path;

use object_store::Error as StoreError;

use super::address::{Address, Scheme};
use crate::{Error, ErrorKind};

/// Parts of the addresses where a machine in a cloud is asked who it is, as happens where the environment does not say it.
const CREDENTIAL_SERVICES: [&str; 5] =
    ["169.254.", "/latest/api/token", "/latest/meta-data", "metadata.google", "/computeMetadata/"];

fn error(what: &str, path: &Path) -> Error {
    Error::new(ErrorKind::Store, what).in_file(path)
}

/// Settings with which there is no client.
pub(super) fn unusable(cause: &StoreError, address: &Address) -> Error {
    error("the store cannot be set up", &address.shown()).found(said(cause)).hint(credentials(address.scheme))
}

/// A request that failed.
pub(super) fn refused(cause: &StoreError, path: &Path, address: &Address) -> Error {
    let scheme = address.scheme;
    let text = said(cause);
    let is = |status: &str| text.starts_with(status);
    // Of a listing, object_store tells only the status.
    let whole = cause.to_string();
    let (what, hint) = match cause {
        _ if CREDENTIAL_SERVICES.iter().any(|part| whole.contains(part)) => {
            ("there are no credentials, and this machine was given none", credentials(scheme))
        }
        _ if is_absence(cause, &text) => ("there is no such object", "check the spelling, the bucket and its region"),
        StoreError::Unauthenticated { .. } => ("the store does not know who asks", credentials(scheme)),
        _ if is("401") => ("the store does not know who asks", credentials(scheme)),
        StoreError::PermissionDenied { .. } => ("the store does not allow it", credentials(scheme)),
        _ if is("403") => ("the store does not allow it", credentials(scheme)),
        StoreError::NotSupported { .. } => (
            "the server does not send parts of files",
            "it has to understand ranges; fetch the file and name it instead",
        ),
        _ if is("301") || text.contains("LOCATION") => {
            ("the store is elsewhere", "set AWS_REGION to the region of the bucket")
        }
        _ if is("416") => {
            ("the object ends before what was asked for", "it is empty, or it has changed; look at it in the store")
        }
        _ if is("5") || is("429") => ("the store cannot serve this now", "try again later"),
        _ if text.contains("Requested ") || text.contains("Content-Range") => (
            "the store sent something else than it was asked for",
            "something between here and there changes answers; try another way to it",
        ),
        _ if text.contains("https only") || text.contains("RequireHttpsOnly") => {
            ("the store's address is not encrypted", "AWS_ALLOW_HTTP=true allows that, for servers that you trust")
        }
        _ => ("the store could not be asked", "check the address, the network and the store's endpoint"),
    };
    let kind = if is_absence(cause, &text) { ErrorKind::Missing } else { ErrorKind::Store };
    Error::new(kind, what).in_file(path).found(text).hint(hint)
}

fn is_absence(cause: &StoreError, text: &str) -> bool {
    matches!(cause, StoreError::NotFound { .. }) || text.starts_with("404")
}

/// The object is not the one that was opened.
pub(super) fn changed(path: &Path, expected: &str, found: &str) -> Error {
    error("the object has changed since it was opened", path)
        .expected(expected)
        .found(found)
        .hint("what was read so far is of another checkpoint; start again, and write new versions under new names")
}

/// An answer that is not what was asked for.
pub(super) fn unexpected(path: &Path, expected: String, found: String) -> Error {
    error("the store sent something else than it was asked for", path)
        .expected(expected)
        .found(found)
        .hint("something between here and the store changes answers; try another way to it")
}

/// A request whose task is gone.
pub(super) fn lost(path: &Path) -> Error {
    error("a request ended without an answer", path).hint("this is an error of the program; report it")
}

fn credentials(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::S3 => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or AWS_SKIP_SIGNATURE=true for a public \
             bucket; profiles in ~/.aws are not read"
        }
        Scheme::Google => "set GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT to a file of credentials",
        Scheme::Azure => "set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or another credential",
        Scheme::Web => {
            "web addresses are asked without credentials; take the store's own address, or one that is signed"
        }
    }
}

/// The innermost cause, without addresses: they may be signed.
fn said(cause: &StoreError) -> String {
    let mut innermost: &dyn std::error::Error = cause;
    let mut said = cause.to_string();
    while let Some(source) = innermost.source() {
        innermost = source;
        said = innermost.to_string();
        // Below it there are only words.
        if said.starts_with("Server returned") {
            break;
        }
    }
    let said = said.strip_prefix("Server returned non-2xx status code: ").unwrap_or(&said);
    match (said.find("<Code>"), said.find("</Code>")) {
        (Some(start), Some(end)) if start < end => {
            let status = said.split(':').next().unwrap_or_default();
            format!("{status}: {}", &said[start + 6..end])
        }
        _ => redacted(said),
    }
}

/// The text with every query of an address cut off.
fn redacted(text: &str) -> String {
    text.split_whitespace().map(super::address::without_secrets).collect::<Vec<_>>().join(" ")
}
