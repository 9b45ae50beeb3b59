//! The cell a rule finds in a tensor: shape checked, rows located.

use tomo_checkpoint::TensorInfo;
use tomo_map::{CellId, Component};

use crate::cell::{CellSource, Storage};
use crate::dims::Widths;
use crate::error::{ModelError, quoted};
use crate::family::{CellRule, Part};
use crate::resolve::CONVERT;

/// The cell that `rule` finds in `tensor`, after comparing the tensor's shape with what the widths say.
pub(crate) fn cell_in(
    widths: &Widths,
    rule: &CellRule,
    layer: u32,
    expert: Option<u32>,
    tensor: &TensorInfo,
) -> Result<CellSource, ModelError> {
    let id = CellId { layer, component: rule.component, expert };
    check_dtype(id, tensor)?;
    let (out_features, in_features) =
        features(widths, rule.component, expert.is_some()).ok_or_else(|| ModelError::Config {
            key: "MLP width".to_owned(),
            expected: format!("a number, for {id}"),
            found: "nothing".into(),
        })?;
    let (rows, mut storage) = place(widths, rule, out_features).ok_or_else(|| ModelError::Unsupported {
        tensor: quoted(&tensor.name),
        reason: format!("{id} cannot be told apart in it with these dimensions"),
    })?;
    let mut expected = if rule.transposed { vec![in_features, rows] } else { vec![rows, in_features] };
    if rule.stacked {
        expected.insert(0, widths.experts.map_or(0, u64::from));
    }
    if expected != tensor.shape || out_features == 0 || in_features == 0 {
        return Err(ModelError::Shape {
            what: id.to_string(),
            tensor: quoted(&tensor.name),
            expected: format!("{expected:?}"),
            found: format!("{:?}", tensor.shape),
        });
    }
    if rule.stacked {
        // No overflow: the expert is within the stack, whose size was checked when the file was opened.
        storage.start += u64::from(expert.unwrap_or(0)) * rows;
    }
    Ok(CellSource { id, tensor: tensor.name.clone(), storage, out_features, in_features })
}

/// Integers under a weight's name are a quantizer's codes, whose scales are stored elsewhere.
pub(crate) fn check_dtype(cell: CellId, tensor: &TensorInfo) -> Result<(), ModelError> {
    if tensor.dtype.is_weight() {
        return Ok(());
    }
    Err(ModelError::Unsupported {
        tensor: quoted(&tensor.name),
        reason: format!("{cell} is stored as {}, integers that are no weights by themselves{CONVERT}", tensor.dtype),
    })
}

/// Output and input features of a component: `(out, in)`.
fn features(widths: &Widths, component: Component, expert: bool) -> Option<(u64, u64)> {
    let ffn = if expert { widths.expert_ffn } else { widths.ffn };
    Some(match component {
        Component::AttnQ => (widths.query, widths.hidden),
        Component::AttnK | Component::AttnV => (widths.key_value, widths.hidden),
        Component::AttnO => (widths.hidden, widths.query),
        Component::MlpUp | Component::MlpGate => (ffn?, widths.hidden),
        Component::MlpDown => (widths.hidden, ffn?),
    })
}

/// Rows of the whole matrix that `rule` describes, and where in it the component is.
fn place(widths: &Widths, rule: &CellRule, out_features: u64) -> Option<(u64, Storage)> {
    let nth = |c: Component| c.index() as u64;
    let (rows, mut storage) = match rule.part {
        Part::Whole => (out_features, Storage::rows(0, out_features)),
        Part::QueryKeyValue => {
            let start = match rule.component {
                Component::AttnQ => 0,
                Component::AttnK => widths.query,
                _ => widths.query.checked_add(widths.key_value)?,
            };
            let rows = widths.key_value.checked_mul(2)?.checked_add(widths.query)?;
            (rows, Storage::rows(start, out_features))
        }
        Part::QueryKeyValuePerHead => {
            let (heads, head_dim) = widths.head.filter(|_| widths.query == widths.key_value)?;
            let stride = head_dim.checked_mul(3)?;
            let mut storage = Storage::rows(nth(rule.component) * head_dim, head_dim);
            (storage.stride, storage.count) = (stride, heads);
            (stride.checked_mul(heads)?, storage)
        }
        Part::GateUp => {
            let start = if rule.component == Component::MlpGate { 0 } else { out_features };
            (out_features.checked_mul(2)?, Storage::rows(start, out_features))
        }
    };
    storage.transposed = rule.transposed;
    if rule.rope_pairs {
        storage.rope_pairs = Some(widths.head.map(|(_, c)| c).filter(|c| c.is_multiple_of(2))?);
    }
    Some((rows, storage))
}
