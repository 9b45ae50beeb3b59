use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Error, ErrorKind};

/// Where the hub and the cache are, and how to speak to the hub.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubOptions {
    /// The hub, without a slash at the end.
    pub endpoint: String,
    /// The folder of `models--org--name`.
    pub cache_dir: PathBuf,
    /// Sent to the hub, and to no other host.
    pub token: Option<String>,
    /// Use the cache alone.
    pub offline: bool,
    /// How often a request that failed in passing is made again.
    pub retries: u32,
    /// Wait before the first repetition; it doubles each time.
    pub retry_delay: Duration,
    /// Largest file that is accepted.
    pub max_file_bytes: u64,
}

impl std::fmt::Debug for HubOptions {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubOptions")
            .field("endpoint", &self.endpoint)
            .field("cache_dir", &self.cache_dir)
            .field("token", &self.token.as_ref().map(|_| "..."))
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

impl HubOptions {
    /// The public hub without a token, and a cache in `cache_dir`.
    pub fn new(cache_dir: PathBuf) -> Self {
        Self {
            endpoint: "https://huggingface.co".to_owned(),
            cache_dir,
            token: None,
            offline: false,
            retries: 4,
            retry_delay: Duration::from_millis(500),
            // Ten times the largest file that the hub recommends.
            max_file_bytes: 500 << 30,
        }
    }

    /// From the environment, as the other clients read it: `HF_HUB_CACHE` (or `HUGGINGFACE_HUB_CACHE`), `HF_HOME`,
    /// `XDG_CACHE_HOME`, `HF_ENDPOINT`, `HF_TOKEN` (or `HUGGING_FACE_HUB_TOKEN`, or the file at `HF_TOKEN_PATH` or
    /// `$HF_HOME/token`, unless `HF_HUB_DISABLE_IMPLICIT_TOKEN`), `HF_HUB_OFFLINE` (or `TRANSFORMERS_OFFLINE`).
    ///
    /// # Errors
    /// When neither of the variables nor the home folder says where the cache is.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(|name| env::var_os(name), env::home_dir())
    }

    /// As [`HubOptions::from_env`], from any source of variables.
    ///
    /// # Errors
    /// When neither of the variables nor `home` says where the cache is.
    pub fn from_variables(get: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Result<Self, Error> {
        // A variable that is set to nothing counts as not set.
        let path = |name: &str| get(name).filter(|v| !v.is_empty()).map(|v| expanded(v, home.as_ref()));
        let text = |name: &str| get(name)?.into_string().ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let is_set = |name: &str| text(name).is_some_and(|t| is_true(&t));
        let hub_home = path("HF_HOME")
            .or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")))
            .or_else(|| Some(home.clone()?.join(".cache").join("huggingface")));
        let cache_dir = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(hub_home.clone()?.join("hub")))
            .ok_or_else(|| {
                Error::new(ErrorKind::Hub, "there is no folder for the cache of the hub")
                    .expected("HF_HOME, HF_HUB_CACHE or a home folder")
                    .hint("set HF_HOME to a folder")
            })?;
        let token_file = path("HF_TOKEN_PATH").or_else(|| Some(hub_home?.join("token")));
        let stored = || fs::read_to_string(token_file?).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let token = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN"));
        let token = if is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN") { None } else { token.or_else(stored) };
        let mut options = Self::new(cache_dir);
        options.token = token;
        options.offline = is_set("HF_HUB_OFFLINE") || is_set("TRANSFORMERS_OFFLINE");
        if let Some(endpoint) = text("HF_ENDPOINT") {
            endpoint.trim_end_matches('/').clone_into(&mut options.endpoint);
        }
        Ok(options)
    }
}

fn is_true(text: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].iter().any(|t| text.eq_ignore_ascii_case(t))
}

/// `~` at the start stands for the home folder, also where no shell has seen the value.
fn expanded(value: OsString, home: Option<&PathBuf>) -> PathBuf {
    let path = PathBuf::from(value);
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}
