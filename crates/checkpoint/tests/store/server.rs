//! Objects on loopback: a web server, and as much of S3 as a reader uses, `bucket` being the only bucket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::loopback::{Reply, Request, Server};

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// What a test makes the server do instead: `Some` is the answer.
type Twist = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

pub(crate) struct Bucket {
    pub(crate) origin: Server,
    objects: Objects,
}

impl Bucket {
    pub(crate) fn new(objects: BTreeMap<String, Vec<u8>>) -> Self {
        Self::twisted(objects, |_| None)
    }

    pub(crate) fn of(objects: &[(&str, Vec<u8>)]) -> Self {
        Self::new(objects.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect())
    }

    pub(crate) fn twisted(
        objects: BTreeMap<String, Vec<u8>>,
        twist: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let objects = Arc::new(Mutex::new(objects));
        let (shared, twist): (Objects, Box<Twist>) = (objects.clone(), Box::new(twist));
        let origin = Server::start(move |request| twist(request).unwrap_or_else(|| answer(request, &shared)));
        Self { origin, objects }
    }

    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        self.objects.lock().unwrap().insert(name.to_owned(), bytes);
    }

    /// The address of `path` as a web server's.
    pub(crate) fn web(&self, path: &str) -> String {
        format!("{}/bucket/{path}", self.origin.url)
    }

    /// Ranges asked for since the last [`Server::forget`], by object.
    pub(crate) fn ranges(&self, object: &str) -> Vec<(usize, usize)> {
        let seen = self.origin.seen.lock().unwrap();
        let of_object = seen.iter().filter(|r| r.path.ends_with(object));
        of_object.filter_map(range).collect()
    }
}

/// First byte and the one after the last.
pub(crate) fn range(request: &Request) -> Option<(usize, usize)> {
    let (start, end) = request.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
    Some((start.parse().ok()?, end.parse::<usize>().ok()? + 1))
}

pub(crate) fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &blake3::hash(bytes).to_hex()[..16])
}

pub(crate) fn answer(request: &Request, objects: &Objects) -> Reply {
    let objects = objects.lock().unwrap();
    let Some(path) = request.path.strip_prefix("/bucket") else {
        return Reply::new(404, "<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>");
    };
    if let Some(query) = path.trim_start_matches('/').strip_prefix('?') {
        return listing(query, &objects);
    }
    let path = path.split('?').next().unwrap_or_default();
    match objects.get(path.trim_start_matches('/')) {
        Some(bytes) => ranged(request, bytes, &etag(bytes)),
        None => Reply::new(404, "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"),
    }
}

pub(crate) fn ranged(request: &Request, bytes: &[u8], etag: &str) -> Reply {
    let stamp = |reply: Reply| reply.with("ETag", etag).with("Last-Modified", "Fri, 27 Nov 2026 12:00:00 GMT");
    if request.header("if-match").is_some_and(|wanted| wanted != etag) {
        return stamp(Reply::new(412, "<Error><Code>PreconditionFailed</Code></Error>"));
    }
    let Some((start, end)) = range(request) else { return stamp(Reply::new(200, bytes)) };
    if start >= bytes.len() {
        return Reply::new(416, "");
    }
    let end = end.min(bytes.len());
    let part = format!("bytes {start}-{}/{}", end - 1, bytes.len());
    stamp(Reply::new(206, &bytes[start..end]).with("Content-Range", part))
}

fn listing(query: &str, objects: &BTreeMap<String, Vec<u8>>) -> Reply {
    let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
    let prefix = prefix.replace("%2F", "/");
    let inside = objects.iter().filter(|(name, _)| name.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/')));
    let one = |(name, bytes): (&String, &Vec<u8>)| {
        format!(
            "<Contents><Key>{name}</Key><LastModified>2026-11-27T12:00:00.000Z</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
            etag(bytes).replace('"', "&quot;"),
            bytes.len()
        )
    };
    let contents: String = inside.map(one).collect();
    Reply::new(200, format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"))
        .with("Content-Type", "application/xml")
}
