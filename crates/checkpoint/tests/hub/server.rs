//! A hub on loopback: its own origin, which describes repositories and redirects large files, and a storage origin.

use super::loopback::{Reply, Request, Server};

/// The commit of `main`, of `refs/pr/1` and of tag `v1`.
pub(crate) const MAIN: &str = "1111111111111111111111111111111111111111";
pub(crate) const PR: &str = "2222222222222222222222222222222222222222";

/// A file of the repository with the digest that Python's hashlib gives: SHA-256 for weights, the id of a git blob else.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) digest: &'static str,
    pub(crate) contents: Vec<u8>,
}

impl File {
    pub(crate) fn new(name: &'static str, digest: &'static str, contents: impl Into<Vec<u8>>) -> Self {
        Self { name, digest, contents: contents.into() }
    }
}

pub(crate) const CONFIG: &[u8] = br#"{"model_type":"llama"}"#;
pub(crate) const INDEX: &[u8] = br#"{"metadata":{},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors","c":"model-00001-of-00002.safetensors"}}"#;
pub(crate) const SHARD_1: &str = "dc613bb70516b049215241edc72744058d8e458e285a65d19b06e27449ff5544";
pub(crate) const SHARD_2: &str = "172a429641de4c881fca77feadf46c272966f444651ea25e418093a97c6c8e59";
pub(crate) const GGUF_1: &str = "419438bcc505a25e7108c9a24b673df07b5faf6d497b3338646988f182b6d517";
pub(crate) const GGUF_2: &str = "084c16fd9863079676e3b4dfd121bb446b9d9781a206ce7480ad1fe60a39873d";

/// A sharded checkpoint with the company that such files have on the hub.
pub(crate) fn sharded() -> Vec<File> {
    vec![
        File::new("README.md", "4f5ededb2f023dd4ae062c95ec1f532fad3a0c74", "# read me"),
        File::new("config.json", "0972e95c1405cc1507c19dcbe784f7a36c930907", CONFIG),
        File::new("model-00001-of-00002.safetensors", SHARD_1, "first shard ".repeat(20_000)),
        File::new("model-00002-of-00002.safetensors", SHARD_2, "second shard ".repeat(20_000)),
        File::new("model.safetensors.index.json", "7d49cc3dc559f0dc7c96a95226187c23ea16782d", INDEX),
        File::new("pytorch_model.bin", "16fadaba7e7d852e5631118b26f29307114a71d301a856003a407403311459c6", "a pickle"),
        File::new("tokenizer.json", "9e26dfeeb6e641a33dae4961196235bdb965b21b", "{}"),
    ]
}

/// GGUF files with the given names; they alternate between two contents.
pub(crate) fn ggufs(names: &[&'static str]) -> Vec<File> {
    let contents = [(GGUF_1, "gguf one "), (GGUF_2, "gguf two ")];
    let file =
        |(name, (digest, text)): (&&'static str, &(&'static str, &str))| File::new(name, digest, text.repeat(1000));
    names.iter().zip(contents.iter().cycle()).map(file).collect()
}

/// What a test makes the hub do instead: `Some` is the answer.
type Twist = Box<dyn Fn(&Request) -> Option<Reply> + Send + Sync>;

/// Repository `org/name`.
pub(crate) struct Hub {
    pub(crate) home: Server,
    pub(crate) storage: Server,
}

impl Hub {
    pub(crate) fn new(files: Vec<File>) -> Self {
        Self::twisted(files, None, Box::new(|_| None), Box::new(|_| None))
    }

    pub(crate) fn private(files: Vec<File>, token: &'static str) -> Self {
        Self::twisted(files, Some(token), Box::new(|_| None), Box::new(|_| None))
    }

    pub(crate) fn twisted_home(
        files: Vec<File>,
        twist: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        Self::twisted(files, None, Box::new(twist), Box::new(|_| None))
    }

    pub(crate) fn twisted_storage(
        files: Vec<File>,
        twist: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        Self::twisted(files, None, Box::new(|_| None), Box::new(twist))
    }

    fn twisted(files: Vec<File>, token: Option<&'static str>, home: Twist, storage: Twist) -> Self {
        let stored = files.clone();
        let storage = Server::start(move |request| {
            storage(request).unwrap_or_else(|| match stored.iter().find(|f| request.path == format!("/{}", f.digest)) {
                Some(file) => ranged(request, &file.contents),
                None => Reply::new(404, ""),
            })
        });
        let address = storage.url.clone();
        let home = Server::start(move |request| {
            let allowed = token.is_none_or(|t| request.header("authorization") == Some(&format!("Bearer {t}")));
            if !allowed {
                return Reply::new(401, "").with("X-Error-Code", "GatedRepo");
            }
            home(request).unwrap_or_else(|| answer(request, &files, &address))
        });
        Self { home, storage }
    }
}

fn answer(request: &Request, files: &[File], storage: &str) -> Reply {
    if let Some(revision) = request.path.strip_prefix("/api/models/org/name/revision/") {
        let commit = match revision {
            "main" | "v1" | MAIN => MAIN,
            "refs%2Fpr%2F1" => PR,
            _ => return Reply::new(404, "").with("X-Error-Code", "RevisionNotFound"),
        };
        return Reply::new(200, description(commit, files.iter().map(|f| f.name)));
    }
    let wanted = [MAIN, PR].iter().find_map(|c| request.path.strip_prefix(&format!("/org/name/resolve/{c}/")));
    let Some(file) = files.iter().find(|f| Some(f.name) == wanted) else {
        return Reply::new(404, "")
            .with("X-Error-Code", if wanted.is_some() { "EntryNotFound" } else { "RepoNotFound" });
    };
    if file.digest.len() == 40 {
        return ranged(request, &file.contents).with("ETag", format!("\"{}\"", file.digest));
    }
    Reply::new(302, "")
        .with("X-Linked-Etag", format!("\"{}\"", file.digest))
        .with("X-Linked-Size", file.contents.len().to_string())
        .with("ETag", "\"of-the-redirect\"")
        .with("Location", format!("{storage}/{}", file.digest))
}

/// The description of a repository.
pub(crate) fn description<'a>(commit: &str, names: impl Iterator<Item = &'a str>) -> String {
    let siblings: Vec<_> = names.map(|n| serde_json::json!({ "rfilename": n })).collect();
    serde_json::json!({ "id": "org/name", "sha": commit, "siblings": siblings }).to_string()
}

fn ranged(request: &Request, contents: &[u8]) -> Reply {
    let start =
        request.header("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match start {
        None => Reply::new(200, contents),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", contents.len() - 1, contents.len());
            Reply::new(206, &contents[start..]).with("Content-Range", range)
        }
    }
}
