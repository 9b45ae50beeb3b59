//! The texts: what is learnt from, and what is held out.

use tomo_text::Text;

use super::draw::Draw;
use super::genres::GENRES;

/// V: a token per byte, and one that stands between documents.
pub(crate) const VOCAB: usize = 257;
/// The token between documents.
pub(crate) const SEPARATOR: u32 = 256;

/// Seed of everything.
pub(crate) const SEED: u64 = 4;
/// Bytes of generated text.
pub(crate) const TRAINING_PROSE: usize = 4_000_000;
pub(crate) const TRAINING_SUMS: usize = 1_000_000;
pub(crate) const HELD_OUT_PROSE: usize = 12_000;
pub(crate) const HELD_OUT_SUMS: usize = 4_000;

/// Tokens of a window that is scored.
const WINDOW: usize = 512;

/// Streams of draws; the documents of one never depend on how many another has.
const PROSE: u64 = 1;
const PROSE_HELD_OUT: u64 = 2;
const SUMS: u64 = 3;
const SUMS_HELD_OUT: u64 = 4;

/// Of the bundled sample, every document whose number leaves this when divided by eight is held out, whole.
const HELD_OUT_OF_EIGHT: usize = 6;

/// One side of the line between what is learnt from and what is held out.
pub(crate) struct Side {
    /// Generated prose.
    pub(crate) generated: Vec<String>,
    /// Documents of the bundled sample.
    pub(crate) sample: Vec<String>,
    /// Sheets of sums.
    pub(crate) sums: Vec<String>,
}

/// What is learnt from: at least `prose` bytes of generated prose, the sample's share, at least `sums` bytes of sums.
pub(crate) fn training(seed: u64, prose: usize, sums: usize) -> Side {
    side(seed, (PROSE, prose), (SUMS, sums), false)
}

/// What is held out: other draws, other documents of the sample.
pub(crate) fn held_out(seed: u64, prose: usize, sums: usize) -> Side {
    side(seed, (PROSE_HELD_OUT, prose), (SUMS_HELD_OUT, sums), true)
}

fn side(seed: u64, prose: (u64, usize), sums: (u64, usize), held_out: bool) -> Side {
    let sample = Text::bundled().documents().to_vec().into_iter().enumerate();
    let sample = sample.filter(|(number, _)| (number % 8 == HELD_OUT_OF_EIGHT) == held_out);
    Side {
        generated: documents(&mut Draw::new(seed, prose.0), prose.1, |draw| draw.pick(GENRES)(draw)),
        sample: sample.map(|(_, document)| document).collect(),
        sums: documents(&mut Draw::new(seed, sums.0), sums.1, sheet),
    }
}

fn documents(draw: &mut Draw, bytes: usize, write: impl Fn(&mut Draw) -> String) -> Vec<String> {
    let (mut all, mut written) = (Vec::new(), 0);
    while written < bytes {
        let document = write(draw);
        written += document.len();
        all.push(document);
    }
    all
}

/// A sheet of sums and differences, one a line.
fn sheet(draw: &mut Draw) -> String {
    (0..draw.within(20, 40)).map(|_| sum(draw)).collect()
}

fn sum(draw: &mut Draw) -> String {
    let digits = |draw: &mut Draw| if draw.chance(30) { draw.below(10) } else { draw.below(100) };
    let (a, b) = (digits(draw), digits(draw));
    if draw.chance(35) {
        let (a, b) = (a.max(b), a.min(b));
        return format!("{a} - {b} = {}\n", a - b);
    }
    format!("{a} + {b} = {}\n", a + b)
}

/// Windows that held-out documents are scored in, as long as those that `tomograph perplexity` takes; what is left at the
/// end is not scored.
pub(crate) fn windows(documents: &[String]) -> Vec<Vec<u32>> {
    tokens(documents).chunks_exact(WINDOW).map(<[u32]>::to_vec).collect()
}

/// Tokens of documents, one after the other, each with the separator in front, and one at the end.
pub(crate) fn tokens<'a>(documents: impl IntoIterator<Item = &'a String>) -> Vec<u32> {
    let mut tokens = Vec::new();
    for document in documents {
        tokens.push(SEPARATOR);
        tokens.extend(document.bytes().map(u32::from));
    }
    tokens.push(SEPARATOR);
    tokens
}
