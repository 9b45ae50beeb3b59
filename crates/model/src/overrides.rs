//! `--cell`: the user says which tensors a component is in.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use tomo_checkpoint::{Source, TensorInfo};
use tomo_map::{CellId, Component};

use crate::cell::{CellSource, Storage};
use crate::dims::{MOST_EXPERTS, MOST_LAYERS};
use crate::error::{ModelError, quoted};
use crate::listing::Listing;
use crate::pattern::numbers_from_name;
use crate::resolve::check_count;

/// Which tensors hold a component, in the user's words: `attn.q=layers.{}.wq.weight`.
///
/// `{}` stands for the layer, an optional `{e}` for the expert. A matrix is read `[out, in]`; a tensor of three
/// dimensions is a stack of experts `[E, out, in]`. `^T` after the name reads `[in, out]`; `[a..b]` takes output
/// features a to b (b not included) of a fused tensor: `attn.k=h.{}.attn.c_attn.weight^T[768..1536]`.
///
/// ```
/// use tomo_model::CellOverride;
/// let cell: CellOverride = "mlp.up=layers.{}.experts.{e}.w3.weight".parse().unwrap();
/// assert_eq!(cell.to_string(), "mlp.up=layers.{}.experts.{e}.w3.weight");
/// assert!("mlp.sideways=layers.{}.w".parse::<CellOverride>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CellOverride {
    /// The component.
    pub component: Component,
    /// Tensor-name pattern.
    pub pattern: String,
    /// Stored `[in, out]`.
    pub transposed: bool,
    /// Output features to take; all of them when `None`.
    pub rows: Option<Range<u64>>,
}

impl fmt::Display for CellOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.component, self.pattern)?;
        if self.transposed {
            f.write_str("^T")?;
        }
        self.rows.as_ref().map_or(Ok(()), |rows| write!(f, "[{}..{}]", rows.start, rows.end))
    }
}

impl FromStr for CellOverride {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Override { text: quoted(text), reason };
        let (component, rest) = text
            .split_once('=')
            .ok_or_else(|| wrong("expected component=tensor, e.g. attn.q=layers.{}.wq.weight".into()))?;
        let component = component.trim().parse::<Component>().map_err(|e| wrong(e.to_string()))?;
        let (rest, rows) = split_rows(rest.trim()).map_err(&wrong)?;
        let (pattern, transposed) = rest.strip_suffix("^T").map_or((rest, false), |pattern| (pattern, true));
        let bare = pattern.replacen("{}", "", 1).replacen("{e}", "", 1);
        if !pattern.contains("{}") || bare.contains(['{', '}']) {
            return Err(wrong("expected {} once, for the layer, and at most one {e}, for the expert".into()));
        }
        Ok(Self { component, pattern: pattern.to_owned(), transposed, rows })
    }
}

fn split_rows(text: &str) -> Result<(&str, Option<Range<u64>>), String> {
    let Some((name, range)) = text.strip_suffix(']').and_then(|t| t.rsplit_once('[')) else { return Ok((text, None)) };
    let parsed = range.split_once("..").and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
    match parsed {
        Some(rows) if rows.start < rows.end => Ok((name, Some(rows))),
        _ => Err(format!("expected output features as [0..4096], found [{range}]")),
    }
}

/// The cells that `overrides` mean, sorted.
pub(crate) fn cells_from_overrides(
    source: &dyn Source,
    overrides: &[CellOverride],
) -> Result<Vec<CellSource>, ModelError> {
    let mut cells = Vec::new();
    for cell in overrides {
        let before = cells.len();
        for tensor in source.tensors() {
            if let Some(found) = numbers_from_name(&cell.pattern, &tensor.name) {
                let layer = found.layer.unwrap_or_default();
                cell.push(tensor, layer, found.expert, &mut cells)?;
            }
        }
        if cells.len() == before {
            let listing = Listing::new(source.tensors());
            return Err(cell.error(format!("no tensor has such a name\n  found: {listing}")));
        }
    }
    cells.sort_by_key(|c| c.id);
    match cells.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(ModelError::Override {
            text: pair[1].id.component.to_string(),
            reason: format!("{} is in {} and in {}", pair[0].id, quoted(&pair[0].tensor), quoted(&pair[1].tensor)),
        }),
        None => Ok(cells),
    }
}

impl CellOverride {
    fn error(&self, reason: String) -> ModelError {
        ModelError::Override { text: quoted(&self.to_string()), reason }
    }

    /// The cells in one tensor that matched.
    fn push(
        &self,
        tensor: &TensorInfo,
        layer: u32,
        expert: Option<u32>,
        cells: &mut Vec<CellSource>,
    ) -> Result<(), ModelError> {
        let wrong =
            |expected: &str| self.error(format!("{} is {:?}, expected {expected}", quoted(&tensor.name), tensor.shape));
        if u64::from(layer) >= MOST_LAYERS || expert.is_some_and(|e| u64::from(e) >= MOST_EXPERTS) {
            return Err(self.error(format!("{} has a number no model has", quoted(&tensor.name))));
        }
        let (stack, rows, columns) = match (tensor.shape.as_slice(), self.transposed) {
            (&[rows, columns], false) => (None, rows, columns),
            (&[columns, rows], true) => (None, rows, columns),
            (&[experts, rows, columns], false) if expert.is_none() && experts <= MOST_EXPERTS => {
                (Some(experts), rows, columns)
            }
            _ => return Err(wrong("a matrix, or a stack [experts, out, in] without {e} and ^T")),
        };
        let taken = self.rows.clone().unwrap_or(0..rows);
        if taken.end > rows || taken.is_empty() || columns == 0 {
            return Err(wrong("output features within the matrix, and no empty matrix"));
        }
        for slot in 0..stack.unwrap_or(1) {
            check_count(cells.len(), &tensor.name)?;
            let expert = stack.and(u32::try_from(slot).ok()).or(expert);
            let out_features = taken.end - taken.start;
            let mut storage = Storage::rows(slot * rows + taken.start, out_features);
            storage.transposed = self.transposed;
            cells.push(CellSource {
                id: CellId { layer, component: self.component, expert },
                tensor: tensor.name.clone(),
                storage,
                out_features,
                in_features: columns,
            });
        }
        Ok(())
    }
}
