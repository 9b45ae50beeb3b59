use std::fs;

use tomo_checkpoint::ErrorKind;
use tomo_checkpoint::hub::fetch;

use crate::loopback::Reply;
use crate::server::{CONFIG, Hub, MAIN, PR, SHARD_1, SHARD_2, sharded};
use crate::{Client, Heard};

#[test]
fn a_sharded_checkpoint_arrives_in_the_layout_of_the_cache() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub);
    let path = client.fetch("org/name").unwrap();
    assert_eq!(path, client.repo().join("snapshots").join(MAIN));
    assert_eq!(fs::read(path.join("config.json")).unwrap(), CONFIG);
    let shard = fs::read(path.join("model-00002-of-00002.safetensors")).unwrap();
    assert!(shard == "second shard ".repeat(20_000).as_bytes());
    assert_eq!(
        client.files(),
        [
            "blobs/0972e95c1405cc1507c19dcbe784f7a36c930907".to_owned(),
            format!("blobs/{SHARD_2}"),
            "blobs/7d49cc3dc559f0dc7c96a95226187c23ea16782d".to_owned(),
            "blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b".to_owned(),
            format!("blobs/{SHARD_1}"),
            "refs/main".to_owned(),
            format!("snapshots/{MAIN}/config.json"),
            format!("snapshots/{MAIN}/model-00001-of-00002.safetensors"),
            format!("snapshots/{MAIN}/model-00002-of-00002.safetensors"),
            format!("snapshots/{MAIN}/model.safetensors.index.json"),
            format!("snapshots/{MAIN}/tokenizer.json"),
        ]
    );
    assert_eq!(fs::read_to_string(client.repo().join("refs/main")).unwrap(), MAIN);
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(path.join("config.json")).unwrap().to_str().unwrap(),
        "../../blobs/0972e95c1405cc1507c19dcbe784f7a36c930907"
    );
}

#[test]
fn only_the_files_that_are_needed_are_asked_for() {
    let hub = Hub::new(sharded());
    Client::new(&hub).fetch("org/name").unwrap();
    let home = hub.home.requests();
    for file in ["README.md", "pytorch_model.bin"] {
        assert!(!home.iter().any(|r| r.ends_with(file)), "{file} was asked for");
    }
    let bodies = home.iter().filter(|r| r.starts_with("GET /org")).count();
    assert_eq!(bodies, 5, "config, index, tokenizer and two shards once each: {home:?}");
    assert_eq!(hub.storage.requests(), [format!("GET /{SHARD_1}"), format!("GET /{SHARD_2}")]);
}

#[test]
fn progress_adds_up() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub);
    let total = 22 + 147 + 2 + 240_000 + 260_000;
    let first = Heard::default();
    fetch("org/name", &client.options, &first).unwrap();
    assert_eq!(first.started.take(), [(5, total)]);
    let reached = first.reached.take();
    assert!(reached.is_sorted(), "{reached:?}");
    assert_eq!(reached.last(), Some(&total));
    let files = first.files.take();
    assert_eq!(files.iter().map(|f| f.1).sum::<u64>(), total);
    assert!(files.contains(&("model-00001-of-00002.safetensors".to_owned(), 240_000, 0)));

    let again = Heard::default();
    fetch("org/name", &client.options, &again).unwrap();
    assert_eq!(again.started.take(), [(5, total)]);
    assert_eq!(again.reached.take().last(), Some(&total));
    assert!(again.files.take().iter().all(|(_, bytes, done)| bytes == done), "everything is in the cache");
}

#[test]
fn what_is_cached_is_not_fetched_again() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub);
    client.fetch("org/name").unwrap();
    hub.home.forget();
    hub.storage.forget();
    client.fetch("org/name").unwrap();
    assert_eq!(hub.home.requests(), ["GET /api/models/org/name/revision/main"]);
    // Another revision with the same contents: asked for, not transferred.
    hub.home.forget();
    let path = client.fetch("org/name@refs/pr/1").unwrap();
    assert!(path.ends_with(PR));
    assert!(!hub.home.requests().iter().any(|r| r.starts_with("GET /org")));
    assert_eq!(hub.storage.requests(), [""; 0]);
    // A commit never changes: nothing needs to be asked.
    hub.home.forget();
    client.fetch(&format!("org/name@{MAIN}")).unwrap();
    assert_eq!(hub.home.requests(), [""; 0]);
}

#[test]
fn revisions_are_found_and_remembered() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub);
    assert!(client.fetch("org/name@v1").unwrap().ends_with(MAIN));
    assert_eq!(fs::read_to_string(client.repo().join("refs/v1")).unwrap(), MAIN);
    client.fetch("org/name@refs/pr/1").unwrap();
    assert_eq!(fs::read_to_string(client.repo().join("refs/refs/pr/1")).unwrap(), PR);
    let message = client.refusal("org/name@v9", ErrorKind::Hub);
    assert!(message.contains("org/name has no revision v9"), "{message}");
    assert!(!client.repo().join("refs/v9").exists());
}

#[test]
fn offline_the_cache_is_enough_and_the_network_is_not_touched() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub);
    let online = client.fetch("org/name").unwrap();
    hub.home.forget();
    let offline = client.with(|o| o.offline = true);
    assert_eq!(offline.fetch("org/name").unwrap(), online);
    assert_eq!(offline.fetch(&format!("org/name@{MAIN}")).unwrap(), online);
    assert_eq!(hub.home.requests(), [""; 0]);
}

#[test]
fn offline_what_is_missing_is_named() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub).with(|o| o.offline = true);
    let message = client.refusal("org/name", ErrorKind::Missing);
    assert!(message.contains("revision main of org/name is not in the cache"), "{message}");
    assert!(message.contains("HF_HUB_OFFLINE"), "{message}");

    let client = client.with(|o| o.offline = false);
    client.fetch("org/name").unwrap();
    fs::remove_file(client.repo().join("blobs").join(SHARD_2)).unwrap();
    let client = client.with(|o| o.offline = true);
    let message = client.refusal("org/name", ErrorKind::Missing);
    assert!(message.contains("model-00002-of-00002.safetensors of org/name is not in the cache"), "{message}");
}

#[test]
fn without_a_way_to_the_hub_the_cache_is_used_with_a_note() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub);
    let path = client.fetch("org/name").unwrap();
    drop(hub);
    let heard = Heard::default();
    assert_eq!(fetch("org/name", &client.options, &heard).unwrap(), path);
    assert_eq!(heard.notes.take(), ["the hub cannot be reached: using the files in the cache"]);
    let message = client.refusal("org/other", ErrorKind::Hub);
    assert!(message.contains("the hub cannot be reached") && message.contains("HF_ENDPOINT"), "{message}");
}

#[test]
fn a_token_opens_a_private_repository_and_goes_nowhere_else() {
    let hub = Hub::private(sharded(), "hf_secret");
    let client = Client::new(&hub);
    let message = client.refusal("org/name", ErrorKind::Hub);
    assert!(message.contains("to nobody without a token") && message.contains("HF_TOKEN"), "{message}");
    let client = client.with(|o| o.token = Some("hf_wrong".to_owned()));
    let message = client.refusal("org/name", ErrorKind::Hub);
    assert!(message.contains("does not accept the token"), "{message}");
    assert!(!message.contains("hf_wrong"));
    let client = client.with(|o| o.token = Some("hf_secret".to_owned()));
    client.fetch("org/name").unwrap();
    let stored = hub.storage.seen.lock().unwrap();
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|r| r.header("authorization").is_none()), "the storage host has seen the token");
    assert!(!format!("{:?}", client.options).contains("hf_secret"));
}

#[test]
fn refusals_are_sentences() {
    let cases: [(u16, &str, &str); 5] = [
        (404, "RepoNotFound", "there is no repository org/name"),
        (403, "GatedRepo", "access to org/name is restricted"),
        (429, "", "cannot serve org/name now"),
        (503, "", "cannot serve org/name now"),
        (418, "", "the hub refuses org/name"),
    ];
    for (status, code, expected) in cases {
        let hub = Hub::twisted_home(sharded(), move |_| Some(Reply::new(status, "").with("X-Error-Code", code)));
        let message = Client::new(&hub).refusal("org/name", ErrorKind::Hub);
        assert!(message.contains(expected) && message.contains(&status.to_string()), "{message}");
        assert!(message.contains("hint: "), "{message}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub);
    // A file where the folder of the repository would be.
    fs::write(client.repo(), "").unwrap();
    let message = client.refusal("org/name", ErrorKind::Io);
    assert!(message.contains("cannot write into the cache") && message.contains("models--org--name"), "{message}");
}
