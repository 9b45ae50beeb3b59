//! What a model's tensors are called in both dialects.

use tomo_checkpoint::{Format, TensorInfo};
use tomo_map::{Inventory, Names, OtherTensor};

use crate::cell::CellSource;
use crate::family::{Dialect, Family, OtherRule, Role};
use crate::model::{Model, OtherTensor as Recognised};
use crate::pattern::fill;

impl Model {
    /// Names of cells and of tensors that are no cells, by this checkpoint's dialect as they are and by the other dialect as the family
    /// spells them. What a GGUF file has beside its tensors is not in it.
    pub fn inventory(&self) -> Inventory {
        let is_gguf = self.source.format() == Format::Gguf;
        let names = |own: &str, other: Option<String>| match is_gguf {
            true => Names { gguf: Some(own.to_owned()), hugging_face: other },
            false => Names { gguf: other, hugging_face: Some(own.to_owned()) },
        };
        let dialect = self.entry.map(|family| dialect_of(family, !is_gguf));
        let cells = self.cells.iter().map(|cell| names(&cell.tensor, dialect.and_then(|d| cell_name(d, cell))));
        let recognised = self.others.iter().map(|other| {
            let name = dialect.and_then(|d| other_name(d, other));
            described(&other.tensor, other.role.name(), names(&other.tensor.name, name))
        });
        let unknown = self.unknown.iter().map(|tensor| described(tensor, "unknown", names(&tensor.name, None)));
        let mut others: Vec<OtherTensor> = recognised.chain(unknown).collect();
        others.sort_by(|a, b| a.tensor.cmp(&b.tensor));
        Inventory { cells: cells.collect(), others, gguf: None }
    }
}

fn dialect_of(family: &'static Family, gguf: bool) -> &'static Dialect {
    if gguf { &family.gguf } else { &family.hugging_face }
}

/// What a dialect calls the tensor of a cell, under its first prefix.
fn cell_name(dialect: &Dialect, cell: &CellSource) -> Option<String> {
    let mut rules = dialect.cells.iter().filter(|rule| rule.component == cell.id.component);
    let rule = rules.find(|rule| rule.per_expert() == cell.id.expert.is_some())?;
    let prefix = dialect.prefixes.first()?;
    Some(format!("{prefix}{}", fill(rule.tensor, cell.id.layer, cell.id.expert)))
}

/// What a dialect calls an embedding, a head or the gains of a norm; other tensors have no partner that is sure.
fn other_name(dialect: &Dialect, other: &Recognised) -> Option<String> {
    let is_it = |rule: &&OtherRule| match other.role {
        Role::Embedding | Role::Head => rule.role == other.role && rule.tensor.ends_with("weight"),
        Role::Norm => other.norm.is_some_and(|norm| rule.norm == Some(norm.place) && rule.tensor.ends_with("weight")),
        _ => false,
    };
    let layer = other.norm.and_then(|norm| norm.layer).unwrap_or(0);
    let below = dialect.others.iter().flat_map(|rules| rules.iter()).find(is_it);
    match below {
        Some(rule) => Some(format!("{}{}", dialect.prefixes.first()?, fill(rule.tensor, layer, None))),
        None => dialect.root.iter().find(is_it).map(|rule| rule.tensor.to_owned()),
    }
}

fn described(tensor: &TensorInfo, role: &str, names: Names) -> OtherTensor {
    OtherTensor {
        tensor: tensor.name.clone(),
        role: role.to_owned(),
        shape: tensor.shape.clone(),
        dtype: tensor.dtype.name().to_owned(),
        bytes: tensor.bytes,
        names,
    }
}
