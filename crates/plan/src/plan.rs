//! `plan.json`: what is done to every cell of a model, why, and what it takes.

use serde::{Deserialize, Serialize};
use tomo_map::{CellId, GgufHeader, Names};

use crate::{PlanError, Stored};

/// The schema this version writes and reads.
pub const PLAN_SCHEMA: &str = "tomograph.plan/1";

/// What kind of decisions a plan holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// How each cell is stored.
    Bits,
    /// The rank of a LoRA pair for each cell; 0 for none.
    Rank,
    /// Which cells are trained.
    Train,
    /// Which share of each cell's weights is removed.
    Sparsity,
}

/// What is done to one cell.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// How it is stored.
    Stored(Stored),
    /// The rank of its LoRA pair and the alpha of its scale alpha / rank.
    Rank {
        /// Columns of B and rows of A; 0: the cell gets no pair.
        rank: u32,
        /// The scale is alpha / rank.
        alpha: u32,
    },
    /// Whether it is trained.
    Train(bool),
    /// Share of its weights that is set to zero.
    Sparsity(f64),
}

/// The decision on one cell.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// Which cell.
    #[serde(flatten)]
    pub id: CellId,
    /// Output features m.
    pub out_features: u64,
    /// Input features n.
    pub in_features: u64,
    /// What other programs call it.
    #[serde(flatten)]
    pub names: Names,
    /// What is done.
    #[serde(flatten)]
    pub choice: Choice,
    /// What it takes: bytes of a stored cell, parameters of a LoRA pair or of a cell that is trained, weights removed.
    pub size: u64,
    /// What it is expected to cost (of bits and sparsity) or to be worth, in the unit of [`Plan::cost`].
    pub cost: f64,
}

/// A tensor that holds no cell, and how it is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OtherDecision {
    /// What other programs call it.
    #[serde(flatten)]
    pub names: Names,
    /// What it is for: `embedding`, `norm`, ….
    pub role: String,
    /// Dimensions, slowest first.
    pub shape: Vec<u64>,
    /// How it is stored afterwards: a type of GGUF, or the checkpoint's own (`F32`).
    pub stored: String,
    /// Bytes that takes.
    pub bytes: u64,
}

/// What a plan was made from.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct About {
    /// The model, as the user of the scan named it.
    pub model: String,
    /// Digest of the checkpoint.
    pub model_digest: String,
    /// Its family.
    pub family: String,
    /// Its format, `gguf` or `safetensors`.
    pub format: String,
    /// The command that made the map.
    pub map_command: String,
    /// The text that the map's costs were found on, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Digest of the tokens of that text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_digest: Option<String>,
    /// A sample of the passages of that text, as the map has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_passages: Option<String>,
    /// Seed, of plans that have a random part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Version of the program.
    pub version: String,
    /// The command that made the plan.
    pub command: String,
    /// What a reader has to know; whole sentences without the full stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a plan may take.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Budget {
    /// As it was asked for: `4.5bpw`, `84MB`, `30%`.
    pub asked: String,
    /// What the decisions on cells may take together: bytes, parameters, or weights removed.
    pub limit: u64,
}

/// Where the costs of a plan come from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CostSource {
    /// The metrics of the map they are made of.
    pub metrics: Vec<String>,
    /// How, in words: `measured`, `measured at int3 and scaled by the squared error`.
    pub how: String,
    /// Their unit.
    pub unit: String,
    /// Whether nothing of it was measured by changing cells.
    pub proxy: bool,
}

/// What a plan takes as a whole, and what it is expected to cost.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// What the decisions on cells take together: at most [`Budget::limit`].
    pub cells: u64,
    /// Bytes of tensors that hold no cell.
    #[serde(default)]
    pub others: u64,
    /// Bytes of the file, its header and padding counted, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u64>,
    /// Bits per weight of the cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits_per_weight: Option<f64>,
    /// Sum of the costs of the cells.
    pub cost: f64,
    /// No plan within the budget has a smaller sum (of worth: a larger one).
    pub bound: f64,
}

/// What is done to every cell.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// What it was made from.
    pub about: About,
    /// Id of the client it is for.
    pub client: String,
    /// What kind of decisions it holds.
    pub kind: Kind,
    /// What it may take.
    pub budget: Budget,
    /// Where its costs come from.
    pub cost: CostSource,
    /// Whether q, k and v, and gate and up, were tied.
    pub fused: bool,
    /// Sums.
    pub totals: Totals,
    /// A decision per cell, in the order of the map's grid.
    pub cells: Vec<Decision>,
    /// Tensors that hold no cell.
    pub others: Vec<OtherDecision>,
    /// What the file has beside its tensors, where the model is a GGUF file.
    pub gguf: Option<GgufHeader>,
}

#[derive(Serialize, Deserialize)]
struct File {
    schema: String,
    about: About,
    client: String,
    kind: Kind,
    budget: Budget,
    cost: CostSource,
    fused: bool,
    totals: Totals,
    cells: Vec<Decision>,
    #[serde(default)]
    others: Vec<OtherDecision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gguf: Option<GgufHeader>,
}

impl Plan {
    /// `plan.json`, a line per decision.
    ///
    /// # Errors
    /// A plan that could not be read back: [`Plan::check`].
    pub fn to_json(&self) -> Result<String, PlanError> {
        self.check()?;
        let Self { about, client, kind, budget, cost, fused, totals, cells, others, gguf } = self.clone();
        let schema = PLAN_SCHEMA.to_owned();
        let file = File { schema, about, client, kind, budget, cost, fused, totals, cells, others, gguf };
        tomo_map::json_lines(&file).map_err(|e| PlanError::File { reason: e.to_string() })
    }

    /// Reads `plan.json` and checks it.
    ///
    /// # Errors
    /// Not JSON, another schema, fields that are missing or wrong, or whatever [`Plan::check`] finds.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PlanError> {
        let failed = |reason: String| PlanError::File { reason };
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| failed(e.to_string()))?;
        match value.get("schema").and_then(serde_json::Value::as_str) {
            Some(PLAN_SCHEMA) => {}
            other => {
                let found = other.map_or("none".to_owned(), |schema| format!("{schema:?}"));
                return Err(failed(format!("expected schema {PLAN_SCHEMA:?}, found {found}")));
            }
        }
        let file: File = serde_json::from_value(value).map_err(|e| failed(e.to_string()))?;
        let File { about, client, kind, budget, cost, fused, totals, cells, others, gguf, .. } = file;
        let plan = Self { about, client, kind, budget, cost, fused, totals, cells, others, gguf };
        plan.check()?;
        Ok(plan)
    }

    /// Checks that the parts fit together: cells sorted and unique, every choice of the plan's kind, every number finite.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&self) -> Result<(), PlanError> {
        let failed = |reason: String| Err(PlanError::File { reason });
        if let Some(pair) = self.cells.windows(2).find(|pair| pair[0].id >= pair[1].id) {
            return failed(format!("cells are not in order: {} before {}", pair[0].id, pair[1].id));
        }
        for cell in &self.cells {
            if cell.choice.kind() != self.kind {
                return failed(format!("the decision on {} is of another kind than the plan", cell.id));
            }
            let share_ok = !matches!(cell.choice, Choice::Sparsity(share) if !(0.0..1.0).contains(&share));
            if !cell.cost.is_finite() || !share_ok {
                return failed(format!("the decision on {} has a number out of range", cell.id));
            }
        }
        Ok(())
    }

    /// What the cells are stored as; nothing where the plan is of another kind.
    pub fn stored(&self) -> impl Iterator<Item = (&Decision, Stored)> {
        self.cells.iter().filter_map(|cell| match cell.choice {
            Choice::Stored(stored) => Some((cell, stored)),
            _ => None,
        })
    }
}

impl Choice {
    /// The kind of plan it belongs to.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Stored(_) => Kind::Bits,
            Self::Rank { .. } => Kind::Rank,
            Self::Train(_) => Kind::Train,
            Self::Sparsity(_) => Kind::Sparsity,
        }
    }
}

impl Decision {
    /// Number of weights.
    pub fn numel(&self) -> u64 {
        self.out_features.saturating_mul(self.in_features)
    }
}
