//! The dimensions of a model. The letters are declared here and used in every shape comment.

use crate::config::Keys;
use crate::error::ModelError;
use crate::family::{Dialect, DimFrom, DimKeys};

/// The dimensions of a model; `None` where neither config nor shapes tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dims {
    /// L: layers.
    pub layers: u32,
    /// D: width of the residual stream.
    pub hidden: Option<u64>,
    /// H: query heads.
    pub heads: Option<u64>,
    /// K: key and value heads.
    pub kv_heads: Option<u64>,
    /// C: width of a head.
    pub head_dim: Option<u64>,
    /// F: width of a dense MLP.
    pub ffn: Option<u64>,
    /// V: rows of the token embedding.
    pub vocab: Option<u64>,
    /// Experts in a mixture layer.
    pub experts: Option<u32>,
    /// F of one expert.
    pub expert_ffn: Option<u64>,
}

impl Dims {
    /// The dimensions that are known, by their letters, L first.
    pub fn letters(&self) -> Vec<(&'static str, u64)> {
        let known = [
            ("L", Some(u64::from(self.layers))),
            ("D", self.hidden),
            ("H", self.heads),
            ("K", self.kv_heads),
            ("C", self.head_dim),
            ("F", self.ffn),
            ("V", self.vocab),
            ("experts", self.experts.map(u64::from)),
            ("F per expert", self.expert_ffn),
        ];
        known.into_iter().filter_map(|(letter, value)| Some((letter, value?))).collect()
    }
}

/// What shapes follow from: like [`Dims`], but with products where a checkpoint without config shows only those.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Widths {
    /// L.
    pub(crate) layers: u32,
    /// D.
    pub(crate) hidden: u64,
    /// H * C.
    pub(crate) query: u64,
    /// K * C.
    pub(crate) key_value: u64,
    /// H and C, when known.
    pub(crate) head: Option<(u64, u64)>,
    /// F of dense layers.
    pub(crate) ffn: Option<u64>,
    /// Experts.
    pub(crate) experts: Option<u32>,
    /// F of an expert.
    pub(crate) expert_ffn: Option<u64>,
}

/// More than any model has; keeps a hostile config from costing memory.
pub(crate) const MOST_LAYERS: u64 = 10_000;
/// More than any model has.
pub(crate) const MOST_EXPERTS: u64 = 4096;
/// Some three times what the largest mixtures have; a cell costs some 300 bytes.
pub(crate) const MOST_CELLS: usize = 200_000;

/// The dims a config gives.
pub(crate) fn dims_from_config(dialect: &Dialect, keys: Keys<'_>) -> Result<Dims, ModelError> {
    let mut reader = Reader { keys, hidden: None, heads: None };
    let DimKeys { layers, hidden, heads, kv_heads, head_dim, ffn, vocab, experts, expert_ffn } = &dialect.dims;
    let layers = reader.required(layers, MOST_LAYERS)?;
    reader.hidden = Some(reader.required(hidden, u64::MAX)?);
    reader.heads = Some(reader.required(heads, u64::MAX)?);
    let experts = match experts.is_empty() {
        true => None,
        false => Some(reader.required(experts, MOST_EXPERTS)?),
    };
    Ok(Dims {
        layers: narrow(layers),
        hidden: reader.hidden,
        heads: reader.heads,
        kv_heads: Some(reader.required(kv_heads, u64::MAX)?),
        head_dim: Some(reader.required(head_dim, u64::MAX)?),
        ffn: reader.optional(ffn)?,
        vocab: reader.optional(vocab)?,
        experts: experts.map(narrow),
        expert_ffn: reader.optional(expert_ffn)?,
    })
}

/// Only called on numbers at most [`MOST_EXPERTS`].
fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

struct Reader<'a> {
    keys: Keys<'a>,
    hidden: Option<u64>,
    heads: Option<u64>,
}

impl Reader<'_> {
    fn optional(&self, places: &[DimFrom]) -> Result<Option<u64>, ModelError> {
        for place in places {
            let found = match place {
                DimFrom::Key(key) => self.keys.number(key)?,
                DimFrom::Value(n) => Some(*n),
                DimFrom::ValueIfAbsent(key, n) => (!self.keys.has(key)).then_some(*n),
                DimFrom::Hidden(times) => self.hidden.and_then(|d| d.checked_mul(*times)),
                DimFrom::Heads => self.heads,
                DimFrom::HiddenPerHead => self.head_dim_from_division()?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn head_dim_from_division(&self) -> Result<Option<u64>, ModelError> {
        let (Some(hidden), Some(heads)) = (self.hidden, self.heads) else { return Ok(None) };
        if heads == 0 || hidden % heads != 0 {
            return Err(ModelError::Config {
                key: "number of heads".to_owned(),
                expected: format!("a divisor of the hidden size {hidden}, since the head dim is not given"),
                found: heads.to_string(),
            });
        }
        Ok(Some(hidden / heads))
    }

    /// A dim that must be given and lie in `1..=most`.
    fn required(&self, places: &[DimFrom], most: u64) -> Result<u64, ModelError> {
        let key = places.iter().find_map(|p| if let DimFrom::Key(key) = p { Some(*key) } else { None });
        let wrong = |found: String| ModelError::Config {
            key: self.keys.full_key(key.unwrap_or_default()),
            expected: match most {
                u64::MAX => "a whole number, 1 or more".to_owned(),
                _ => format!("a whole number from 1 to {most}"),
            },
            found,
        };
        match self.optional(places)? {
            Some(n) if (1..=most).contains(&n) => Ok(n),
            Some(n) => Err(wrong(n.to_string())),
            None => Err(wrong("nothing".to_owned())),
        }
    }
}

/// The widths that `dims` mean.
pub(crate) fn widths_from_dims(dims: &Dims) -> Result<Widths, ModelError> {
    let get = |value: Option<u64>| value.unwrap_or_default();
    let (hidden, heads, kv_heads, head_dim) =
        (get(dims.hidden), get(dims.heads), get(dims.kv_heads), get(dims.head_dim));
    let product = |n: u64, of: &str| {
        n.checked_mul(head_dim).filter(|p| p.checked_mul(8).is_some()).ok_or_else(|| ModelError::Config {
            key: of.to_owned(),
            expected: "a size a tensor can have".to_owned(),
            found: format!("{n} x {head_dim}"),
        })
    };
    Ok(Widths {
        layers: dims.layers,
        hidden,
        query: product(heads, "heads x head dim")?,
        key_value: product(kv_heads, "key-value heads x head dim")?,
        head: Some((heads, head_dim)),
        ffn: dims.ffn,
        experts: dims.experts,
        expert_ffn: dims.expert_ffn,
    })
}

impl From<&Widths> for Dims {
    /// What shapes alone tell: how many heads there are is not among it.
    fn from(widths: &Widths) -> Self {
        Self {
            layers: widths.layers,
            hidden: Some(widths.hidden),
            ffn: widths.ffn,
            experts: widths.experts,
            expert_ffn: widths.expert_ffn,
            ..Self::default()
        }
    }
}
