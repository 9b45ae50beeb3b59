//! What becomes of every tensor of a checkpoint, by the plan.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use tomo_blocks::{BlockType, TYPES};
use tomo_checkpoint::{DType, Source, TensorInfo};
use tomo_map::CellId;
use tomo_plan::{Decision, Kind, OtherDecision, Plan, Stored};

/// The only client whose plans say what a GGUF file consists of.
const CLIENT: &str = "llama.cpp";

/// A tensor, and how it will be stored.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// As it is in the checkpoint.
    pub(super) info: TensorInfo,
    /// As it will be.
    pub(super) dtype: DType,
    /// Whether cells are in it.
    pub(super) is_cell: bool,
    /// The type that was asked for, where its rows are no whole blocks of that.
    pub(super) instead_of: Option<&'static str>,
}

impl Target {
    /// Whether its bytes stay as they are.
    pub(super) fn is_copied(&self) -> bool {
        self.dtype == self.info.dtype
    }

    /// Whether it was rounded once before.
    pub(super) fn is_requantized(&self) -> bool {
        !self.is_copied() && self.info.dtype.block_elements() > 1
    }

    /// Input columns.
    pub(super) fn columns(&self) -> u64 {
        columns(&self.info)
    }

    /// Matrices of a stack; 1 of anything else.
    pub(super) fn matrices(&self) -> u64 {
        let [stack @ .., _, _] = self.info.shape.as_slice() else { return 1 };
        stack.iter().product()
    }
}

/// The type of `tomo-blocks` that a file's type is, where it is one.
pub(super) fn block_of(dtype: DType) -> Option<&'static BlockType> {
    TYPES.iter().copied().find(|block| block.title == dtype.name())
}

fn columns(info: &TensorInfo) -> u64 {
    info.shape.last().copied().unwrap_or(1)
}

/// A type on rows of so many columns: what rows are stored as that are no whole blocks.
struct Asked {
    dtype: DType,
    instead_of: Option<&'static str>,
}

impl Asked {
    fn block(block: &'static BlockType, columns: u64) -> anyhow::Result<Self> {
        let found = block.fallback(usize::try_from(columns)?);
        let dtype = DType::from_name(found.title).with_context(|| format!("GGUF has no type {}", found.title))?;
        Ok(Self { dtype, instead_of: (found.id != block.id).then_some(block.id) })
    }

    fn as_it_is(info: &TensorInfo) -> Self {
        Self { dtype: info.dtype, instead_of: None }
    }
}

/// Every tensor of `source` as `plan` has it, in llama-quantize's order: by block, then by name.
///
/// # Errors
/// A plan that is no plan for GGUF files, or one for a model with other tensors.
pub(super) fn targets(source: &dyn Source, plan: &Plan) -> anyhow::Result<Vec<Target>> {
    check_plan(plan)?;
    let mut found = cells(source, plan)?;
    let is_of_gguf = plan.about.format == "gguf";
    for other in &plan.others {
        if let Some(target) = other_target(source, other, is_of_gguf)? {
            let name = target.info.name.clone();
            let twice = found.insert(name.clone(), target).is_some();
            ensure!(!twice, "the plan decides twice on one tensor\n  tensor: {name}");
        }
    }
    for info in source.tensors() {
        if !found.contains_key(&info.name) {
            ensure!(
                !is_of_gguf,
                "the model has a tensor that the plan does not know\n  tensor: {}\n  hint: make a map of this model, and a plan of it",
                info.name
            );
            let Asked { dtype, instead_of } = Asked::as_it_is(info);
            found.insert(info.name.clone(), Target { info: info.clone(), dtype, is_cell: false, instead_of });
        }
    }
    let mut targets: Vec<Target> = found.into_values().collect();
    targets.sort_by_cached_key(|target| (block(&target.info.name), target.info.name.clone()));
    targets.iter().try_for_each(check_encodable)?;
    Ok(targets)
}

fn check_plan(plan: &Plan) -> anyhow::Result<()> {
    ensure!(
        plan.kind == Kind::Bits && plan.client == CLIENT,
        "the plan does not say how a GGUF file is stored\n  expected: a plan of bits for {CLIENT}\n  found: a plan of {} for {:?}\n  \
         hint: tomograph plan MAP --for {CLIENT}",
        format!("{:?}", plan.kind).to_lowercase(),
        plan.client
    );
    Ok(())
}

/// Number of the block that a tensor belongs to; those that belong to none come first.
fn block(name: &str) -> Option<u64> {
    let rest = name.strip_prefix("blk.")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..digits].parse().ok()
}

/// What is decided on the cells of one tensor.
struct Cells<'p> {
    first: CellId,
    info: &'p TensorInfo,
    asked: Asked,
    weights: u64,
}

fn cells(source: &dyn Source, plan: &Plan) -> anyhow::Result<BTreeMap<String, Target>> {
    let mut tensors: BTreeMap<&str, Cells<'_>> = BTreeMap::new();
    for (decision, stored) in plan.stored() {
        let info = tensor_of(source, decision)?;
        let asked = match stored {
            Stored::Block(block) => Asked::block(block, columns(info))?,
            Stored::Original { .. } => Asked::as_it_is(info),
            other => bail!("GGUF cannot store what the plan asks for\n  cell: {}\n  found: {other}", decision.id),
        };
        let weights = decision.numel();
        match tensors.get_mut(info.name.as_str()) {
            None => {
                tensors.insert(&info.name, Cells { first: decision.id, info, asked, weights });
            }
            Some(cells) => {
                ensure!(
                    cells.asked.dtype == asked.dtype,
                    "the plan wants two types for one tensor\n  tensor: {}\n  expected: {} for all its cells, as for {}\n  found: {} \
                     for {}",
                    info.name,
                    cells.asked.dtype,
                    cells.first,
                    asked.dtype,
                    decision.id
                );
                cells.weights = cells.weights.saturating_add(weights);
            }
        }
    }
    let target = |(name, Cells { info, asked, weights, .. }): (&str, Cells<'_>)| {
        ensure!(
            weights == info.numel(),
            "the plan is for a model of other shapes\n  tensor: {name}\n  expected: {weights} weights in its cells\n  found: {} weights, \
             {:?}",
            info.numel(),
            info.shape
        );
        let Asked { dtype, instead_of } = asked;
        Ok((name.to_owned(), Target { info: info.clone(), dtype, is_cell: true, instead_of }))
    };
    tensors.into_iter().map(target).collect()
}

/// The tensor that a cell is in.
fn tensor_of<'s>(source: &'s dyn Source, decision: &Decision) -> anyhow::Result<&'s TensorInfo> {
    let name = decision.names.gguf.as_deref().with_context(|| {
        format!(
            "the plan does not say what a cell is called in GGUF files\n  cell: {}\n  hint: make the map from a checkpoint of a known \
             family, or from the GGUF file",
            decision.id
        )
    })?;
    let info = source.tensor(name).with_context(|| {
        format!(
            "the plan is for another model: this one has no such tensor\n  cell: {}\n  expected: {name:?}\n  hint: give the model that \
             the map was made from",
            decision.id
        )
    })?;
    ensure!(
        columns(info) == decision.in_features,
        "the plan is for a model of other shapes\n  tensor: {name}\n  expected: rows of {}, as {} has them\n  found: {:?}",
        decision.in_features,
        decision.id,
        info.shape
    );
    Ok(info)
}

/// What becomes of a tensor that holds no cell. A plan made from a map of safetensors says little of it that concerns GGUF: how the
/// embedding and the head are to be quantized.
fn other_target(source: &dyn Source, other: &OtherDecision, is_of_gguf: bool) -> anyhow::Result<Option<Target>> {
    let name = other.names.gguf.as_deref();
    let Some(info) = name.and_then(|name| source.tensor(name)) else {
        ensure!(
            !is_of_gguf,
            "the plan is for another model: this one has no such tensor\n  expected: {:?}\n  hint: give the model that the map was made \
             from",
            name.unwrap_or_default()
        );
        return Ok(None);
    };
    ensure!(
        info.shape == other.shape,
        "the plan is for a model of other shapes\n  tensor: {}\n  expected: {:?}\n  found: {:?}",
        info.name,
        other.shape,
        info.shape
    );
    let asked = TYPES.iter().find(|block| block.id.eq_ignore_ascii_case(&other.stored));
    let is_table = matches!(other.role.as_str(), "embedding" | "head");
    let Asked { dtype, instead_of } = match asked {
        _ if info.dtype.name().eq_ignore_ascii_case(&other.stored) => Asked::as_it_is(info),
        Some(block) if is_of_gguf || (is_table && block.elements > 1) => Asked::block(block, columns(info))?,
        _ if !is_of_gguf => Asked::as_it_is(info),
        _ => bail!(
            "no such type\n  tensor: {}\n  expected: {}, or a type that can be written\n  found: {:?}",
            info.name,
            info.dtype,
            other.stored
        ),
    };
    Ok(Some(Target { info: info.clone(), dtype, is_cell: false, instead_of }))
}

fn check_encodable(target: &Target) -> anyhow::Result<()> {
    ensure!(
        target.is_copied() || target.info.dtype.is_decodable(),
        "a tensor cannot be decoded\n  tensor: {}\n  expected: a type that can be, to store it as {}\n  found: {}\n  hint: take the f16 \
         or bf16 file of the model",
        target.info.name,
        target.dtype,
        target.info.dtype
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::block;

    #[test]
    fn blocks_are_in_the_order_of_their_numbers() {
        let names = ["output.weight", "blk.2.attn_q.weight", "blk.10.attn_k.weight", "blk.11.attn_k.weight"];
        assert_eq!(names.map(block), [None, Some(2), Some(10), Some(11)]);
        assert_eq!(["blk.", "blk.x.weight", "blkk.1."].map(block), [None; 3]);
    }
}
