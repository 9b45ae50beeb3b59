use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use tomo_checkpoint::ErrorKind;
use tomo_checkpoint::hub::fetch;

use crate::loopback::{Reply, Request};
use crate::server::{Hub, MAIN, SHARD_1, sharded};
use crate::{Client, Heard};

const SHARD: &str = "model-00001-of-00002.safetensors";

/// What storage holds for the first shard.
fn shard() -> Vec<u8> {
    "first shard ".repeat(20_000).into_bytes()
}

/// Answers the first request for the first shard with `reply`, later ones as usual.
fn first_time(
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static {
    let count = AtomicUsize::new(0);
    move |request| {
        let is_first = request.path.ends_with(SHARD_1) && count.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(&reply)
    }
}

fn cut_at(bytes: usize) -> Reply {
    Reply { cut: Some(bytes), ..Reply::new(200, shard()) }
}

fn ranges(hub: &Hub) -> Vec<Option<String>> {
    let seen = hub.storage.seen.lock().unwrap();
    seen.iter().filter(|r| r.path.ends_with(SHARD_1)).map(|r| r.header("range").map(str::to_owned)).collect()
}

/// The shard is whole and nothing half-done is left.
fn assert_whole(client: &Client) {
    let path = client.repo().join("snapshots").join(MAIN).join(SHARD);
    assert!(fs::read(path).unwrap() == shard());
    assert!(!client.files().iter().any(|f| f.ends_with(".incomplete") || f.ends_with(".part")), "{:?}", client.files());
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let hub = Hub::twisted_storage(sharded(), first_time(|| cut_at(100_000)));
    let client = Client::new(&hub).with(|o| o.retries = 1);
    let heard = Heard::default();
    fetch("org/name", &client.options, &heard).unwrap();
    assert_eq!(ranges(&hub), [None, Some("bytes=100000-".to_owned())]);
    assert_whole(&client);
    assert_eq!(heard.reached.take().last(), Some(&500_171));
}

#[test]
fn without_retries_the_rest_waits_for_the_next_fetch() {
    let hub = Hub::twisted_storage(sharded(), first_time(|| cut_at(100_000)));
    let client = Client::new(&hub);
    let message = client.refusal("org/name", ErrorKind::Hub);
    assert!(message.contains(SHARD) && message.contains("did not arrive whole"), "{message}");
    // Kept under a name that no reader takes for the file; no ref, so that offline mode does not see a half checkpoint.
    let files = client.files();
    assert!(files.contains(&format!("blobs/{SHARD_1}.incomplete")), "{files:?}");
    assert!(!files.iter().any(|f| f.ends_with(SHARD) || f == "refs/main"), "{files:?}");
    client.fetch("org/name").unwrap();
    assert_eq!(ranges(&hub), [None, Some("bytes=100000-".to_owned())]);
    assert_whole(&client);
}

#[test]
fn a_server_that_sends_all_again_is_understood() {
    let hub = Hub::twisted_storage(sharded(), {
        let first = first_time(|| cut_at(100_000));
        move |request| first(request).or_else(|| request.path.ends_with(SHARD_1).then(|| Reply::new(200, shard())))
    });
    let client = Client::new(&hub).with(|o| o.retries = 1);
    let heard = Heard::default();
    fetch("org/name", &client.options, &heard).unwrap();
    assert_whole(&client);
    assert_eq!(heard.reached.take().last(), Some(&500_171));
}

#[test]
fn another_range_than_the_one_asked_for_is_refused() {
    let hub = Hub::twisted_storage(sharded(), {
        let first = first_time(|| cut_at(100_000));
        move |request| {
            let other = || Reply::new(206, &shard()[5..]).with("Content-Range", "bytes 5-239999/240000");
            first(request).or_else(|| request.path.ends_with(SHARD_1).then(other))
        }
    });
    let client = Client::new(&hub).with(|o| o.retries = 1);
    let message = client.refusal("org/name", ErrorKind::Hub);
    assert!(message.contains("another range of bytes"), "{message}");
}

#[test]
fn a_part_that_is_not_of_this_file_is_noticed_and_thrown_away() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub);
    let part = client.repo().join("blobs").join(format!("{SHARD_1}.incomplete"));
    fs::create_dir_all(part.parent().unwrap()).unwrap();
    fs::write(&part, [0; 100]).unwrap();
    let message = client.refusal("org/name", ErrorKind::Hub);
    assert!(message.contains("did not arrive as the hub has it"), "{message}");
    assert!(!part.exists());
    client.fetch("org/name").unwrap();
    assert_whole(&client);
    // One that is too long for the file is not even tried.
    let client = Client::new(&hub);
    let part = client.repo().join("blobs").join(format!("{SHARD_1}.incomplete"));
    fs::create_dir_all(part.parent().unwrap()).unwrap();
    fs::write(&part, vec![0; 300_000]).unwrap();
    client.fetch("org/name").unwrap();
    assert_whole(&client);
}

#[test]
fn a_hub_that_is_busy_is_asked_again() {
    let count = AtomicUsize::new(0);
    let hub =
        Hub::twisted_home(sharded(), move |_| (count.fetch_add(1, Ordering::SeqCst) < 2).then(|| Reply::new(503, "")));
    let client = Client::new(&hub).with(|o| o.retries = 2);
    client.fetch("org/name").unwrap();
    assert_whole(&client);
}

#[test]
fn a_fetch_can_be_cancelled_and_goes_on_later() {
    let hub = Hub::new(sharded());
    let client = Client::new(&hub);
    let heard = Heard { cancel_after: Some(2), ..Heard::default() };
    let error = fetch("org/name", &client.options, &heard).unwrap_err();
    assert!(error.to_string().contains("the download was cancelled"), "{error}");
    assert!(!client.repo().join("refs/main").exists());
    client.fetch("org/name").unwrap();
    assert_whole(&client);
}
