use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tomo_checkpoint::Source;

use crate::server::{Bucket, range};
use crate::{Client, counting, decode_counting};

const FILE: &str = "m.safetensors";
const ADDRESS: &str = "s3://bucket/m.safetensors";

/// Bytes of a row of a counting tensor.
const ROW: u64 = 128;

/// Fetched bytes so far.
fn bytes(source: &dyn Source) -> u64 {
    source.fetched().unwrap().bytes
}

#[test]
fn nothing_but_the_bytes_of_a_tensor_is_fetched_for_it_and_none_twice() {
    let bucket = Bucket::of(&[(FILE, counting(&[("a", 5000), ("b", 3000), ("c", 5000)]))]);
    let client = Client::new(&bucket).with(|o| o.piece_bytes = 64 << 10);
    let source = client.open(ADDRESS).unwrap();
    let opened = bytes(source.as_ref());
    assert!(opened <= (64 << 10) + 100, "the first bytes, and that there is no configuration: {opened}");
    bucket.origin.forget();

    decode_counting(source.as_ref(), "b");
    assert_eq!(bytes(source.as_ref()) - opened, 3000 * ROW);
    // 3000 rows of 128 bytes are 5.9 pieces of 64 KiB.
    let mut ranges = bucket.ranges(FILE);
    ranges.sort_unstable();
    assert_eq!(ranges.len(), 6);
    assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0), "no gap, no overlap: {ranges:?}");

    decode_counting(source.as_ref(), "b");
    assert_eq!(bytes(source.as_ref()) - opened, 3000 * ROW, "what is held is not fetched again");
    source.release("b", 0..3000 * 64);
    decode_counting(source.as_ref(), "b");
    assert_eq!(bytes(source.as_ref()) - opened, 2 * 3000 * ROW, "what was released is");
}

#[test]
fn memory_stays_within_its_budget() {
    let bucket = Bucket::of(&[(FILE, counting(&[("a", 8192), ("b", 8192), ("c", 8192)]))]);
    // Each tensor is 1 MiB; one and a half are held.
    let client = Client::new(&bucket).with(|o| (o.held_bytes, o.piece_bytes) = (3 << 19, 32 << 10));
    let source = client.open(ADDRESS).unwrap();
    let opened = bytes(source.as_ref());
    ["a", "b", "c"].iter().for_each(|name| decode_counting(source.as_ref(), name));
    assert_eq!(bytes(source.as_ref()) - opened, 3 << 20);
    // What was used longest ago is gone, what was used last is there.
    decode_counting(source.as_ref(), "c");
    assert_eq!(bytes(source.as_ref()) - opened, 3 << 20);
    decode_counting(source.as_ref(), "a");
    assert_eq!(bytes(source.as_ref()) - opened, 4 << 20);
    // With less than one of them, even the last is not there twice.
    source.hold_at_most(1 << 19);
    decode_counting(source.as_ref(), "a");
    decode_counting(source.as_ref(), "a");
    assert!(bytes(source.as_ref()) - opened >= (4 << 20) + 3 * (1 << 19), "{}", bytes(source.as_ref()) - opened);
    source.hold_at_most(u64::MAX);
}

#[test]
fn pieces_come_side_by_side() {
    // The first piece is answered only when another was asked for as well.
    let waiting = Arc::new((Mutex::new(0), Condvar::new()));
    let shared = waiting.clone();
    let objects = BTreeMap::from([(FILE.to_owned(), counting(&[("a", 5000)]))]);
    let bucket = Bucket::twisted(objects, move |request| {
        if range(request).is_some_and(|(start, _)| start > 0) {
            let (count, changed) = &*shared;
            let mut count = count.lock().unwrap();
            *count += 1;
            changed.notify_all();
            let wait = changed.wait_timeout_while(count, Duration::from_secs(20), |count| *count < 2);
            assert!(!wait.unwrap().1.timed_out(), "nothing else was asked for");
        }
        None
    });
    let client = Client::new(&bucket).with(|o| (o.piece_bytes, o.retries) = (64 << 10, 0));
    decode_counting(client.open(ADDRESS).unwrap().as_ref(), "a");
}

#[test]
fn a_reader_that_goes_on_is_read_ahead_of_and_one_that_jumps_is_not() {
    let bucket = Bucket::of(&[(FILE, counting(&[("a", 6400), ("b", 100)]))]);
    let client = Client::new(&bucket).with(|o| o.piece_bytes = 64 << 10);
    let source = client.open(ADDRESS).unwrap();
    let opened = bytes(source.as_ref());
    bucket.origin.forget();
    let mut out = [0.0; 64 * 64];
    let mut decode = |row: u64| source.decode("a", row * 64..(row + 64) * 64, &mut out).unwrap();

    // Every other strip: each is fetched by itself.
    (0..6400).step_by(128).for_each(&mut decode);
    assert_eq!(bytes(source.as_ref()) - opened, 3200 * ROW);
    assert_eq!(bucket.ranges(FILE).len(), 50);

    source.release("a", 0..6400 * 64);
    bucket.origin.forget();
    (0..6400).step_by(64).for_each(&mut decode);
    // A hundred strips of 8 KiB in fewer requests than that; never past the tensor's end.
    assert_eq!(bytes(source.as_ref()) - opened, 3200 * ROW + 6400 * ROW);
    assert!(bucket.ranges(FILE).len() < 60, "{}", bucket.ranges(FILE).len());
}

#[test]
fn what_is_asked_for_ahead_is_there_when_it_is_needed() {
    let bucket = Bucket::of(&[(FILE, counting(&[("a", 5000), ("b", 5000), ("c", 60_000)]))]);
    let client = Client::new(&bucket).with(|o| (o.held_bytes, o.piece_bytes) = (4 << 20, 64 << 10));
    let source = client.open(ADDRESS).unwrap();
    let opened = bytes(source.as_ref());
    bucket.origin.forget();
    source.prefetch("b", 0..5000 * 64);
    // 5000 rows are 9.8 pieces; they come without anybody waiting for them.
    let begun = std::time::Instant::now();
    while bytes(source.as_ref()) - opened < 5000 * ROW && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(bucket.ranges(FILE).len(), 10);
    decode_counting(source.as_ref(), "b");
    assert_eq!(bytes(source.as_ref()) - opened, 5000 * ROW, "once");
    source.prefetch("b", 0..5000 * 64);
    // Half of the budget, 2 MiB, may be asked for ahead of all need: of the 7.3 MiB of c, with b used up, 32 pieces.
    source.prefetch("c", 0..60_000 * 64);
    source.prefetch("c", 0..60_000 * 64);
    let ranges = |bucket: &Bucket| bucket.ranges(FILE).len();
    decode_counting(source.as_ref(), "a");
    assert!(ranges(&bucket) <= 10 + 32 + 10, "{}", ranges(&bucket));
    decode_counting(source.as_ref(), "c");
    assert_eq!(bytes(source.as_ref()) - opened, 70_000 * ROW);
}

#[test]
fn the_digest_reads_samples_and_joins_those_that_are_near() {
    let bucket = Bucket::of(&[(FILE, counting(&[("a", 60_000), ("b", 1), ("c", 3000), ("d", 1)]))]);
    let source = Client::new(&bucket).open(ADDRESS).unwrap();
    let opened = bytes(source.as_ref());
    bucket.origin.forget();
    source.digest().unwrap();
    // Four tensors: 16 pieces of 4 KiB each at most. Those of a lie 500 KB apart; c and what lies around it are one request of
    // less than 400 KB.
    assert!(bytes(source.as_ref()) - opened < 16 * 4096 + 400_000, "{}", bytes(source.as_ref()) - opened);
    assert!(bucket.ranges(FILE).len() <= 20, "{:?}", bucket.ranges(FILE));
}
