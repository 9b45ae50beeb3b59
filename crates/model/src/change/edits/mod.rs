//! What is done to a cell: one file per kind of edit.

mod format;
mod mean;
mod noise;
mod patch;
mod rank;
mod resample;
mod restored;
mod zero;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tomo_map::near_names;
use tomo_quant::FORMATS;

use super::error::ChangeError;
use super::means::{MeanOutput, Means};
use crate::Model;
use crate::engine::{Change, OutputChange, Rewrite};

pub use format::Quantization;
pub use rank::Rank;

/// What is done to a cell.
///
/// ```
/// use tomo_model::change::Edit;
///
/// let edit: Edit = "noise:0.1:seed=3".parse()?;
/// assert_eq!(edit, Edit::Noise { size: 0.1, seed: Some(3) });
/// assert_eq!(edit.to_string(), "noise:0.1:seed=3");
/// # Ok::<(), tomo_model::change::ChangeError>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub enum Edit {
    /// Its output is 0.
    Zero,
    /// Its output is its mean over the text.
    Mean,
    /// Its output is that of another sequence.
    Resample,
    /// Its weights are what a number format makes of them.
    Format {
        /// The format.
        format: Quantization,
        /// Weights per group, for formats that leave that open; [`Defaults::group`] where `None`.
        group: Option<usize>,
    },
    /// Its weights have noise added.
    Noise {
        /// Relative to the root mean square of the weights.
        size: f64,
        /// [`Defaults::seed`] where `None`.
        seed: Option<u64>,
    },
    /// Its weights are approximated by a matrix of lower rank.
    Rank(Rank),
    /// Its weights are those of another checkpoint.
    Patch,
    /// It is as it was.
    Restored,
}

/// One kind of edit, for help and documents.
pub struct EditKind {
    /// The word it begins with; for number formats, `FORMAT` stands for their ids.
    pub id: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The kind's own source file; its `//!` header is the manual.
    pub source: &'static str,
    /// Reads what follows the word, cut at colons; `None` where that makes no sense.
    parse: fn(&[&str]) -> Option<Edit>,
}

/// Stands for the ids of all number formats.
const FORMAT: &str = "FORMAT";

macro_rules! kinds {
    ($($module:ident: $id:literal, $usage:literal, $summary:literal, $parse:expr;)+) => {
        /// Every kind of edit, in the order of help and documents.
        pub static EDITS: &[&EditKind] = &[$(&EditKind {
            id: $id,
            usage: $usage,
            summary: $summary,
            source: include_str!(concat!(stringify!($module), ".rs")),
            parse: $parse,
        },)+];
    };
}

kinds! {
    zero: "zero", "zero", "The output is 0.", zero::parse;
    mean: "mean", "mean", "The output is its mean over the text.", mean::parse;
    resample: "resample", "resample", "The output is that of the next sequence at the same position.", resample::parse;
    format: "FORMAT", "FORMAT or FORMAT:gN", "The weights are what a number format makes of them, in groups of N.", |_| None;
    noise: "noise", "noise:T or noise:T:seed=N", "Gaussian noise of T times their root mean square is added to the weights.", noise::parse;
    rank: "rank", "rank:R or rank:SHARE", "The weights keep their R largest singular values, or a share of them.", rank::parse;
    patch: "patch", "patch", "The weights are those of the same cell of the checkpoint given by --against.", patch::parse;
    restored: "restored", "restored", "The cell is as it was, whatever was said of it before.", restored::parse;
}

/// What edits assume that leave something open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Defaults {
    /// Weights per group of number formats.
    pub group: usize,
    /// Seed of noise.
    pub seed: u64,
}

impl Edit {
    /// The same edit with nothing left open: its text says all that decides its result.
    #[must_use]
    pub fn settled(self, defaults: &Defaults) -> Self {
        match self {
            Self::Format { format, group: None } if format.0.takes_group() => {
                Self::Format { format, group: Some(defaults.group) }
            }
            Self::Noise { size, seed: None } => Self::Noise { size, seed: Some(defaults.seed) },
            settled => settled,
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("zero"),
            Self::Mean => f.write_str("mean"),
            Self::Resample => f.write_str("resample"),
            Self::Format { format, group: None } => f.write_str(format.0.id),
            Self::Format { format, group: Some(group) } => write!(f, "{}:g{group}", format.0.id),
            Self::Noise { size, seed: None } => write!(f, "noise:{size}"),
            Self::Noise { size, seed: Some(seed) } => write!(f, "noise:{size}:seed={seed}"),
            Self::Rank(rank) => write!(f, "rank:{rank}"),
            Self::Patch => f.write_str("patch"),
            Self::Restored => f.write_str("restored"),
        }
    }
}

impl FromStr for Edit {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        let words: Vec<&str> = if text.len() == word.len() { Vec::new() } else { rest.split(':').collect() };
        let (parsed, usage) = if let Some(format) = tomo_quant::find(word) {
            let usage = if format.takes_group() { format!("{word} or {word}:gN") } else { word.to_owned() };
            (format::parse(format, &words), usage)
        } else if let Some(kind) = EDITS.iter().find(|kind| kind.id == word && word != FORMAT) {
            ((kind.parse)(&words), kind.usage.to_owned())
        } else {
            return Err(unknown(word));
        };
        parsed.ok_or_else(|| ChangeError::Parameters { text: format!("{text:?}"), expected: usage })
    }
}

fn unknown(word: &str) -> ChangeError {
    let words = || EDITS.iter().filter(|kind| kind.id != FORMAT).map(|kind| kind.id);
    let formats = || FORMATS.iter().map(|format| format.id);
    ChangeError::Edit {
        word: format!("{word:?}"),
        known: words().chain(formats()).collect::<Vec<_>>().join(" "),
        near: near_names(word, words().chain(formats()).map(str::to_owned)),
    }
}

/// What edits need beside the cell they change.
#[derive(Clone, Copy)]
pub struct EditContext<'a> {
    /// The model that is changed.
    pub model: &'a Model,
    /// The checkpoint that `patch` takes cells from.
    pub against: Option<&'a Arc<Model>>,
    /// What cells put out on average, for `mean`.
    pub means: Option<&'a Means>,
    /// Sequences of the text, for `resample`.
    pub sequences: usize,
    /// What edits assume that leave something open.
    pub defaults: Defaults,
}

/// What the engine is to do for an edit.
pub struct Made {
    /// The change; `None` where the cell stays as it is.
    pub change: Option<Change>,
    /// What is worth knowing about it: the same sentence for all cells it is true of.
    pub note: Option<String>,
}

impl Made {
    fn output(change: OutputChange) -> Self {
        Self { change: Some(Change::Output(change)), note: None }
    }

    fn weights(rewrite: impl Rewrite + 'static) -> Self {
        Self { change: Some(Change::Weights(Arc::new(rewrite))), note: None }
    }

    fn nothing(note: String) -> Self {
        Self { change: None, note: Some(note) }
    }
}

impl EditContext<'_> {
    /// What the engine is to do to cell number `cell` for `edit`.
    ///
    /// # Errors
    /// [`ChangeError::Unavailable`] when the edit needs what is not there, [`ChangeError::Mismatch`] when the other checkpoint
    /// has no such cell.
    ///
    /// # Panics
    /// When the model has no cell number `cell`.
    pub fn make(&self, cell: usize, edit: &Edit) -> Result<Made, ChangeError> {
        let id = self.model.cells()[cell].id;
        let unavailable =
            |reason: &str| ChangeError::Unavailable { cell: id, edit: edit.to_string(), reason: reason.to_owned() };
        match *edit {
            Edit::Zero => Ok(Made::output(OutputChange::Zero)),
            Edit::Mean => {
                let means = self.means.ok_or_else(|| unavailable("the means were not collected"))?;
                Ok(match means.of(cell) {
                    Some(MeanOutput::Row(row)) => Made::output(OutputChange::Constant(row)),
                    Some(MeanOutput::NoToken) => Made::nothing(
                        "experts that no token of the text was routed to have no mean and are left as they are"
                            .to_owned(),
                    ),
                    None => return Err(unavailable("its mean was not collected")),
                })
            }
            Edit::Resample if id.expert.is_some() => {
                Err(unavailable("tokens of an expert have no partner in another sequence"))
            }
            Edit::Resample if self.sequences < 2 => {
                Err(unavailable("the text has one sequence alone\n  hint: more --tokens, or a shorter --sequence"))
            }
            Edit::Resample => Ok(Made::output(OutputChange::Resample)),
            Edit::Format { format: Quantization(format), group } => {
                let group = group.unwrap_or(self.defaults.group);
                let (_, cols) = self.model.cell_shape(cell)?;
                let stored = format::stored_as(format, cols);
                let made = Made::weights(format::Rounded { cell: id, format: stored, group });
                let note = (stored.id != format.id).then(|| {
                    let (asked, stored) = (format.id, stored.id);
                    format!("rows of {cols} weights are no whole blocks of {asked}: {stored} instead, as llama-quantize does")
                });
                Ok(Made { note, ..made })
            }
            Edit::Noise { size, seed } => {
                Ok(Made::weights(noise::Noise::new(size, seed.unwrap_or(self.defaults.seed), id)))
            }
            Edit::Rank(rank) => {
                let (rows, cols) = self.model.cell_shape(cell)?;
                let most = rows.min(cols);
                let kept = rank.of(most);
                Ok(match kept < most {
                    true => Made::weights(rank::LowRank { cell: id, rank: kept }),
                    false => Made::nothing(format!("{edit} keeps all {most} singular values: left as it is")),
                })
            }
            Edit::Patch => {
                let other = self.against.ok_or_else(|| {
                    unavailable("no checkpoint to take it from\n  hint: --against names one of the same shape")
                })?;
                Ok(Made::weights(patch::Patch::new(self.model, cell, other)?))
            }
            Edit::Restored => Ok(Made { change: None, note: None }),
        }
    }
}
