use std::env;
use std::path::PathBuf;
use std::time::Duration;

/// How to speak to stores, and where to keep what belongs on disk.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Names and values of environment variables; those that begin with `AWS_`, `GOOGLE_` and `AZURE_` say where stores are and
    /// who asks.
    pub variables: Vec<(String, String)>,
    /// Where tokenizers are kept; where there is no such folder, a model's tokenizer cannot be used.
    pub cache_dir: Option<PathBuf>,
    /// Bytes of tensors that are held in memory for those who may ask again; what is on its way comes on top.
    pub held_bytes: usize,
    /// Bytes of one request.
    pub piece_bytes: usize,
    /// Requests that are under way at one time.
    pub connections: usize,
    /// How often a request that failed in passing is made again.
    pub retries: usize,
    /// Wait before the first repetition; it doubles each time.
    pub retry_delay: Duration,
    /// How long a server may be silent.
    pub timeout: Duration,
}

impl std::fmt::Debug for StoreOptions {
    /// Without the variables, some of which are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreOptions")
            .field("cache_dir", &self.cache_dir)
            .field("held_bytes", &self.held_bytes)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            variables: Vec::new(),
            cache_dir: None,
            held_bytes: 256 << 20,
            piece_bytes: 8 << 20,
            connections: 16,
            retries: 5,
            retry_delay: Duration::from_millis(200),
            timeout: Duration::from_secs(30),
        }
    }
}

impl StoreOptions {
    /// With the environment's variables, and its cache: `$XDG_CACHE_HOME/tomograph`, else `~/.cache/tomograph`.
    pub fn from_env() -> Self {
        let variables: Vec<_> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.starts_with(prefix)))
            .collect();
        let set = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let base = set("XDG_CACHE_HOME").filter(|p| p.is_absolute());
        let base = base.or_else(|| env::home_dir().map(|home| home.join(".cache")));
        Self { variables, cache_dir: base.map(|base| base.join("tomograph")), ..Self::default() }
    }

    /// Variables that begin with `prefix`, their names in lower case.
    pub(super) fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (String, &'a str)> {
        let known = move |(name, _): &&(String, String)| name.starts_with(prefix);
        self.variables.iter().filter(known).map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }
}
