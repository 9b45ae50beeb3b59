use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::text::{size, thousands};
use crate::{Text, TextError, TextErrorKind, Tokenizer, Windows};

/// How much text a model is run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowOptions {
    /// Tokens in all windows together.
    pub tokens: usize,
    /// Tokens of one window, BOS included.
    pub sequence: usize,
    /// Of the choice among places in the text.
    pub seed: u64,
}

impl Default for WindowOptions {
    fn default() -> Self {
        Self { tokens: 8192, sequence: 512, seed: 0 }
    }
}

/// Texts up to this size are tokenized whole.
const WHOLE_BYTES: u64 = 1 << 20;
/// So are texts with fewer bytes than this per token asked for; a token of prose has four.
const BYTES_PER_TOKEN: u64 = 32;

impl Windows {
    /// Cuts windows of exactly `options.sequence` tokens from all over a text.
    ///
    /// Documents are joined by the tokenizer's EOS, or else its BOS; where it has neither they are not joined, and no window
    /// reaches from one into the next. The text is divided into as many equal parts as windows are wanted, and a window is
    /// taken at a seeded place in each: windows do not overlap, and the same text, tokenizer and options give the same windows on every
    /// machine. Where the tokenizer says that sequences begin with BOS ([`Tokenizer::adds_bos`]) every window begins with it,
    /// within its length, as llama.cpp and lm-evaluation-harness do.
    ///
    /// A text of more than 1 MiB, and of more than 32 bytes for every token asked for, is not tokenized whole: in each part a
    /// stretch that starts at a line is tokenized as if it were a document of its own.
    ///
    /// A text with fewer tokens than asked for is used as far as it goes; one that is shorter than a window gives one
    /// shorter window. Both are noted.
    ///
    /// # Errors
    /// Options that cannot be met, a text of fewer than two tokens, a text that the tokenizer cannot encode.
    pub fn choose(tokenizer: &Tokenizer, text: &Text, options: &WindowOptions) -> Result<Self, TextError> {
        let plan = Plan::new(tokenizer, text, options)?;
        let rng = &mut ChaCha8Rng::seed_from_u64(options.seed);
        let mut windows = Self { sequences: Vec::new(), notes: plan.notes(options), description: String::new() };
        let bytes = text.bytes();
        if bytes > WHOLE_BYTES && bytes / BYTES_PER_TOKEN > options.tokens as u64 {
            plan.choose_by_bytes(rng, &mut windows)?;
        }
        if windows.sequences.is_empty() {
            plan.choose_by_tokens(rng, &mut windows)?;
        }
        let bos = if plan.bos.is_some() { ", each starting with BOS" } else { "" };
        let seed = options.seed;
        windows.description = format!("{}{bos}, from {}, seed {seed}", windows.counts(), text.describe());
        Ok(windows)
    }
}

struct Plan<'a> {
    tokenizer: &'a Tokenizer,
    text: &'a Text,
    /// Put at the start of every window.
    bos: Option<u32>,
    /// Put between documents.
    separator: Option<u32>,
    /// Tokens of text in a window.
    content: usize,
    wanted: usize,
}

impl<'a> Plan<'a> {
    fn new(tokenizer: &'a Tokenizer, text: &'a Text, options: &WindowOptions) -> Result<Self, TextError> {
        let sequence = options.sequence.min(options.tokens);
        if sequence < 2 {
            return Err(TextError::new(TextErrorKind::Text, "windows too short to predict anything")
                .expected("at least 2 tokens, and 2 tokens per sequence")
                .found(format!("{} tokens in sequences of {}", options.tokens, options.sequence)));
        }
        let bos = tokenizer.bos().filter(|_| tokenizer.adds_bos());
        Ok(Self {
            tokenizer,
            text,
            bos,
            separator: tokenizer.eos().or(tokenizer.bos()),
            content: sequence - usize::from(bos.is_some()),
            wanted: options.tokens / sequence,
        })
    }

    fn notes(&self, options: &WindowOptions) -> Vec<String> {
        let used = self.wanted * self.window();
        if used == options.tokens {
            return Vec::new();
        }
        let (asked, used) = (thousands(options.tokens as u64), thousands(used as u64));
        vec![format!("{asked} tokens are no multiple of the sequence length: {used} are used")]
    }

    /// Tokens of a window.
    fn window(&self) -> usize {
        self.content + usize::from(self.bos.is_some())
    }

    fn sequence(&self, content: &[u32]) -> Vec<u32> {
        self.bos.into_iter().chain(content.iter().copied()).collect()
    }

    /// Tokenizes everything.
    fn choose_by_tokens(&self, rng: &mut ChaCha8Rng, windows: &mut Windows) -> Result<(), TextError> {
        let encode = |document: &String| self.tokenizer.encode(document);
        let documents = self.text.documents().par_iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let streams = match self.separator {
            Some(separator) => vec![documents.join(&separator)],
            None => documents,
        };
        let slots = slots(&streams, self.content);
        if slots.is_empty() {
            return self.one_short_window(&streams, windows);
        }
        let count = self.wanted.min(slots.len());
        for part in 0..count {
            let slot = &slots[within(rng, slots.len() * part / count, slots.len() * (part + 1) / count)];
            let start = within(rng, slot.start, slot.end - self.content + 1);
            windows.sequences.push(self.sequence(&streams[slot.stream][start..start + self.content]));
        }
        if count < self.wanted {
            let all: usize = streams.iter().map(Vec::len).sum();
            windows.notes.push(format!(
                "the text has {} tokens, too few for {} windows of {}: {count} are used",
                thousands(all as u64),
                self.wanted,
                self.window()
            ));
        }
        Ok(())
    }

    fn one_short_window(&self, streams: &[Vec<u32>], windows: &mut Windows) -> Result<(), TextError> {
        let longest = streams.iter().max_by_key(|s| s.len()).map_or(&[][..], Vec::as_slice);
        let sequence = self.sequence(longest);
        if longest.is_empty() || sequence.len() < 2 {
            return Err(TextError::new(TextErrorKind::Text, "the text is too short")
                .expected("at least 2 tokens")
                .found(format!("{} tokens in {}", longest.len(), self.text.describe()))
                .hint("leave --text out to use the bundled sample"));
        }
        windows.notes.push(format!(
            "the text is shorter than one window of {} tokens: one window of {} is used",
            self.window(),
            sequence.len()
        ));
        windows.sequences.push(sequence);
        Ok(())
    }

    /// Tokenizes a stretch in each part of the text.
    fn choose_by_bytes(&self, rng: &mut ChaCha8Rng, windows: &mut Windows) -> Result<(), TextError> {
        let documents = Documents::new(self.text.documents());
        let parts: Vec<(usize, usize)> = (0..self.wanted)
            .map(|part| {
                let bound = |n: usize| (documents.length as u128 * n as u128 / self.wanted as u128) as usize;
                let (low, high) = (bound(part), bound(part + 1));
                (within(rng, low, low + (high - low) / 2 + 1), high)
            })
            .collect();
        let found = parts.par_iter().map(|&(start, end)| self.stretch(&documents, start, end));
        let found = found.collect::<Result<Vec<_>, TextError>>()?;
        windows.sequences = found.into_iter().flatten().collect();
        let count = windows.sequences.len();
        if count > 0 {
            let bytes = size(documents.length as u64);
            windows.notes.push(format!("{count} stretches spread over {bytes} of text were tokenized, not all of it"));
        }
        if (1..self.wanted).contains(&count) {
            windows.notes.push(format!(
                "{} parts of the text had too few tokens for a window of {}",
                self.wanted - count,
                self.window()
            ));
        }
        Ok(())
    }

    /// The first window of text from `start`, before `end`.
    fn stretch(&self, documents: &Documents<'_>, start: usize, end: usize) -> Result<Option<Vec<u32>>, TextError> {
        let mut start = documents.line_start(start, end);
        let mut length = (self.content * 16).max(4096);
        while start < end {
            let stop = end.min(start.saturating_add(length));
            let mut stream: Vec<u32> = Vec::new();
            let first = start;
            let mut next = first;
            while next < stop && stream.len() < self.content {
                let (piece, after) = documents.piece(next, stop);
                if next > first {
                    match self.separator {
                        Some(separator) => stream.push(separator),
                        None => stream.clear(),
                    }
                }
                stream.extend(self.tokenizer.encode(piece)?);
                if self.separator.is_none() && stream.len() < self.content && after < stop {
                    // This document cannot give a window; the next may.
                    start = after;
                }
                next = after;
            }
            if let Some(content) = stream.get(..self.content) {
                return Ok(Some(self.sequence(content)));
            }
            if stop == end {
                break;
            }
            length *= 2;
        }
        Ok(None)
    }
}

/// Documents laid end to end; places are bytes.
struct Documents<'a> {
    texts: &'a [String],
    /// Where each begins.
    starts: Vec<usize>,
    length: usize,
}

impl<'a> Documents<'a> {
    fn new(texts: &'a [String]) -> Self {
        let mut length = 0;
        let starts = texts
            .iter()
            .map(|text| {
                let start = length;
                length += text.len();
                start
            })
            .collect();
        Self { texts, starts, length }
    }

    /// The document at a place, and the place within it.
    fn find(&self, at: usize) -> (usize, usize) {
        let index = self.starts.partition_point(|&start| start <= at).saturating_sub(1);
        (index, at - self.starts[index])
    }

    /// The first start of a document or line at `at` or after it; else the first start of a character.
    fn line_start(&self, at: usize, end: usize) -> usize {
        let (index, offset) = self.find(at);
        let text = &self.texts[index];
        let line = if offset == 0 {
            Some(0)
        } else {
            text.as_bytes()[offset - 1..].iter().position(|&b| b == b'\n').map(|n| offset + n)
        };
        let base = self.starts[index];
        match line.filter(|&line| line < text.len() && base + line < end) {
            Some(line) => base + line,
            None if base + text.len() < end => base + text.len(),
            None => base + text.ceil_char_boundary(offset),
        }
    }

    /// The text from `from` to the end of its document, or to `stop`; and the place after it.
    fn piece(&self, from: usize, stop: usize) -> (&'a str, usize) {
        let (index, offset) = self.find(from);
        let text = &self.texts[index];
        let last = text.len().min(offset + (stop - from));
        let cut = if last == text.len() { last } else { text.floor_char_boundary(last) };
        if cut <= offset {
            // Less than a character is left.
            return ("", stop);
        }
        let after = if cut == last { self.starts[index] + cut } else { stop };
        (&text[offset..cut], after)
    }
}

/// Room for one window; slots do not overlap.
struct Slot {
    stream: usize,
    start: usize,
    end: usize,
}

/// Every stream cut into as many slots as it has room for, of nearly equal length.
fn slots(streams: &[Vec<u32>], content: usize) -> Vec<Slot> {
    let mut slots = Vec::new();
    for (stream, tokens) in streams.iter().enumerate() {
        let count = tokens.len() / content;
        for slot in 0..count {
            let bound = |n: usize| (tokens.len() as u128 * n as u128 / count as u128) as usize;
            slots.push(Slot { stream, start: bound(slot), end: bound(slot + 1) });
        }
    }
    slots
}

/// A number from `low` to below `high`, by multiplication: the same on every machine, whatever version of a library.
fn within(rng: &mut ChaCha8Rng, low: usize, high: usize) -> usize {
    let width = (high - low) as u128;
    low + ((u128::from(rng.next_u64()) * width) >> 64) as usize
}
