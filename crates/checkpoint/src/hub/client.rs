use std::io::Read;
use std::thread;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::{Response, StatusCode, Uri, header};
use ureq::{Agent, Body};

use super::options::HubOptions;
use super::refusal::{self, Failure, failure, unexpected};
use super::select::is_safe_name;
use super::spec::{Spec, is_commit};
use crate::{Error, ErrorKind};

/// Bytes of a repository's description; the largest have some ten thousand files.
const MAX_LISTING_BYTES: u64 = 32 << 20;
const MAX_REDIRECTS: usize = 6;
/// Characters of a path segment that stay as they are.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the hub says of a file before it is fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Remote {
    /// Entity tag, safe as a file name: the SHA-256 of large files, the git blob id of small ones.
    pub(super) etag: String,
    pub(super) bytes: u64,
}

/// The hub over HTTP.
pub(super) struct Client {
    agent: Agent,
    options: HubOptions,
}

impl Client {
    pub(super) fn new(options: &HubOptions) -> Self {
        let config = Agent::config_builder()
            // Statuses and redirects are read here, so that the token goes to the hub's own origin alone.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("tomograph/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)));
        Self { agent: config.build().into(), options: options.clone() }
    }

    /// The commit of the revision and the names of its files, all of them safe as paths.
    pub(super) fn listing(&self, spec: &Spec) -> Result<(String, Vec<String>), Failure> {
        let revision = utf8_percent_encode(&spec.revision, PLAIN);
        let url = format!("{}/api/models/{}/revision/{revision}", self.options.endpoint, spec.repo());
        let text = self.repeated(|| {
            let mut response = self.send("GET", &url, None, Foreign::Refused)?;
            refusal::check(&response, spec, None, self.options.token.is_some())?;
            let body = response.body_mut().with_config().limit(MAX_LISTING_BYTES);
            body.read_to_vec().map_err(|e| failure(e, &url))
        })?;
        let wrong = |found: &str| {
            Failure::Final(
                Error::new(ErrorKind::Hub, format!("the hub describes {} in a way that cannot be used", spec.repo()))
                    .expected("a JSON object with a commit (sha) and safe file names (siblings)")
                    .found(found),
            )
        };
        let json: serde_json::Value = serde_json::from_slice(&text).map_err(|e| wrong(&e.to_string()))?;
        let commit = json.get("sha").and_then(|s| s.as_str()).filter(|s| is_commit(s));
        let commit = commit.ok_or_else(|| wrong("no commit"))?.to_owned();
        let siblings = json.get("siblings").and_then(|s| s.as_array()).ok_or_else(|| wrong("no siblings"))?;
        let mut names = Vec::with_capacity(siblings.len());
        for sibling in siblings {
            let name =
                sibling.get("rfilename").and_then(|n| n.as_str()).ok_or_else(|| wrong("a file without a name"))?;
            // A repository cannot hold such a name: whoever sends one means no good, whichever file it is.
            if !is_safe_name(name) {
                return Err(wrong(&format!("the file name {name:?}")));
            }
            names.push(name.to_owned());
        }
        Ok((commit, names))
    }

    /// Where `file` of `commit` is.
    pub(super) fn url(&self, spec: &Spec, commit: &str, file: &str) -> String {
        let path: Vec<_> = file.split('/').map(|part| utf8_percent_encode(part, PLAIN).to_string()).collect();
        format!("{}/{}/resolve/{commit}/{}", self.options.endpoint, spec.repo(), path.join("/"))
    }

    /// Entity tag and size of a file.
    pub(super) fn describe(&self, spec: &Spec, commit: &str, file: &str) -> Result<Remote, Failure> {
        let url = self.url(spec, commit, file);
        // Large files are redirected to a storage host; the redirect itself says what they are.
        let response = self.repeated(|| {
            let response = self.send("HEAD", &url, None, Foreign::Returned)?;
            refusal::check(&response, spec, Some(file), self.options.token.is_some())?;
            Ok(response)
        })?;
        let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
        let own = |name: &str| text(name).filter(|_| response.status().is_success());
        let wrong = |what: &str, found: Option<&str>| {
            let error = Error::new(ErrorKind::Hub, format!("the hub gives no usable {what} for {file}"));
            Failure::Final(error.found(found.unwrap_or("nothing")))
        };
        let etag = text("x-linked-etag").or_else(|| own("etag"));
        let name = etag.map(|t| t.trim_start_matches("W/").trim_matches('"')).filter(|t| is_safe_etag(t));
        let name = name.ok_or_else(|| wrong("entity tag", etag))?;
        let size = text("x-linked-size").or_else(|| own("content-length"));
        let bytes: u64 = size.and_then(|s| s.parse().ok()).ok_or_else(|| wrong("size", size))?;
        if bytes > self.options.max_file_bytes {
            return Err(Failure::Final(
                Error::new(ErrorKind::Hub, format!("{file} is too large"))
                    .expected(format!("at most {} bytes", self.options.max_file_bytes))
                    .found(format!("{bytes}")),
            ));
        }
        Ok(Remote { etag: name.to_owned(), bytes })
    }

    /// The bytes of a file from `start` on; also where they really start, for a server may send all of it.
    pub(super) fn body(&self, spec: &Spec, commit: &str, file: &str, start: u64) -> Result<(u64, impl Read), Failure> {
        let url = self.url(spec, commit, file);
        let response = self.send("GET", &url, Some(start).filter(|s| *s > 0), Foreign::Followed)?;
        refusal::check(&response, spec, Some(file), self.options.token.is_some())?;
        let begins = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok());
                let from = range.and_then(|r| r.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok());
                from.filter(|f| *f == start).ok_or_else(|| unexpected(&url, "another range of bytes"))?
            }
            status => return Err(unexpected(&url, &format!("status {status}"))),
        };
        Ok((begins, response.into_body().into_reader()))
    }

    /// Makes a request again while it fails in passing.
    pub(super) fn repeated<T>(&self, mut request: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut delay = self.options.retry_delay;
        for _ in 0..self.options.retries {
            match request() {
                Err(Failure::Passing(_)) => thread::sleep(delay),
                done => return done,
            }
            delay = delay.saturating_mul(2);
        }
        request()
    }

    fn send(&self, method: &str, url: &str, from: Option<u64>, foreign: Foreign) -> Result<Response<Body>, Failure> {
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let is_home = origin(&url) == origin(&self.options.endpoint);
            let mut request = match method {
                "HEAD" => self.agent.head(&url),
                _ => self.agent.get(&url),
            };
            // Compressed bytes would have another length than the one announced.
            request = request.header(header::ACCEPT_ENCODING, "identity");
            if let Some(token) = self.options.token.as_ref().filter(|_| is_home) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            if let Some(from) = from {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = request.call().map_err(|e| failure(e, &url))?;
            let location = response.headers().get(header::LOCATION).filter(|_| response.status().is_redirection());
            let Some(location) = location else { return Ok(response) };
            let next = joined(&url, location.to_str().unwrap_or_default());
            let next = next.ok_or_else(|| unexpected(&url, "a redirect that is no address"))?;
            if origin(&next) != origin(&self.options.endpoint) {
                match foreign {
                    Foreign::Refused => return Err(unexpected(&url, &format!("a redirect to {next}"))),
                    Foreign::Returned => return Ok(response),
                    Foreign::Followed if is_encrypted(&self.options.endpoint) && !is_encrypted(&next) => {
                        return Err(unexpected(&url, &format!("a redirect to the unencrypted {next}")));
                    }
                    Foreign::Followed => {}
                }
            }
            url = next;
        }
        Err(unexpected(&url, "too many redirects"))
    }
}

/// What to do about a redirect to another origin than the hub's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Foreign {
    Refused,
    Returned,
    Followed,
}

/// An entity tag becomes the name of a file.
fn is_safe_etag(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (8..=128).contains(&text.len()) && text.bytes().all(allowed)
}

/// Scheme, host and port.
fn origin(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_ascii_lowercase()))
}

fn is_encrypted(url: &str) -> bool {
    origin(url).is_some_and(|(scheme, _)| scheme == "https")
}

/// The address that `location` in an answer from `url` means: another address, or a path on the same host.
fn joined(url: &str, location: &str) -> Option<String> {
    if location.starts_with('/') && !location.starts_with("//") {
        let (scheme, authority) = origin(url)?;
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let (scheme, _) = origin(location)?;
    matches!(scheme.as_str(), "http" | "https").then(|| location.to_owned())
}
