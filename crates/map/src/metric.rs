use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Text that is static in a registry and owned when read back from a file.
type Text = Cow<'static, str>;

/// What a metric is, for whoever reads its numbers. Travels inside the map, so that a map explains itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MetricInfo {
    /// Identifier, kebab-case: `stable-rank`, `err-int4`, `stable-rank@null`.
    pub id: Text,
    /// Name for titles: "Stable rank".
    pub title: Text,
    /// One sentence that says what the number is.
    pub summary: Text,
    /// Unit for axes, e.g. "weight units", "nats per token"; "1" for a pure number is spelt "ratio".
    pub unit: Text,
    /// The registry family: `weights`, `spectrum`, `error`; `list metrics` groups by it and `--metric` accepts it.
    pub family: Text,
    /// Which of the four meanings of "important" it speaks of.
    pub meaning: Meaning,
    /// Which way is important.
    pub direction: Direction,
    /// Whether numbers of different components may be compared.
    pub scope: Scope,
    /// Whether scores may be added up and shown as shares.
    pub additivity: Additivity,
    /// A natural middle (0 for signed scores, 1 for ratios to a null): the diverging scale is centred there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub middle: Option<f64>,
    /// True when the score stands in for damage that was not measured.
    pub proxy: bool,
    /// What to keep in mind while reading the picture; one sentence.
    pub caveat: Text,
}

/// The four meanings of "important" (a score has one of them).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// Size or structure of W.
    Structure,
    /// Used by the data.
    Used,
    /// Fragile: the loss changes when W is perturbed.
    Fragile,
    /// Changed by training.
    Changed,
}

/// Which end of the scale marks an important cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A high score marks the important (or fragile) cell.
    High,
    /// A low score does.
    Low,
    /// Neither; it describes.
    Neutral,
}

/// How far numbers may be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All cells of the map.
    Map,
    /// Only cells of one column: the number depends on the matrix's shape or scale.
    Column,
    /// All cells of the map, but the number is the input's: components that read the same input share it (q, k and v; up
    /// and gate).
    Input,
    /// All cells of the map, but the number is that of what the component's silence silences: q and k share it (attention
    /// becomes uniform), v and o (attention adds nothing), up, gate and down (the MLP adds nothing).
    Silence,
    /// All cells of the map, but the number is the layer's: all its cells share it.
    Layer,
}

impl Scope {
    /// Whether only numbers of one column may be compared.
    pub fn is_by_column(self) -> bool {
        self == Self::Column
    }

    /// How many of the seven columns can differ from each other.
    pub fn distinct_columns(self) -> usize {
        match self {
            Self::Map | Self::Column => 7,
            Self::Input => 4,
            Self::Silence => 3,
            Self::Layer => 1,
        }
    }

    /// What a reader has to know where fewer than seven columns are distinct; a sentence without the full stop.
    pub fn shared(self) -> Option<&'static str> {
        match self {
            Self::Map | Self::Column => None,
            Self::Input => Some(
                "four distinct columns out of seven: q, k and v read the same input and share its number, and so do up and gate",
            ),
            Self::Silence => Some(
                "three distinct columns out of seven, up to biases: without q or k attention is uniform, without v or o it \
                 adds nothing, without up, gate or down the MLP adds nothing",
            ),
            Self::Layer => Some("one number per layer: all seven columns show the same"),
        }
    }
}

/// Whether a sum of scores means something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Additivity {
    /// Non-negative and additive: shares are meaningful.
    Additive,
    /// Non-negative, but an average or a ratio; a share of it is only a way of drawing.
    NonNegative,
    /// Can be negative: shares are refused.
    Signed,
}
