use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the seven linear projections of a transformer layer, always in this order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Component {
    /// Query projection, `H*C x D`.
    #[serde(rename = "attn.q")]
    AttnQ,
    /// Key projection, `K*C x D`.
    #[serde(rename = "attn.k")]
    AttnK,
    /// Value projection, `K*C x D`.
    #[serde(rename = "attn.v")]
    AttnV,
    /// Output projection of attention, `D x H*C`.
    #[serde(rename = "attn.o")]
    AttnO,
    /// Up projection of the MLP, `F x D`.
    #[serde(rename = "mlp.up")]
    MlpUp,
    /// Down projection of the MLP, `D x F`.
    #[serde(rename = "mlp.down")]
    MlpDown,
    /// Gate projection of the MLP, `F x D`; absent in ungated MLPs.
    #[serde(rename = "mlp.gate")]
    MlpGate,
}

impl Component {
    /// Every component, in the order of tables and pictures.
    pub const ALL: [Self; 7] =
        [Self::AttnQ, Self::AttnK, Self::AttnV, Self::AttnO, Self::MlpUp, Self::MlpDown, Self::MlpGate];

    /// The identifier in files and on the command line: `attn.q`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::AttnQ => "attn.q",
            Self::AttnK => "attn.k",
            Self::AttnV => "attn.v",
            Self::AttnO => "attn.o",
            Self::MlpUp => "mlp.up",
            Self::MlpDown => "mlp.down",
            Self::MlpGate => "mlp.gate",
        }
    }

    /// The label in pictures: `attn. q`.
    pub fn label(self) -> String {
        self.id().replace('.', ". ")
    }

    /// Position among [`Component::ALL`].
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|c| *c == self).unwrap_or_default()
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// A word that names no component.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownComponent(pub String);

impl fmt::Display for UnknownComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Component::ALL.map(Component::id).join(" ");
        write!(f, "unknown component {:?}: expected one of {known}", self.0)
    }
}

impl std::error::Error for UnknownComponent {}

impl FromStr for Component {
    type Err = UnknownComponent;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|c| c.id() == s).ok_or_else(|| UnknownComponent(s.to_owned()))
    }
}
