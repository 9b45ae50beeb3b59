use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::ObjectMeta;
use object_store::path::Path as Key;

use super::bucket::Bucket;
use super::held::{Held, Wanted};
use super::place::Place;
use super::refusal;
use crate::Error;
use crate::backing::{Remote, Stretch, Take};
use crate::files::check_length;

/// Small ranges that lie no further apart are fetched as one: the way there and back costs more than the bytes between.
const JOINED_GAP: usize = 32 << 10;

/// Most bytes of ranges that are fetched as one.
const JOINED_BYTES: usize = 1 << 20;

/// How an object is asked for, always in the version that was opened.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) bucket: Arc<Bucket>,
    pub(super) path: PathBuf,
    pub(super) key: Key,
    pub(super) pinned: ObjectMeta,
}

impl Request {
    async fn bytes(&self, range: Range<usize>) -> Result<Bytes, Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let range = range.start as u64..range.end as u64;
        self.bucket.fetch(&self.key, &self.path, Some(&self.pinned), range).await.map(|(bytes, _)| bytes)
    }
}

/// An object that is read by ranges.
pub(super) struct RemoteFile {
    place: Arc<Place>,
    request: Request,
    /// Among the files of its place.
    number: usize,
    length: usize,
    head: Bytes,
    /// By the end of a tensor: where its last reader stopped, and how many bytes were read on end before.
    runs: Mutex<HashMap<usize, Run>>,
}

#[derive(Clone, Copy)]
struct Run {
    end: usize,
    bytes: usize,
}

impl RemoteFile {
    pub(super) fn new(place: Arc<Place>, request: Request, number: usize, length: usize, head: Bytes) -> Self {
        Self { place, request, number, length, head, runs: Mutex::default() }
    }

    /// All of it, if it is at most `most` bytes.
    pub(super) fn all(&self, most: u64) -> Result<Vec<u8>, Error> {
        check_length(&self.request.path, self.length as u64, most)?;
        let mut all = Vec::new();
        self.extend_head(&mut all, self.length)?;
        Ok(all)
    }

    /// Starts the request for a piece.
    fn fetch(&self, range: Range<usize>) {
        let request = self.request.clone();
        let mut delivery =
            Delivery { held: Arc::clone(&self.place.held), at: Some((self.number, range.start)), request };
        self.place.start(async move {
            let brought = delivery.request.bytes(range).await;
            delivery.make(brought);
        });
    }

    /// How far to read ahead: a reader that goes on where the last one stopped gets as much again as it has read on end.
    fn ahead_to(&self, stretch: &Stretch) -> usize {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let last = runs.get(&stretch.tensor_end).filter(|run| run.end == stretch.bytes.start);
        let before = last.map_or(0, |run| run.bytes);
        let bytes = before.saturating_add(stretch.bytes.len());
        runs.insert(stretch.tensor_end, Run { end: stretch.bytes.end, bytes });
        let blocks = before / stretch.block.max(1) * stretch.block;
        stretch.bytes.end.saturating_add(blocks).min(stretch.tensor_end).max(stretch.bytes.end)
    }
}

/// Brings a piece to its place, and says so when there is none to bring.
struct Delivery {
    held: Arc<Held>,
    at: Option<(usize, usize)>,
    request: Request,
}

impl Delivery {
    fn make(&mut self, brought: Result<Bytes, Error>) {
        if let Some((file, start)) = self.at.take() {
            self.held.deliver(file, start, brought);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let lost = refusal::lost(&self.request.path);
        self.make(Err(lost));
    }
}

impl Remote for RemoteFile {
    fn length(&self) -> usize {
        self.length
    }

    fn extend_head(&self, head: &mut Vec<u8>, wanted: usize) -> Result<(), Error> {
        let wanted = wanted.min(self.length);
        if head.len() < self.head.len().min(wanted) {
            head.extend_from_slice(&self.head[head.len()..wanted.min(self.head.len())]);
        }
        if head.len() < wanted {
            let rest = Stretch { bytes: head.len()..wanted, tensor_end: wanted, block: 1 };
            self.read(&rest, &mut |piece| {
                head.extend_from_slice(piece);
                Ok(())
            })?;
            self.release(rest.bytes);
        }
        Ok(())
    }

    fn read(&self, stretch: &Stretch, take: &mut Take<'_>) -> Result<(), Error> {
        let ahead_to = self.ahead_to(stretch);
        let wanted = Wanted { file: self.number, bytes: stretch.bytes.clone(), ahead_to, block: stretch.block };
        self.place.held.read(&wanted, &|range| self.fetch(range), take)
    }

    fn scattered(&self, ranges: &[Range<usize>]) -> Result<Vec<Vec<u8>>, Error> {
        let joined = joined(ranges);
        let work = joined.iter().map(|(range, _)| {
            let (request, range) = (self.request.clone(), range.clone());
            async move { request.bytes(range).await }
        });
        let fetched = self.place.all(&self.request.path, work)?;
        let mut found = Vec::with_capacity(ranges.len());
        for ((range, parts), bytes) in joined.into_iter().zip(fetched) {
            let bytes = bytes?;
            found.extend(parts.iter().map(|part| bytes[part.start - range.start..part.end - range.start].to_vec()));
        }
        Ok(found)
    }

    fn prefetch(&self, stretch: &Stretch) {
        self.place.held.prefetch(self.number, stretch.bytes.clone(), stretch.block, &|range| self.fetch(range));
    }

    fn release(&self, range: Range<usize>) {
        self.place.held.release(self.number, &range);
    }
}

/// Ranges, which are in order, joined where they are near: what to fetch, and the ranges in it. Empty ones are in none.
fn joined(ranges: &[Range<usize>]) -> Vec<(Range<usize>, &[Range<usize>])> {
    let mut joined: Vec<(Range<usize>, &[Range<usize>])> = Vec::new();
    let mut first = 0;
    for (index, range) in ranges.iter().enumerate() {
        let parts = &ranges[first..=index];
        match joined.last_mut() {
            Some((whole, all)) if is_near(whole, range) => {
                whole.end = range.end.max(whole.end);
                *all = parts;
            }
            _ => {
                first = index;
                joined.push((range.clone(), &ranges[index..=index]));
            }
        }
    }
    joined
}

fn is_near(whole: &Range<usize>, next: &Range<usize>) -> bool {
    next.start >= whole.start
        && next.start.saturating_sub(whole.end) <= JOINED_GAP
        && next.end.saturating_sub(whole.start) <= JOINED_BYTES
}
