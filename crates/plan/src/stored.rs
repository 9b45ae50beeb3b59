use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tomo_blocks::BlockType;

use crate::PlanError;

/// How weights are stored. As text it is what a change to a model says (`tomograph measure --change L0.attn.q=int4:g64`), but
/// for `original`.
///
/// ```
/// use tomo_plan::Stored;
///
/// let stored: Stored = "int4:g64".parse()?;
/// assert_eq!(stored, Stored::Integer { bits: 4, group: 64, symmetric: false });
/// assert_eq!(stored.to_string(), "int4:g64");
/// // 4 bits, and a 16-bit scale and a 4-bit zero point for every 64 weights.
/// assert_eq!(stored.bytes(192, 576), 192 * (576 * 4 + 9 * 20) / 8);
/// # Ok::<(), tomo_plan::PlanError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Stored {
    /// As a type of GGUF.
    Block(&'static BlockType),
    /// As integers in groups along a row.
    Integer {
        /// 2 to 8.
        bits: u32,
        /// Weights per group.
        group: u64,
        /// Without zero points.
        symmetric: bool,
    },
    /// As 8-bit floats (E4M3), one scale for all.
    Fp8,
    /// As 4-bit floats (E2M1) in groups of 16, each with an 8-bit scale.
    NvFp4,
    /// As the checkpoint has it, in so many bits.
    Original {
        /// Bits per weight.
        bits: u32,
    },
}

impl Stored {
    /// Bytes that a matrix of `rows` x `columns` takes, scales counted, a last short group as a full one. Of GGUF's types: of
    /// what rows of so many columns are stored as ([`Stored::on`]).
    pub fn bytes(&self, rows: u64, columns: u64) -> u64 {
        let bits = match *self {
            Self::Block(block) => {
                let columns = usize::try_from(columns).unwrap_or(usize::MAX);
                let row = block.fallback(columns).row_bytes(columns).unwrap_or(usize::MAX);
                return rows.saturating_mul(row as u64);
            }
            Self::Integer { bits, group, symmetric } => {
                let zero = if symmetric { 0 } else { u64::from(bits) };
                let scales = columns.div_ceil(group.max(1)).saturating_mul(16 + zero);
                columns.saturating_mul(bits.into()).saturating_add(scales)
            }
            Self::Fp8 => columns.saturating_mul(8),
            Self::NvFp4 => columns.saturating_mul(4).saturating_add(columns.div_ceil(16).saturating_mul(8)),
            Self::Original { bits } => columns.saturating_mul(bits.into()),
        };
        rows.saturating_mul(bits).div_ceil(8)
    }

    /// What rows of so many columns are stored as when this is asked for: of GGUF's types, what llama-quantize falls back to.
    #[must_use]
    pub fn on(self, columns: u64) -> Self {
        match self {
            Self::Block(block) => Self::Block(block.fallback(usize::try_from(columns).unwrap_or(usize::MAX))),
            other => other,
        }
    }

    /// The number format it is, as metrics name it: `q4_0`, `int4`, `int4-sym`; nothing for the original.
    pub fn format(&self) -> Option<String> {
        Some(match self {
            Self::Block(block) => block.id.to_owned(),
            Self::Integer { bits, symmetric: false, .. } => format!("int{bits}"),
            Self::Integer { bits, symmetric: true, .. } => format!("int{bits}-sym"),
            Self::Fp8 => "fp8".to_owned(),
            Self::NvFp4 => "nvfp4".to_owned(),
            Self::Original { .. } => return None,
        })
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Stored {}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.format()) {
            (Self::Integer { group, .. }, Some(format)) => write!(f, "{format}:g{group}"),
            (_, Some(format)) => f.write_str(&format),
            (Self::Original { bits }, None) => write!(f, "original:{bits}"),
            (_, None) => f.write_str("original"),
        }
    }
}

impl FromStr for Stored {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let unknown = || PlanError::Type { text: format!("{text:?}") };
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        if word == "original" {
            let bits = rest.map_or(Ok(16), str::parse).map_err(|_| unknown())?;
            return Ok(Self::Original { bits });
        }
        if let Some(integer) = word.strip_prefix("int") {
            let (digits, symmetric) = integer.strip_suffix("-sym").map_or((integer, false), |digits| (digits, true));
            let bits = digits.parse().ok().filter(|bits| (2..=8).contains(bits)).ok_or_else(unknown)?;
            let group = match rest {
                None => 128,
                Some(rest) => {
                    let group = rest.strip_prefix('g').and_then(|group| group.parse().ok());
                    group.filter(|group| *group > 0).ok_or_else(unknown)?
                }
            };
            return Ok(Self::Integer { bits, group, symmetric });
        }
        match (word, rest) {
            ("fp8", None) => Ok(Self::Fp8),
            ("nvfp4", None) => Ok(Self::NvFp4),
            (word, None) => tomo_blocks::find(word).map(Self::Block).ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }
}

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
