//! Pieces of files that are on their way or held in memory, within a budget.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::Error;

/// Pieces that one reader has on its way at least, so that the next is there when one is used up.
const LEAST_AHEAD: usize = 2;

/// Which file, and at which byte of it.
type At = (usize, usize);

/// Pieces of all files of one store.
pub(super) struct Held {
    state: Mutex<State>,
    arrived: Condvar,
    piece_bytes: usize,
    connections: usize,
}

struct State {
    limits: Limits,
    /// By first byte; no two overlap.
    pieces: BTreeMap<At, Piece>,
    /// Bytes of pieces that have arrived.
    bytes: usize,
    clock: u64,
    readers: usize,
}

/// How much memory may be taken.
#[derive(Clone, Copy)]
struct Limits {
    /// Bytes that are held.
    budget: usize,
    /// Bytes of a request.
    piece: usize,
    /// Bytes on their way or waiting, for all readers together.
    ahead: usize,
}

impl Limits {
    fn new(budget: usize, piece_bytes: usize, connections: usize) -> Self {
        // With a small budget, small pieces.
        let piece = piece_bytes.min(budget / 32).max(4 << 10);
        Self { budget, piece, ahead: (connections * piece).min(budget / 2).max(piece) }
    }

    /// Whole blocks that fit in a piece, at least one.
    fn piece(&self, block: usize) -> usize {
        (self.piece / block.max(1) * block).max(block)
    }
}

struct Piece {
    end: usize,
    /// Somebody waits for it: it stays until it is used.
    is_wanted: bool,
    is_used: bool,
    /// When it arrived or was used.
    time: u64,
    content: Content,
}

enum Content {
    Coming,
    Here(Bytes),
    Failed(Error),
}

/// What a reader asks for.
pub(super) struct Wanted {
    pub(super) file: usize,
    /// What it will use.
    pub(super) bytes: Range<usize>,
    /// How far it may be read ahead.
    pub(super) ahead_to: usize,
    /// Pieces are whole blocks of so many bytes, from the first byte on.
    pub(super) block: usize,
}

impl Held {
    pub(super) fn new(budget: usize, piece_bytes: usize, connections: usize) -> Self {
        let limits = Limits::new(budget, piece_bytes, connections);
        let state = State { limits, pieces: BTreeMap::new(), bytes: 0, clock: 0, readers: 0 };
        Self { state: Mutex::new(state), arrived: Condvar::new(), piece_bytes, connections }
    }

    /// Holds at most `budget` bytes from now on, if it is not less already.
    pub(super) fn lower(&self, budget: usize) {
        let mut state = self.state();
        if budget < state.limits.budget {
            state.limits = Limits::new(budget, self.piece_bytes, self.connections);
            state.evict();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what is wanted, front to back; `fetch` starts the request for a range that is not there yet.
    pub(super) fn read(
        &self,
        wanted: &Wanted,
        fetch: &dyn Fn(Range<usize>),
        take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.state().readers += 1;
        let mut at = wanted.bytes.start;
        let mut read = || {
            while at < wanted.bytes.end {
                let piece = self.next(at, wanted, fetch)?;
                take(&piece)?;
                at += piece.len();
            }
            Ok(())
        };
        let done = read();
        let mut state = self.state();
        state.readers -= 1;
        if done.is_err() {
            // Nobody comes for the rest.
            state.each(wanted.file, &wanted.bytes, |piece| piece.is_wanted = false);
        }
        drop(state);
        done
    }

    /// The bytes from `at` to the end of a piece; waits for them. Starts what can be on its way meanwhile.
    fn next(&self, at: usize, wanted: &Wanted, fetch: &dyn Fn(Range<usize>)) -> Result<Bytes, Error> {
        let mut state = self.state();
        loop {
            let limits = state.limits;
            let window = (limits.ahead / state.readers.max(1)).max(LEAST_AHEAD * limits.piece);
            let until = wanted.ahead_to.min(at.saturating_add(window));
            for gap in state.gaps(wanted.file, at..until, limits.piece(wanted.block)) {
                let is_wanted = gap.start < wanted.bytes.end;
                state.insert((wanted.file, gap.start), gap.end, is_wanted);
                fetch(gap);
            }
            match state.take(wanted.file, at, wanted.bytes.end) {
                Some(taken) => return taken,
                None => state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Starts what is not there of `bytes`, as far as there is room for what nobody has asked for yet.
    pub(super) fn prefetch(&self, file: usize, bytes: Range<usize>, block: usize, fetch: &dyn Fn(Range<usize>)) {
        let mut state = self.state();
        let limits = state.limits;
        let mut room = (limits.budget / 2).saturating_sub(state.unused_bytes());
        for gap in state.gaps(file, bytes, limits.piece(block)) {
            if gap.len() > room {
                return;
            }
            room -= gap.len();
            state.insert((file, gap.start), gap.end, false);
            fetch(gap);
        }
    }

    /// Puts what a request brought into its place.
    pub(super) fn deliver(&self, file: usize, start: usize, brought: Result<Bytes, Error>) {
        let mut state = self.state();
        state.clock += 1;
        let (time, at) = (state.clock, (file, start));
        let is_wanted = state.pieces.get(&at).is_some_and(|piece| piece.is_wanted);
        match brought {
            Ok(bytes) => {
                if let Some(piece) = state.pieces.get_mut(&at) {
                    piece.time = time;
                    let length = bytes.len();
                    piece.content = Content::Here(bytes);
                    state.bytes += length;
                }
                state.evict();
            }
            Err(error) if is_wanted => {
                if let Some(piece) = state.pieces.get_mut(&at) {
                    piece.content = Content::Failed(error);
                }
            }
            // Whoever comes for it asks again, and hears of it then.
            Err(_) => drop(state.pieces.remove(&at)),
        }
        drop(state);
        self.arrived.notify_all();
    }

    /// Lets go of pieces that lie in `range`.
    pub(super) fn release(&self, file: usize, range: &Range<usize>) {
        let mut state = self.state();
        let inside: Vec<At> = state
            .pieces
            .range((file, range.start)..(file, range.end))
            .filter(|(_, piece)| piece.end <= range.end && matches!(piece.content, Content::Here(_)))
            .map(|(at, _)| *at)
            .collect();
        inside.into_iter().for_each(|at| state.remove(at));
    }
}

impl State {
    /// What is neither there nor on its way, in pieces of at most `most` bytes.
    fn gaps(&self, file: usize, range: Range<usize>, most: usize) -> Vec<Range<usize>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        while at < range.end {
            if let Some(piece) = self.covering(file, at) {
                at = piece.end;
                continue;
            }
            let next =
                self.pieces.range((file, at)..(file, range.end)).next().map_or(range.end, |((_, start), _)| *start);
            let end = next.min(at.saturating_add(most));
            gaps.push(at..end);
            at = end;
        }
        gaps
    }

    fn covering(&self, file: usize, at: usize) -> Option<&Piece> {
        let (_, piece) = self.pieces.range((file, 0)..=(file, at)).next_back()?;
        (piece.end > at).then_some(piece)
    }

    fn insert(&mut self, at: At, end: usize, is_wanted: bool) {
        let piece = Piece { end, is_wanted, is_used: false, time: self.clock, content: Content::Coming };
        self.pieces.insert(at, piece);
    }

    /// The piece at byte `at`, no further than `end`; `None` while it is on its way.
    fn take(&mut self, file: usize, at: usize, end: usize) -> Option<Result<Bytes, Error>> {
        self.clock += 1;
        let time = self.clock;
        let (place, piece) = self.pieces.range_mut((file, 0)..=(file, at)).next_back().filter(|(_, p)| p.end > at)?;
        let (place, start) = (*place, place.1);
        match &piece.content {
            Content::Coming => {
                piece.is_wanted = true;
                None
            }
            Content::Here(bytes) => {
                let part = bytes.slice(at - start..(end - start).min(bytes.len()));
                (piece.is_wanted, piece.is_used, piece.time) = (false, true, time);
                Some(Ok(part))
            }
            Content::Failed(_) => match self.pieces.remove(&place)?.content {
                Content::Failed(error) => Some(Err(error)),
                _ => None,
            },
        }
    }

    fn each(&mut self, file: usize, range: &Range<usize>, mut change: impl FnMut(&mut Piece)) {
        self.pieces.range_mut((file, range.start)..(file, range.end)).for_each(|(_, piece)| change(piece));
    }

    fn unused_bytes(&self) -> usize {
        let unused = self.pieces.iter().filter(|(_, piece)| !piece.is_used);
        unused.map(|((_, start), piece)| piece.end - start).sum()
    }

    /// Drops what was used first, then what nobody waits for, until the rest fits.
    fn evict(&mut self) {
        while self.bytes > self.limits.budget {
            let here = self.pieces.iter().filter(|(_, p)| !p.is_wanted && matches!(p.content, Content::Here(_)));
            let Some(at) = here.min_by_key(|(_, p)| (!p.is_used, p.time)).map(|(at, _)| *at) else { return };
            self.remove(at);
        }
    }

    fn remove(&mut self, at: At) {
        if let Some(Piece { content: Content::Here(bytes), .. }) = self.pieces.remove(&at) {
            self.bytes -= bytes.len();
        }
    }
}
