//! Budgets as people ask for them.

use std::fmt;
use std::str::FromStr;

use crate::PlanError;

/// What a plan may take, as it was asked for.
///
/// ```
/// use tomo_plan::{Ask, Limit};
///
/// let ask: Ask = "4.5bpw".parse()?;
/// assert_eq!(ask.limit, Limit::BitsPerWeight(4.5));
/// assert_eq!(Ask::size("80MiB")?.limit, Limit::Bytes(80 << 20));
/// assert_eq!(Ask::ratio("30%")?.limit, Limit::Share(0.3));
/// # Ok::<(), tomo_plan::PlanError>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Ask {
    /// The words.
    pub text: String,
    /// What they mean.
    pub limit: Limit,
}

/// What a budget is of.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Limit {
    /// Bits per weight of the cells, scales counted; tensors that are no cells come on top.
    BitsPerWeight(f64),
    /// Bytes of the whole file where its header is known, else of cells and of tensors that are no cells.
    Bytes(u64),
    /// Of bits: of the bytes that cells take in the checkpoint. Of trained, adapted or removed weights: of all weights of cells.
    Share(f64),
    /// As many bytes as cells take in llama.cpp's own mix of this name.
    Like(String),
    /// Parameters that are trained.
    Parameters(u64),
    /// As many parameters as LoRA pairs of this rank on every cell.
    Rank(u32),
    /// This share of every component's cells, by number, rounded down: what Spectrum does.
    TopOfColumn(f64),
}

impl Ask {
    /// `4.5bpw`, `4.5` or `like:q4_k_m`.
    ///
    /// # Errors
    /// [`PlanError::Budget`].
    pub fn target(text: &str) -> Result<Self, PlanError> {
        let bits = || positive(text.trim().trim_end_matches("bpw")).map(Limit::BitsPerWeight);
        Self::from_parts(text, like(text).or_else(bits), "bits per weight (4.5bpw) or like:MIX (like:q4_k_m)")
    }

    /// `84MB`, `80MiB` or a number of bytes.
    ///
    /// # Errors
    /// [`PlanError::Budget`].
    pub fn size(text: &str) -> Result<Self, PlanError> {
        let bytes = text.trim().parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64()).filter(|n| *n > 0);
        Self::from_parts(text, bytes.map(Limit::Bytes), "a size, such as 84MB, 80MiB or 88080384")
    }

    /// `0.3` or `30%`.
    ///
    /// # Errors
    /// [`PlanError::Budget`].
    pub fn ratio(text: &str) -> Result<Self, PlanError> {
        Self::from_parts(text, share(text).map(Limit::Share), "a share above 0 and up to 1, such as 0.3 or 30%")
    }

    /// `2M`, `1.5B`, `500k` or a number.
    ///
    /// # Errors
    /// [`PlanError::Budget`].
    pub fn parameters(text: &str) -> Result<Self, PlanError> {
        Self::from_parts(text, count(text).map(Limit::Parameters), "a number of parameters, such as 2M or 500k")
    }

    /// `16`: as many parameters as this rank everywhere.
    ///
    /// # Errors
    /// [`PlanError::Budget`].
    pub fn rank(text: &str) -> Result<Self, PlanError> {
        let rank = text.trim().parse().ok().filter(|rank| *rank > 0);
        Self::from_parts(text, rank.map(Limit::Rank), "a rank, such as 16")
    }

    /// `25%` or `0.25` of every column.
    ///
    /// # Errors
    /// [`PlanError::Budget`].
    pub fn top(text: &str) -> Result<Self, PlanError> {
        Self::from_parts(text, share(text).map(Limit::TopOfColumn), "a share of every column, such as 25%")
    }

    fn from_parts(text: &str, limit: Option<Limit>, expected: &'static str) -> Result<Self, PlanError> {
        let text = text.trim();
        match limit {
            Some(limit) => Ok(Self { text: text.to_owned(), limit }),
            None => Err(PlanError::Budget { text: format!("{text:?}"), expected }),
        }
    }
}

impl FromStr for Ask {
    type Err = PlanError;

    /// Whatever says by itself what it is of: `4.5bpw`, `84MB`, `30%`, `like:q4_k_m`, `rank:16`, `top:25%`, `parameters:2M`.
    fn from_str(text: &str) -> Result<Self, PlanError> {
        let asked = |ask: Self| Self { text: text.trim().to_owned(), ..ask };
        let trimmed = text.trim();
        match trimmed.split_once(':') {
            Some(("like", _)) => Self::target(trimmed),
            Some(("rank", rest)) => Self::rank(rest).map(asked),
            Some(("top", rest)) => Self::top(rest).map(asked),
            Some(("parameters", rest)) => Self::parameters(rest).map(asked),
            _ if trimmed.ends_with("bpw") => Self::target(trimmed),
            _ if trimmed.ends_with('%') => Self::ratio(trimmed),
            _ if trimmed.ends_with(['b', 'B']) => Self::size(trimmed),
            _ => Self::from_parts(text, None, "4.5bpw, 84MB, 30%, like:q4_k_m, rank:16, parameters:2M or top:25%"),
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn like(text: &str) -> Option<Limit> {
    let mix = text.trim().strip_prefix("like:")?.trim().to_lowercase();
    (!mix.is_empty()).then_some(Limit::Like(mix))
}

fn positive(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)
}

fn share(text: &str) -> Option<f64> {
    let text = text.trim();
    let share = match text.strip_suffix('%') {
        Some(percent) => positive(percent)? / 100.0,
        None => positive(text)?,
    };
    (share <= 1.0).then_some(share)
}

/// Thousands, millions and billions by `k`, `M` and `B` or `G`.
fn count(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "b" | "g" => 1e9,
        _ => return None,
    };
    let number = (positive(digits)? * unit).round();
    (1.0..1e18).contains(&number).then_some(number as u64)
}
