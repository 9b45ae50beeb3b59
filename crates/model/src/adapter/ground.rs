//! What the modules of an adapter are looked up in: a base that is open, or the names of a family.

use std::collections::BTreeMap;

use tomo_checkpoint::TensorInfo;

use super::Module;
use super::place::{Naming, Site};
use crate::cell::{CellSource, Storage};
use crate::dims::Widths;
use crate::error::{ModelError, quoted};
use crate::model::Model;
use crate::open::recognised;

/// What modules are looked up in.
pub(super) struct Ground<'a> {
    pub(super) naming: Option<Naming>,
    pub(super) widths: Option<Widths>,
    pub(super) base: Option<&'a Model>,
}

impl<'a> Ground<'a> {
    /// Cells of the base by the tensors that hold them, which is how cells of unknown families are found.
    pub(super) fn exact(&self) -> BTreeMap<&'a str, Vec<&'a CellSource>> {
        let mut cells = BTreeMap::<&str, Vec<&CellSource>>::new();
        for cell in self.base.map_or(&[][..], Model::cells) {
            cells.entry(cell.tensor.as_str()).or_default().push(cell);
        }
        cells
    }

    pub(super) fn sites(
        &self,
        module: &Module,
        exact: &BTreeMap<&str, Vec<&CellSource>>,
    ) -> Result<Vec<Site>, ModelError> {
        let name = format!("{}.weight", module.name);
        if let (Some(base), Some(cells)) = (self.base, exact.get(name.as_str())) {
            return cells.iter().map(|cell| exact_site(base, cell, module)).collect();
        }
        match (&self.naming, &self.widths) {
            (Some(naming), Some(widths)) => naming.sites(widths, module),
            _ => Ok(Vec::new()),
        }
    }

    pub(super) fn whole(
        &self,
        name: &str,
        tensor: &TensorInfo,
        exact: &BTreeMap<&str, Vec<&CellSource>>,
    ) -> Result<Vec<CellSource>, ModelError> {
        if let (Some(base), Some(cells)) = (self.base, exact.get(name)) {
            let expected = base.source().tensor(name).map(|t| &t.shape);
            if expected != Some(&tensor.shape) {
                return Err(shape(
                    cells[0],
                    &tensor.name,
                    &format!("{:?}", expected.unwrap_or(&Vec::new())),
                    &tensor.shape,
                ));
            }
            return Ok(cells
                .iter()
                .map(|cell| CellSource { tensor: tensor.name.clone(), ..(*cell).clone() })
                .collect());
        }
        match (&self.naming, &self.widths) {
            (Some(naming), Some(widths)) => naming.whole(widths, name, tensor),
            _ => Ok(Vec::new()),
        }
    }

    /// What a tensor of the base that holds no cell is for.
    pub(super) fn what(&self, name: &str) -> Option<crate::Role> {
        self.naming.and_then(|naming| recognised(naming.dialect, naming.prefix, name)).map(|(role, _)| role)
    }
}

/// A cell found by the name of the tensor that holds it.
fn exact_site(base: &Model, cell: &CellSource, module: &Module) -> Result<Site, ModelError> {
    let turned = cell.storage.transposed;
    let rows = match base.source().tensor(&cell.tensor).map(|t| t.shape.as_slice()) {
        Some(&[rows, columns]) => Some(if turned { (columns, rows) } else { (rows, columns) }),
        _ => None,
    };
    if rows != Some((module.outputs(), module.inputs())) {
        let expected = rows.map_or("a matrix".to_owned(), |(m, n)| format!("[{m}, {n}]"));
        return Err(shape(cell, &module.b.name, &expected, &[module.outputs(), module.inputs()]));
    }
    let storage = Storage { transposed: false, rope_pairs: None, ..cell.storage };
    Ok(Site { cell: CellSource { storage, ..cell.clone() }, key: module.name.clone(), expert: None })
}

fn shape(cell: &CellSource, tensor: &str, expected: &str, found: &[u64]) -> ModelError {
    ModelError::Shape {
        what: cell.id.to_string(),
        tensor: quoted(tensor),
        expected: expected.to_owned(),
        found: format!("{found:?}"),
    }
}

/// The widths of a model that is open, from the shapes of its cells.
pub(super) fn widths_of(base: &Model) -> Option<Widths> {
    use tomo_map::Component::{AttnK, AttnQ, MlpUp};
    let cells = base.cells();
    let find =
        |component, expert: bool| cells.iter().find(|c| c.id.component == component && c.id.expert.is_some() == expert);
    let (q, k) = (find(AttnQ, false)?, find(AttnK, false)?);
    let dims = base.dims();
    Some(Widths {
        layers: dims.layers,
        hidden: q.in_features,
        query: q.out_features,
        key_value: k.out_features,
        head: dims.heads.zip(dims.head_dim),
        ffn: find(MlpUp, false).map(|c| c.out_features),
        experts: cells.iter().filter_map(|c| c.id.expert).max().map(|last| last + 1),
        expert_ffn: find(MlpUp, true).map(|c| c.out_features),
    })
}
