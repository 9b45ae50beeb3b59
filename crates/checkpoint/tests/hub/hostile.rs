//! A hub that means no good.

use std::fs;

use tomo_checkpoint::ErrorKind;

use crate::Client;
use crate::loopback::{Reply, Request};
use crate::server::{File, Hub, MAIN, SHARD_1, description, sharded};

/// Nothing of the hub's got a name outside `blobs`, and no ref makes it usable.
fn assert_nothing_usable(client: &Client) {
    let files = client.files();
    assert!(files.iter().all(|f| f.starts_with("blobs/") || f.starts_with("snapshots/")), "{files:?}");
    assert!(!files.iter().any(|f| f.contains("..") || f.contains("evil")), "{files:?}");
    let beside = client.cache.path().parent().unwrap().join("evil.safetensors");
    assert!(!beside.exists());
}

fn described_as(body: impl Into<Vec<u8>> + Clone + Send + Sync + 'static) -> Hub {
    Hub::twisted_home(sharded(), move |r| r.path.starts_with("/api").then(|| Reply::new(200, body.clone())))
}

/// Answers HEAD for the first shard with `headers`.
fn shard_described(headers: &'static [(&'static str, &'static str)]) -> Hub {
    Hub::twisted_home(sharded(), move |request: &Request| {
        let is_it = request.method == "HEAD" && request.path.ends_with("model-00001-of-00002.safetensors");
        let reply = || headers.iter().fold(Reply::new(302, ""), |reply, (name, value)| reply.with(name, *value));
        is_it.then(reply)
    })
}

#[test]
fn file_names_that_leave_the_folder_are_refused() {
    let names = [
        "../../evil.safetensors",
        "../evil.safetensors",
        "/tmp/evil.safetensors",
        "a/../../evil.safetensors",
        "a//evil.safetensors",
        "./evil.safetensors",
        "a/./evil.safetensors",
        "..\\evil.safetensors",
        "C:evil.safetensors",
        "",
        "a/",
        "evil\u{0}.safetensors",
        "evil\u{1b}[2J.safetensors",
    ];
    for name in names {
        let hub = described_as(description(MAIN, ["config.json", "model.safetensors", name].into_iter()));
        let client = Client::new(&hub);
        let message = client.refusal("org/name", ErrorKind::Hub);
        assert!(message.contains("safe file names"), "{name:?}: {message}");
        assert!(!message.contains('\u{1b}') && !message.contains('\u{0}'), "{message}");
        assert_eq!(client.files(), [""; 0], "{name:?}");
    }
    let long = format!("{}.safetensors", "x".repeat(300));
    let hub = described_as(description(MAIN, [long.as_str()].into_iter()));
    Client::new(&hub).refusal("org/name", ErrorKind::Hub);
}

#[test]
fn descriptions_that_are_none_are_refused() {
    let bodies: [&str; 9] = [
        "",
        "<html>log in</html>",
        "[]",
        r#"{"siblings":[]}"#,
        r#"{"sha":"../../../../evil","siblings":[]}"#,
        r#"{"sha":"1111","siblings":[]}"#,
        r#"{"sha":"1111111111111111111111111111111111111111"}"#,
        r#"{"sha":"1111111111111111111111111111111111111111","siblings":[{}]}"#,
        r#"{"sha":"1111111111111111111111111111111111111111","siblings":[{"rfilename":7}]}"#,
    ];
    for body in bodies {
        let hub = described_as(body);
        let client = Client::new(&hub);
        let message = client.refusal("org/name", ErrorKind::Hub);
        assert!(message.contains("in a way that cannot be used"), "{body}: {message}");
        assert_eq!(client.files(), [""; 0]);
    }
    let deep = "[".repeat(100_000);
    Client::new(&described_as(deep)).refusal("org/name", ErrorKind::Hub);
}

#[test]
fn a_description_without_end_is_cut_off() {
    let hub = described_as(vec![b' '; 40 << 20]);
    let message = Client::new(&hub).refusal("org/name", ErrorKind::Hub);
    assert!(message.contains("the request failed"), "{message}");
}

#[test]
fn entity_tags_that_are_paths_are_refused() {
    for etag in
        ["\"../../../../evil\"", "\"a/b/c/d/e\"", "\"\"", "\"..\"", "\"evil.name.with.dots\"", "\"C:evil-evil\""]
    {
        let hub = Hub::twisted_home(sharded(), move |request| {
            let is_it = request.method == "HEAD" && request.path.ends_with("safetensors");
            is_it.then(|| {
                Reply::new(302, "")
                    .with("X-Linked-Etag", etag)
                    .with("X-Linked-Size", "5")
                    .with("Location", "http://127.0.0.1:9/x")
            })
        });
        let client = Client::new(&hub);
        let message = client.refusal("org/name", ErrorKind::Hub);
        assert!(message.contains("no usable entity tag for model-00001"), "{etag}: {message}");
        assert_nothing_usable(&client);
    }
}

#[test]
fn absurd_sizes_are_refused_before_anything_is_fetched() {
    let cases: [(&[(&str, &str)], &str); 4] = [
        (
            &[
                ("X-Linked-Size", "1152921504606846976"),
                ("X-Linked-Etag", SHARD_1),
                ("Location", "http://127.0.0.1:9/"),
            ],
            "too large",
        ),
        (
            &[
                ("X-Linked-Size", "99999999999999999999999"),
                ("X-Linked-Etag", SHARD_1),
                ("Location", "http://127.0.0.1:9/"),
            ],
            "no usable size",
        ),
        (&[("X-Linked-Size", "-5"), ("X-Linked-Etag", SHARD_1), ("Location", "http://127.0.0.1:9/")], "no usable size"),
        (&[("X-Linked-Etag", SHARD_1), ("Location", "http://127.0.0.1:9/")], "no usable size"),
    ];
    for (headers, expected) in cases {
        let hub = shard_described(headers);
        let client = Client::new(&hub);
        let message = client.refusal("org/name", ErrorKind::Hub);
        assert!(message.contains(expected), "{message}");
        assert_eq!(hub.storage.requests(), [""; 0]);
        assert_nothing_usable(&client);
    }
}

#[test]
fn a_body_that_does_not_end_is_cut_off_at_the_size_that_was_announced() {
    let hub =
        Hub::twisted_storage(sharded(), |_| Some(Reply { endless: true, ..Reply::new(200, vec![b'x'; 4 << 20]) }));
    let client = Client::new(&hub);
    let message = client.refusal("org/name", ErrorKind::Hub);
    assert!(message.contains("more than the 240000 bytes"), "{message}");
    assert!(!client.files().iter().any(|f| f.contains(SHARD_1)), "{:?}", client.files());
}

#[test]
fn contents_that_are_not_the_ones_announced_are_thrown_away() {
    let hub = Hub::twisted_storage(sharded(), |_| Some(Reply::new(200, vec![b'x'; 240_000])));
    let client = Client::new(&hub);
    let message = client.refusal("org/name", ErrorKind::Hub);
    assert!(message.contains("model-00001-of-00002.safetensors did not arrive as the hub has it"), "{message}");
    assert!(!client.files().iter().any(|f| f.contains(SHARD_1)), "{:?}", client.files());
    // Small files are held to the id of their git blob.
    let hub = Hub::twisted_home(sharded(), |request| {
        let is_it = request.method == "GET" && request.path.ends_with("config.json");
        is_it.then(|| Reply::new(200, r#"{"model_type":"evil_"}"#))
    });
    let message = Client::new(&hub).refusal("org/name", ErrorKind::Hub);
    assert!(message.contains("config.json did not arrive as the hub has it"), "{message}");
}

#[test]
fn indices_that_lead_elsewhere_are_refused() {
    let cases: [(&str, &str); 6] = [
        (r#"{"weight_map":{"a":"../../../evil.safetensors"}}"#, "weight_map gives a .safetensors file"),
        (r#"{"weight_map":{"a":"pytorch_model.bin"}}"#, "weight_map gives a .safetensors file"),
        (r#"{"weight_map":{"a":7}}"#, "weight_map gives a .safetensors file"),
        (r#"{"weight_map":{}}"#, "an empty weight_map"),
        (r#"{"weight_map":{"a":"model-00009-of-00009.safetensors"}}"#, "does not have"),
        ("no json", "weight_map gives a .safetensors file"),
    ];
    for (index, expected) in cases {
        // An entity tag that is no digest, as mirrors give: the contents are then what the length says.
        let mut files = sharded();
        files.retain(|f| !f.name.ends_with("index.json"));
        files.push(File::new("model.safetensors.index.json", "0123456789abcdef-mirror-of-40-characters", index));
        let hub = Hub::new(files);
        let client = Client::new(&hub);
        let message = client.refusal("org/name", ErrorKind::Malformed);
        assert!(message.contains(expected), "{index}: {message}");
        assert_nothing_usable(&client);
    }
}

#[test]
fn redirects_lead_neither_astray_nor_in_circles() {
    let cases: [(&str, &str); 4] = [
        ("ftp://127.0.0.1/x", "a redirect that is no address"),
        ("//127.0.0.1/x", "a redirect that is no address"),
        ("elsewhere", "a redirect that is no address"),
        ("/org/name/resolve/main/again", "too many redirects"),
    ];
    for (location, expected) in cases {
        let hub = Hub::twisted_home(sharded(), move |request| {
            request.path.starts_with("/org").then(|| Reply::new(307, "").with("Location", location))
        });
        let message = Client::new(&hub).refusal("org/name", ErrorKind::Hub);
        assert!(message.contains(expected), "{location}: {message}");
    }
    let hub = Hub::twisted_home(sharded(), |_| Some(Reply::new(307, "").with("Location", "http://127.0.0.1:9/api")));
    let message = Client::new(&hub).refusal("org/name", ErrorKind::Hub);
    assert!(message.contains("a redirect to http://127.0.0.1:9/api"), "{message}");
}

#[test]
fn a_ref_in_the_cache_that_is_no_commit_is_not_followed() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub).with(|o| o.offline = true);
    let refs = client.repo().join("refs");
    fs::create_dir_all(&refs).unwrap();
    fs::write(refs.join("main"), "../../../../..").unwrap();
    let message = client.refusal("org/name", ErrorKind::Missing);
    assert!(message.contains("not in the cache"), "{message}");
}
