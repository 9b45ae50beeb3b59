//! Which entry of an imatrix speaks of which cell.

use std::collections::BTreeMap;

use tomo_checkpoint::Format;
use tomo_model::{CellRule, CellSource, Model};

/// The entry of a cell: a tensor's GGUF name, and which of its matrices.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ImatrixName {
    /// `blk.0.ffn_up_exps.weight`.
    pub tensor: String,
    /// Which expert of a stack; 0 otherwise.
    pub matrix: usize,
    /// Matrices of the tensor; 1 unless it is a stack of experts.
    pub matrices: usize,
}

/// Names of every cell, parallel to the model's cells: the checkpoint's own where it is GGUF, else those that converters to
/// GGUF give it, the likeliest first. Several cells of one fused tensor have the same name. Empty for a model of no known
/// family.
pub fn imatrix_names(model: &Model) -> Vec<Vec<ImatrixName>> {
    if model.source().format() == Format::Gguf {
        return model.cells().iter().map(|cell| vec![own(model, cell)]).collect();
    }
    let mut stacks = BTreeMap::new();
    for cell in model.cells() {
        *stacks.entry((cell.id.layer, cell.id.component)).or_insert(0) += 1;
    }
    let matrices = |cell: &CellSource| stacks.get(&(cell.id.layer, cell.id.component)).copied().unwrap_or(1);
    model.cells().iter().map(|cell| by_family(model, cell, matrices(cell))).collect()
}

/// The name in a GGUF checkpoint.
fn own(model: &Model, cell: &CellSource) -> ImatrixName {
    let stack = model.source().tensor(&cell.tensor).and_then(|tensor| match tensor.shape.as_slice() {
        [experts, _, _] => usize::try_from(*experts).ok(),
        _ => None,
    });
    let matrix = match (stack, cell.id.expert) {
        (Some(_), Some(expert)) => expert as usize,
        _ => 0,
    };
    ImatrixName { tensor: cell.tensor.clone(), matrix, matrices: stack.unwrap_or(1) }
}

/// The names in the family's GGUF dialect; `matrices` are the cells at the same place.
fn by_family(model: &Model, cell: &CellSource, matrices: usize) -> Vec<ImatrixName> {
    let Some(family) = model.entry() else { return Vec::new() };
    let name = |rule: &CellRule| {
        let tensor = rule.tensor.replace("{}", &cell.id.layer.to_string());
        match cell.id.expert {
            Some(expert) if rule.stacked => ImatrixName { tensor, matrix: expert as usize, matrices },
            Some(expert) => ImatrixName { tensor: tensor.replace("{e}", &expert.to_string()), matrix: 0, matrices: 1 },
            None => ImatrixName { tensor, matrix: 0, matrices: 1 },
        }
    };
    let rules = family
        .gguf
        .cells
        .iter()
        .filter(|rule| rule.component == cell.id.component && rule.per_expert() == cell.id.expert.is_some());
    rules.map(name).collect()
}
