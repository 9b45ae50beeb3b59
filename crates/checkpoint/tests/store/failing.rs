use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tomo_checkpoint::{ErrorKind, Source};

use crate::loopback::{Reply, Request, Server};
use crate::server::{Bucket, etag, range, ranged};
use crate::{Client, counting, decode_counting};

const FILE: &str = "m.safetensors";
const ADDRESS: &str = "s3://bucket/m.safetensors";

/// A file that is longer than what is fetched on opening.
fn file() -> Vec<u8> {
    counting(&[("a", 2000)])
}

fn objects() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([(FILE.to_owned(), file())])
}

/// A server that answers `reply` to requests for bytes of the tensor, after `good` right answers.
fn failing_after(good: usize, reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Bucket {
    let seen = AtomicUsize::new(0);
    Bucket::twisted(objects(), move |request| {
        let counts = range(request).is_some_and(|(start, _)| start > 0);
        (counts && seen.fetch_add(1, Ordering::SeqCst) >= good).then(|| reply(request))
    })
}

fn decode_error(source: &dyn Source) -> String {
    let error = source.decode("a", 0..2000 * 64, &mut vec![0.0; 2000 * 64]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store, "{error}");
    error.to_string()
}

#[test]
fn a_file_that_changes_is_an_error_that_names_it_and_both_versions() {
    let bucket = Bucket::new(objects());
    for address in [ADDRESS.to_owned(), bucket.web(FILE)] {
        bucket.put(FILE, file());
        let source = Client::new(&bucket).open(&address).unwrap();
        let other = counting(&[("a", 2001)]);
        bucket.put(FILE, other.clone());
        let message = decode_error(source.as_ref());
        for part in ["has changed", FILE, &etag(&file()), &etag(&other), "tensor: a"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let message = source.digest().unwrap_err().to_string();
        assert!(message.contains("has changed"), "{message}");
    }
}

#[test]
fn a_change_is_seen_also_where_the_server_does_not_look_for_it() {
    // Conditions are ignored; tags are strong, weak, or there are none but a date.
    for (before, after) in [("\"1\"", "\"2\""), ("W/\"1\"", "W/\"2\"")] {
        let opened = Arc::new(AtomicUsize::new(0));
        let shared = opened.clone();
        let origin = Server::start(move |request| {
            assert_eq!(
                request.header("if-match").is_some(),
                request.header("range") != Some("bytes=0-65535") && before == "\"1\""
            );
            let tag = if shared.fetch_add(1, Ordering::SeqCst) == 0 { before } else { after };
            let headers = request.headers.iter().filter(|(name, _)| *name != "if-match");
            let request =
                Request { headers: headers.map(|(n, v)| (n.clone(), v.clone())).collect(), ..request.clone() };
            if request.path.ends_with("config.json") { Reply::new(404, "") } else { ranged(&request, &file(), tag) }
        });
        let bucket = Bucket::new(BTreeMap::new());
        let source = Client::new(&bucket).open(&format!("{}/{FILE}", origin.url));
        // The configuration was asked for second, so the counter is past the first answer.
        let message = decode_error(source.unwrap().as_ref());
        assert!(message.contains(before) && message.contains(after), "{message}");
        assert!(opened.load(Ordering::SeqCst) >= 2);
    }
}

#[test]
fn what_fails_in_passing_is_asked_again() {
    for reply in [Reply::new(503, "busy"), Reply::new(500, ""), Reply::new(429, "slow down")] {
        let failures = AtomicUsize::new(0);
        let bucket = Bucket::twisted(objects(), move |request| {
            let fails =
                range(request).is_some_and(|(start, _)| start > 0) && failures.fetch_add(1, Ordering::SeqCst) < 2;
            fails.then(|| reply.clone())
        });
        for address in [ADDRESS.to_owned(), bucket.web(FILE)] {
            decode_counting(Client::new(&bucket).open(&address).unwrap().as_ref(), "a");
        }
    }
}

#[test]
fn what_breaks_off_is_asked_again_and_ends_as_an_error() {
    let broken = |request: &Request| {
        let mut reply = ranged(request, &file(), &etag(&file()));
        reply.cut = Some(1000);
        reply
    };
    let failures = AtomicUsize::new(0);
    let bucket = Bucket::twisted(objects(), move |request| {
        let fails = range(request).is_some_and(|(start, _)| start > 0) && failures.fetch_add(1, Ordering::SeqCst) < 2;
        fails.then(|| broken(request))
    });
    decode_counting(Client::new(&bucket).open(ADDRESS).unwrap().as_ref(), "a");

    let bucket = failing_after(0, broken);
    let message = decode_error(Client::new(&bucket).open(ADDRESS).unwrap().as_ref());
    assert!(message.contains(ADDRESS), "{message}");
}

#[test]
fn refusals_say_what_to_do() {
    let xml = |code: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    for (status, body, parts) in [
        (403, xml("SignatureDoesNotMatch"), ["does not allow", "SignatureDoesNotMatch", "AWS_ACCESS_KEY_ID"]),
        (401, String::new(), ["who asks", "401", "AWS_SKIP_SIGNATURE"]),
        (503, xml("SlowDown"), ["cannot serve", "SlowDown", "later"]),
        (301, String::new(), ["elsewhere", "region", "AWS_REGION"]),
    ] {
        let bucket = failing_after(0, move |_| Reply::new(status, body.clone()));
        let message = decode_error(Client::new(&bucket).open(ADDRESS).unwrap().as_ref());
        assert!(parts.iter().all(|part| message.contains(part)), "{status}: {message}");
    }
    let bucket = Bucket::new(objects());
    let client = Client::new(&bucket);
    for (address, kind, part) in [
        ("s3://bucket/other.safetensors", ErrorKind::Missing, "no such object"),
        ("s3://nobody/m.safetensors", ErrorKind::Missing, "NoSuchBucket"),
        ("s3://bucket/nothing", ErrorKind::Store, "no checkpoint"),
        (&bucket.web("nothing"), ErrorKind::Store, "name the .safetensors"),
        ("s3://bucket/model.bin", ErrorKind::Unsupported, "pickle"),
        ("s3://me:secret@bucket/m", ErrorKind::Store, "environment"),
    ] {
        let message = client.refusal(address, kind);
        assert!(message.contains(part) && !message.contains("secret@"), "{address}: {message}");
    }
    bucket.put("lora/adapter_model.safetensors", file());
    assert!(client.refusal("s3://bucket/lora", ErrorKind::Unsupported).contains("adapter"));
    let unsigned = |o: &mut tomo_checkpoint::store::StoreOptions| {
        o.variables.retain(|(name, _)| !name.contains("ACCESS_KEY"));
        o.variables.push(("AWS_METADATA_ENDPOINT".to_owned(), "http://127.0.0.1:1".to_owned()));
    };
    assert!(Client::new(&bucket).with(unsigned).refusal(ADDRESS, ErrorKind::Store).contains("no credentials"));
    let closed = Bucket::twisted(objects(), move |_| Some(Reply::new(403, "<Error><Code>AccessDenied</Code></Error>")));
    let message = Client::new(&closed).refusal("s3://bucket/m", ErrorKind::Store);
    assert!(message.contains("does not allow") && message.contains("AccessDenied"), "{message}");
    let no_key = client.with(|o| o.variables.retain(|(name, _)| name != "AWS_SECRET_ACCESS_KEY"));
    assert!(no_key.refusal(ADDRESS, ErrorKind::Store).contains("cannot be set up"));
}

#[test]
fn plain_http_needs_to_be_allowed() {
    let bucket = Bucket::new(objects());
    let client = Client::new(&bucket).with(|o| o.variables.retain(|(name, _)| name != "AWS_ALLOW_HTTP"));
    let message = client.refusal(ADDRESS, ErrorKind::Store);
    assert!(message.contains("AWS_ALLOW_HTTP"), "{message}");
    assert_eq!(bucket.origin.requests(), [""; 0], "nothing was said");
}

#[test]
fn a_host_that_is_not_there_or_does_not_answer_is_an_error() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bucket = Bucket::new(objects());
    let client = Client::new(&bucket).with(|o| o.timeout = Duration::from_millis(300));
    let message = client.refusal(&format!("http://{unused}/m.gguf"), ErrorKind::Store);
    assert!(message.contains(&unused.to_string()) && message.contains("the network"), "{message}");
    // Accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let message = client.refusal(&format!("http://{}/m.gguf", silent.local_addr().unwrap()), ErrorKind::Store);
    assert!(message.contains("timeout"), "{message}");
}

#[test]
fn answers_that_no_server_should_give_are_refused() {
    type Answer = fn(&Request) -> Reply;
    let answers: [(&str, Answer, &str); 6] = [
        ("all of the file", |_| Reply::new(200, file()).with("ETag", etag(&file())), "parts of files"),
        ("other bytes", |r| changed(r, "bytes 64-128/9999"), "something else"),
        ("another length", |r| changed(r, &format!("bytes 0-65535/{}", u64::MAX)), ""),
        ("no range", |r| Reply::new(206, "x").with("ETag", r.path.clone()), ""),
        ("no end", |_| Reply { endless: true, ..Reply::new(206, vec![0; 100]) }, ""),
        ("a redirect into itself", |r| Reply::new(302, "").with("Location", r.path.clone()), ""),
    ];
    for (what, answer, part) in answers {
        let origin = Server::start(answer);
        let bucket = Bucket::new(BTreeMap::new());
        let client = Client::new(&bucket);
        let refused = client.open(&format!("{}/bucket/{FILE}", origin.url));
        let message = refused.err().map(|e| e.to_string()).expect(what);
        assert!(message.contains(part) && message.contains(FILE), "{what}: {message}");
    }
}

fn changed(request: &Request, range: &str) -> Reply {
    let mut reply = ranged(request, &file(), "\"1\"");
    reply.headers.retain(|(name, _)| *name != "Content-Range");
    reply.with("Content-Range", range)
}

#[test]
fn requests_are_signed_and_pinned() {
    let bucket = Bucket::new(objects());
    let source = Client::new(&bucket).open(ADDRESS).unwrap();
    decode_counting(source.as_ref(), "a");
    let seen = bucket.origin.seen.lock().unwrap();
    assert!(
        seen.iter()
            .all(|r| r.header("authorization").is_some_and(|a| a.starts_with("AWS4-HMAC-SHA256 Credential=somebody/")))
    );
    let tensor: Vec<_> = seen.iter().filter(|r| range(r).is_some_and(|(start, _)| start > 0)).collect();
    assert!(!tensor.is_empty() && tensor.iter().all(|r| r.header("if-match") == Some(&etag(&file()))));
}
