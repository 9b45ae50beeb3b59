//! What it means when the hub says no, says something odd, or says nothing.

use ureq::http::Response;
use ureq::{Body, Timeout};

use super::spec::Spec;
use crate::{Error, ErrorKind};

/// A failed request, by what may be done about it.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no way to the hub: the cache may help.
    Unreachable(Error),
    /// It may work the next time.
    Passing(Error),
    /// It will not.
    Final(Error),
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Unreachable(error) | Self::Passing(error) | Self::Final(error) => error,
        }
    }
}

/// Passes an answer that has what was asked for, or a redirect; else says what the status means for the user.
pub(super) fn check(
    response: &Response<Body>,
    spec: &Spec,
    file: Option<&str>,
    has_token: bool,
) -> Result<(), Failure> {
    let status = response.status();
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    let code = response.headers().get("x-error-code").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let repo = spec.repo();
    let error = |what: String, hint: &str| Error::new(ErrorKind::Hub, what).found(status.to_string()).hint(hint);
    let final_error = |what: String, hint: &str| Err(Failure::Final(error(what, hint)));
    match (status.as_u16(), code) {
        (401, _) if !has_token => final_error(
            format!("the hub shows {repo} to nobody without a token"),
            "check the spelling (it is also the answer for a name that does not exist), or set HF_TOKEN; a file or \
                 folder of that name does not exist here either",
        ),
        (401, _) => final_error(
            format!("the hub does not accept the token for {repo}"),
            "check the spelling, and that HF_TOKEN (or the token file in HF_HOME) is valid and may read it",
        ),
        (403, _) => final_error(
            format!("access to {repo} is restricted"),
            "accept its terms on its page with the account that the token belongs to",
        ),
        (404, "RevisionNotFound") => final_error(
            format!("{repo} has no revision {}", spec.revision),
            "give a branch, a tag, a commit or refs/pr/N after @",
        ),
        (404, _) => final_error(
            match file {
                Some(file) => format!("{repo} has no file {file} at revision {}", spec.revision),
                None => format!("there is no repository {repo} with a revision {} on the hub", spec.revision),
            },
            "check the spelling; a file or folder of that name does not exist here either",
        ),
        (408 | 429 | 500 | 502 | 503 | 504, _) => {
            Err(Failure::Passing(error(format!("the hub cannot serve {repo} now"), "try again later")))
        }
        _ => final_error(format!("the hub refuses {repo}"), "try again later"),
    }
}

/// An answer that no hub should give.
pub(super) fn unexpected(url: &str, found: &str) -> Failure {
    Failure::Final(Error::new(ErrorKind::Hub, format!("unexpected answer from {url}")).found(found))
}

/// A request that got no answer.
pub(super) fn failure(error: ureq::Error, url: &str) -> Failure {
    use std::io::ErrorKind as Io;
    let described = |what: &str| Error::new(ErrorKind::Hub, format!("{what}: {url}")).found(error.to_string());
    let unreachable = || {
        let hint = "check the network and HF_ENDPOINT; with HF_HUB_OFFLINE=1 only the cache is used";
        Failure::Unreachable(described("the hub cannot be reached").hint(hint))
    };
    match &error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => unreachable(),
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => unreachable(),
        ureq::Error::Io(io) => match io.kind() {
            Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable | Io::AddrNotAvailable => {
                unreachable()
            }
            _ => Failure::Passing(described("the connection broke")),
        },
        ureq::Error::Timeout(_) => Failure::Passing(described("the hub does not answer in time")),
        _ => Failure::Final(described("the request failed")),
    }
}
