use std::path::{Path, PathBuf};

use object_store::path::Path as Key;

use crate::{Error, ErrorKind};

/// What speaks at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scheme {
    S3,
    Google,
    Azure,
    /// A web server: it cannot be asked what files it has.
    Web,
}

const SCHEMES: [(&str, Scheme); 10] = [
    ("s3", Scheme::S3),
    ("s3a", Scheme::S3),
    ("gs", Scheme::Google),
    ("az", Scheme::Azure),
    ("azure", Scheme::Azure),
    ("adl", Scheme::Azure),
    ("abfs", Scheme::Azure),
    ("abfss", Scheme::Azure),
    ("https", Scheme::Web),
    ("http", Scheme::Web),
];

const FORMS: &str = "s3://bucket/folder, gs://bucket/folder, az://container/folder or https://host/folder";

/// An address, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Address {
    pub(super) scheme: Scheme,
    /// Scheme and what follows it, without a slash at the end: `s3://bucket`.
    pub(super) root: String,
    /// Bucket, container or host.
    pub(super) authority: String,
    /// What follows the question mark of a web address; it may be a secret.
    pub(super) query: Option<String>,
    /// What follows the root, without slashes at its ends, as it was typed.
    path: String,
}

/// Scheme and rest of an address.
pub(super) fn split(text: &str) -> Option<(Scheme, &str, &str)> {
    let (name, rest) = text.split_once("://")?;
    let (_, scheme) = SCHEMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
    Some((*scheme, name, rest))
}

/// The address without what may be secret in it: a web address's query, and who asks.
pub(super) fn without_secrets(text: &str) -> String {
    let Some((scheme, name, rest)) = split(text) else { return text.to_owned() };
    let rest = rest.split_once('?').filter(|_| scheme == Scheme::Web).map_or(rest, |(rest, _)| rest);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').filter(|_| scheme != Scheme::Azure).map_or(authority, |(_, host)| host);
    format!("{name}://{host}{path}")
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |found: &str, hint: &str| {
            Error::new(ErrorKind::Store, "this address cannot be used")
                .in_file(Path::new(&without_secrets(text)))
                .expected(FORMS)
                .found(found)
                .hint(hint)
        };
        let (scheme, name, rest) = split(text).ok_or_else(|| wrong("another form", "check the spelling"))?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) if scheme == Scheme::Web => (rest, Some(query.to_owned())),
            _ => (rest, None),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || text.contains(char::is_control) || text.contains(char::is_whitespace) {
            return Err(wrong("an address without a host or with white space", "write a space as %20"));
        }
        if authority.contains('@') && scheme != Scheme::Azure {
            return Err(wrong(
                "a user's name or password",
                "credentials come from the environment, not in the address",
            ));
        }
        if name.eq_ignore_ascii_case("http") && !is_loopback(authority) {
            return Err(wrong("an unencrypted address", "take https://; http:// is for servers on this machine"));
        }
        if path.contains('#') {
            return Err(wrong("the character #", "write it as %23"));
        }
        let address = Self {
            scheme,
            root: format!("{}://{authority}", name.to_ascii_lowercase()),
            authority: authority.to_owned(),
            query,
            path: path.trim_matches('/').to_owned(),
        };
        Key::from_url_path(&address.path)
            .map_err(|e| wrong(&e.to_string(), "a folder's name is neither empty nor .."))?;
        Ok(address)
    }

    /// The address as it may be shown.
    pub(super) fn shown(&self) -> PathBuf {
        PathBuf::from(if self.path.is_empty() { self.root.clone() } else { format!("{}/{}", self.root, self.path) })
    }

    /// What the store calls the file or folder at `path`, which begins with the root.
    pub(super) fn key(&self, path: &Path) -> Result<Key, Error> {
        let below = path.to_str().and_then(|text| text.strip_prefix(&self.root));
        let key = below.and_then(|below| Key::from_url_path(below.trim_matches('/')).ok());
        key.ok_or_else(|| {
            Error::new(ErrorKind::Store, "this name cannot be that of an object")
                .in_file(path)
                .expected(format!("a name below {}", self.root))
                .hint("the file that names it is damaged or was made to mislead")
        })
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let address = Address::parse("s3://bucket/a/b%20c/").unwrap();
        assert_eq!((address.scheme, address.root.as_str()), (Scheme::S3, "s3://bucket"));
        assert_eq!(address.shown(), Path::new("s3://bucket/a/b%20c"));
        assert_eq!(address.key(&address.shown().join("x.gguf")).unwrap().as_ref(), "a/b c/x.gguf");
        assert!(address.key(Path::new("s3://other/x")).is_err(), "another bucket");

        let address = Address::parse("https://host:1/m.gguf?sig=secret").unwrap();
        assert_eq!((address.query.as_deref(), address.shown()), (Some("sig=secret"), "https://host:1/m.gguf".into()));
        assert_eq!(Address::parse("gs://bucket").unwrap().shown(), Path::new("gs://bucket"));
        assert_eq!(Address::parse("az://box@account/m").unwrap().authority, "box@account");
    }

    #[test]
    fn what_is_no_address_or_carries_secrets_is_refused() {
        for (text, found) in [
            ("s3://", "without a host"),
            ("s3:///x", "without a host"),
            ("s3://bucket/a b", "white space"),
            ("https://me:secret@host/x", "password"),
            ("http://example.org/x", "unencrypted"),
            ("http://127.0.0.1.example.org/x", "unencrypted"),
            ("https://host/x#y", "#"),
            ("s3://bucket/a/../b", ".."),
            ("s3://bucket/a//b", "empty"),
        ] {
            let message = Address::parse(text).unwrap_err().to_string();
            assert!(message.contains(found) && !message.contains("secret"), "{text}: {message}");
        }
        for text in ["http://localhost:80/x", "http://127.0.0.1/x", "http://[::1]:9000/x"] {
            Address::parse(text).unwrap();
        }
        for text in ["C:/model", "model.gguf", "ftp://host/x", "org/name"] {
            assert!(split(text).is_none(), "{text}");
        }
        assert_eq!(without_secrets("https://me:pass@h/x@y?sig=1"), "https://h/x@y");
        assert_eq!(without_secrets("s3://bucket/x?y"), "s3://bucket/x?y");
    }
}
