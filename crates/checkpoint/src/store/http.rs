//! The HTTP client that object_store speaks through: ureq, with every answer read whole before it is handed on.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body, Timeout};

use super::traffic::Traffic;

/// No request asks for more; a listing's page and a token are far below it.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// All answers to requests without a range together; a listing of a hundred thousand objects is 40 MB.
const MAX_UNNAMED_BYTES: u64 = 256 << 20;

const MAX_REDIRECTS: u32 = 5;

/// Silence is one limit; this many times as long may an answer take altogether.
const PATIENCE: u32 = 10;

/// Makes clients for the builders of object_store.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) traffic: Arc<Traffic>,
    pub(super) connections: usize,
    pub(super) timeout: Duration,
    /// Web servers send elsewhere; a store that does so is asked wrongly, and its signature would not hold there.
    pub(super) follows_redirects: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allows_http = options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|v| v == "true");
        let connect = options.get_config_value(&ClientConfigKey::ConnectTimeout);
        let connect = connect.and_then(|text| text.strip_suffix('s')?.parse().ok()).map(Duration::from_secs);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(!allows_http)
            .max_redirects(if self.follows_redirects { MAX_REDIRECTS } else { 0 })
            .max_redirects_will_error(false)
            .max_idle_connections(self.connections)
            .max_idle_connections_per_host(self.connections)
            .user_agent(concat!("tomograph/", env!("CARGO_PKG_VERSION")))
            // Compressed bytes would have another length than the one that was asked for.
            .accept_encoding("identity")
            .timeout_connect(Some(connect.unwrap_or(self.timeout).min(self.timeout)))
            .timeout_resolve(Some(self.timeout))
            .timeout_recv_response(Some(self.timeout))
            .timeout_per_read(Some(self.timeout))
            .timeout_per_call(Some(self.timeout * PATIENCE));
        Ok(HttpClient::new(Client { agent: config.build().into(), traffic: Arc::clone(&self.traffic) }))
    }
}

#[derive(Clone, Debug)]
struct Client {
    agent: Agent,
    traffic: Arc<Traffic>,
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let client = self.clone();
        let called = tokio::task::spawn_blocking(move || client.send(request)).await;
        called.unwrap_or_else(|e| Err(HttpError::new(HttpErrorKind::Unknown, e)))
    }
}

impl Client {
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let is_ranged = parts.headers.contains_key(header::RANGE);
        let body = body.as_bytes().ok_or_else(|| refused("nothing is written to a store"))?.to_vec();
        let answer = if body.is_empty() {
            self.agent.run(ureq::http::Request::from_parts(parts, ()))
        } else {
            self.agent.run(ureq::http::Request::from_parts(parts, body))
        };
        let (parts, body) = answer.map_err(failed)?.into_parts();
        // A server that sends all of a file where a part was asked for is not listened to: the file may be any size.
        let is_unread = is_ranged && parts.status == StatusCode::OK;
        let bytes = if is_unread { Vec::new() } else { read(&parts.headers, body)? };
        self.traffic.add(bytes.len());
        if !is_ranged && self.traffic.add_unnamed(bytes.len()) > MAX_UNNAMED_BYTES {
            return Err(refused("listings go on for too long"));
        }
        Ok(Response::from_parts(parts, HttpResponseBody::from(bytes)))
    }
}

/// All of an answer; it has the length that was announced.
fn read(headers: &header::HeaderMap, body: Body) -> Result<Vec<u8>, HttpError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| n > MAX_BODY_BYTES) {
        return Err(refused("the answer is longer than anything that was asked for"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(announced.unwrap_or(0)).unwrap_or(0));
    let mut reader = body.into_reader().take(MAX_BODY_BYTES + 1);
    reader.read_to_end(&mut bytes).map_err(|e| failed(ureq::Error::from(e)))?;
    match bytes.len() as u64 {
        n if n > MAX_BODY_BYTES => Err(refused("the answer does not end")),
        // The answer to HEAD announces a length and has none.
        n if n == 0 || announced.is_none_or(|a| a == n) => Ok(bytes),
        n => Err(HttpError::new(HttpErrorKind::Interrupted, Refused(format!("the answer broke off after {n} bytes")))),
    }
}

#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

fn refused(what: &str) -> HttpError {
    HttpError::new(HttpErrorKind::Decode, Refused(what.to_owned()))
}

/// A request that got no answer, or not all of it. The kind decides whether object_store makes it again.
fn failed(error: ureq::Error) -> HttpError {
    use std::io::ErrorKind as Io;
    let kind = match &error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => HttpErrorKind::Connect,
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::Io(io) => match io.kind() {
            Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable | Io::AddrNotAvailable => {
                HttpErrorKind::Connect
            }
            // So rustls reports a certificate that it does not accept.
            Io::InvalidData => HttpErrorKind::Unknown,
            _ => HttpErrorKind::Interrupted,
        },
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
