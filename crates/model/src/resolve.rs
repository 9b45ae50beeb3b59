//! From a family's rules to the cells of one checkpoint, with every shape checked.

use std::collections::BTreeSet;

use tomo_checkpoint::{Source, TensorInfo};
use tomo_map::{CellId, Component};

use crate::cell::CellSource;
use crate::dims::{MOST_CELLS, MOST_EXPERTS, MOST_LAYERS, Widths};
use crate::error::{ModelError, quoted};
use crate::family::{CellRule, Dialect, Family, Part};
use crate::listing::Listing;
use crate::pattern::{fill, numbers_from_name};
use crate::place::cell_in;

/// The way out of a quantized format that is not read.
pub(crate) const CONVERT: &str = ": convert the checkpoint to bf16 or GGUF first";

/// A family's names in one checkpoint.
#[derive(Clone, Copy)]
pub(crate) struct Resolver<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) family: &'static Family,
    pub(crate) dialect: &'static Dialect,
    pub(crate) prefix: &'static str,
    /// Components that the user placed with `--cell`.
    pub(crate) overridden: &'a BTreeSet<Component>,
}

impl<'a> Resolver<'a> {
    /// The resolver with the first prefix under which layer 0 has a cell; `None` when no prefix fits.
    pub(crate) fn new(
        source: &'a dyn Source,
        family: &'static Family,
        dialect: &'static Dialect,
        overridden: &'a BTreeSet<Component>,
    ) -> Option<Self> {
        let all = dialect.prefixes.iter().map(|prefix| Self { source, family, dialect, prefix, overridden });
        all.clone().find(|r| r.first_tensor(0).is_some()).or_else(|| {
            // With every cell overridden any prefix will do.
            all.clone().next().filter(|r| r.components().next().is_none())
        })
    }

    fn first_tensor(&self, layer: u32) -> Option<&'a TensorInfo> {
        self.components().find_map(|c| self.rule(layer, c).map(|(_, tensor)| tensor))
    }

    /// Components that come from the family's rules.
    pub(crate) fn components(&self) -> impl Iterator<Item = Component> + use<'a> {
        let (family, overridden) = (self.family, self.overridden);
        Component::ALL.into_iter().filter(move |c| family.missing_reason(*c).is_none() && !overridden.contains(c))
    }

    fn rules(&self, component: Component) -> impl Iterator<Item = &'static CellRule> + use<'a> {
        self.dialect.cells.iter().filter(move |rule| rule.component == component)
    }

    fn tensor(&self, rule: &CellRule, layer: u32, expert: u32) -> Option<&'a TensorInfo> {
        self.source.tensor(&self.name(rule, layer, expert))
    }

    fn name(&self, rule: &CellRule, layer: u32, expert: u32) -> String {
        format!("{}{}", self.prefix, fill(rule.tensor, layer, Some(expert)))
    }

    /// The rule that holds in this layer, and the tensor of its first expert.
    fn rule(&self, layer: u32, component: Component) -> Option<(&'static CellRule, &'a TensorInfo)> {
        self.rules(component).find_map(|rule| self.tensor(rule, layer, 0).map(|tensor| (rule, tensor)))
    }

    /// Every cell of the family's rules, sorted; with `partial` those that are there.
    pub(crate) fn cells(&self, widths: &Widths, partial: bool) -> Result<Vec<CellSource>, ModelError> {
        let mut cells = Vec::new();
        for layer in 0..widths.layers {
            for component in self.components() {
                match self.rule(layer, component) {
                    Some((rule, first)) if rule.per_expert() => {
                        self.push_experts(widths, rule, layer, first, &mut cells)?;
                    }
                    Some((rule, first)) => cells.push(cell_in(widths, rule, layer, None, first)?),
                    None => match self.missing(layer, component, None) {
                        ModelError::MissingCell { .. } if partial => {}
                        error => return Err(error),
                    },
                }
            }
        }
        Ok(cells)
    }

    fn push_experts(
        &self,
        widths: &Widths,
        rule: &CellRule,
        layer: u32,
        first: &TensorInfo,
        cells: &mut Vec<CellSource>,
    ) -> Result<(), ModelError> {
        let experts = widths.experts.ok_or_else(|| ModelError::Unsupported {
            tensor: quoted(&first.name),
            reason: "holds experts, but the config says there are none".to_owned(),
        })?;
        for expert in 0..experts {
            check_count(cells.len(), &first.name)?;
            let tensor = if rule.stacked { Some(first) } else { self.tensor(rule, layer, expert) };
            let tensor = tensor.ok_or_else(|| self.missing(layer, rule.component, Some(expert)))?;
            cells.push(cell_in(widths, rule, layer, Some(expert), tensor)?);
        }
        Ok(())
    }

    /// Why a cell is not there: a quantizer packed it under another name, or it is simply missing.
    pub(crate) fn missing(&self, layer: u32, component: Component, expert: Option<u32>) -> ModelError {
        let cell = CellId { layer, component, expert };
        let names: Vec<_> = self.rules(component).map(|rule| self.name(rule, layer, expert.unwrap_or(0))).collect();
        let packed = |name: &String| {
            let stem = name.strip_suffix("weight")?;
            ["qweight", "weight_packed"].iter().find_map(|tail| self.source.tensor(&format!("{stem}{tail}")))
        };
        if let Some(tensor) = names.iter().find_map(packed) {
            return ModelError::Unsupported {
                tensor: quoted(&tensor.name),
                reason: format!("{cell} is packed in the format of a quantizer, which is not supported{CONVERT}"),
            };
        }
        ModelError::MissingCell {
            cell,
            expected: names.iter().map(|n| quoted(n)).collect::<Vec<_>>().join(" or "),
            listing: Box::new(Listing::new(self.source.tensors())),
        }
    }

    /// A tensor that no cell uses but that a rule describes: a layer or expert beyond what the config counts, or a
    /// second copy of a cell.
    pub(crate) fn stray_cell(&self, name: &str) -> Option<CellId> {
        let name = name.strip_prefix(self.prefix)?;
        self.components().flat_map(|c| self.rules(c)).find_map(|rule| {
            let found = numbers_from_name(rule.tensor, name)?;
            Some(CellId { layer: found.layer?, component: rule.component, expert: found.expert })
        })
    }

    /// Widths read off the shapes of a checkpoint without config.
    pub(crate) fn widths_from_shapes(&self) -> Result<Widths, ModelError> {
        let layers = self.count_layers()?;
        let seen = |component: Component| -> Result<Seen, ModelError> {
            let (rule, tensor) = self.rule(0, component).ok_or_else(|| self.missing(0, component, None))?;
            seen_from(rule, tensor)
        };
        let hidden = seen(Component::AttnQ)?.columns;
        let query = seen(Component::AttnO)?.columns;
        let k = seen(Component::AttnK)?;
        let key_value = match k.part {
            Part::QueryKeyValue => k.rows.saturating_sub(query) / 2,
            Part::QueryKeyValuePerHead => {
                let (_, tensor) =
                    self.rule(0, Component::AttnK).ok_or_else(|| self.missing(0, Component::AttnK, None))?;
                return Err(ModelError::Unsupported {
                    tensor: quoted(&tensor.name),
                    reason: "q, k and v are interleaved by head, and without a config the number of heads is not known"
                        .to_owned(),
                });
            }
            Part::Whole | Part::GateUp => k.rows,
        };
        let down = |experts: bool| {
            (0..layers)
                .filter_map(|layer| self.rule(layer, Component::MlpDown))
                .find(|(rule, _)| rule.per_expert() == experts)
        };
        let width = |experts: bool| down(experts).map(|(rule, t)| seen_from(rule, t).map(|s| s.columns)).transpose();
        Ok(Widths {
            layers,
            hidden,
            query,
            key_value,
            head: None,
            ffn: width(false)?,
            experts: down(true).map(|(rule, tensor)| self.count_experts(rule, tensor)),
            expert_ffn: width(true)?,
        })
    }

    fn count_layers(&self) -> Result<u32, ModelError> {
        let names = self.source.tensors().iter().filter_map(|t| self.stray_cell(&t.name).map(|id| (id.layer, &t.name)));
        match names.max() {
            Some((last, _)) if u64::from(last) < MOST_LAYERS => Ok(last + 1),
            Some((_, name)) => Err(ModelError::Unsupported {
                tensor: quoted(name),
                reason: format!("has a layer number beyond {MOST_LAYERS}"),
            }),
            None => Err(self.missing(0, Component::AttnQ, None)),
        }
    }

    fn count_experts(&self, rule: &CellRule, first: &TensorInfo) -> u32 {
        if rule.stacked {
            let experts = first.shape.first().copied().unwrap_or(0).min(MOST_EXPERTS);
            return u32::try_from(experts).unwrap_or(u32::MAX);
        }
        let layer = numbers_from_name(rule.tensor, first.name.strip_prefix(self.prefix).unwrap_or_default());
        let layer = layer.and_then(|n| n.layer).unwrap_or(0);
        (0..).take_while(|e| self.tensor(rule, layer, *e).is_some()).count().try_into().unwrap_or(u32::MAX)
    }
}

/// Refuses what only a hostile file has.
pub(crate) fn check_count(cells: usize, tensor: &str) -> Result<(), ModelError> {
    if cells < MOST_CELLS {
        return Ok(());
    }
    let reason = format!("with it there are more than {MOST_CELLS} cells, which no model has");
    Err(ModelError::Unsupported { tensor: quoted(tensor), reason })
}

/// A tensor as its rule sees it: `rows x columns`, transposition and stacking undone.
struct Seen {
    part: Part,
    rows: u64,
    columns: u64,
}

fn seen_from(rule: &CellRule, tensor: &TensorInfo) -> Result<Seen, ModelError> {
    let matrix = match tensor.shape.as_slice() {
        [_, matrix @ ..] if rule.stacked => matrix,
        matrix => matrix,
    };
    match (matrix, rule.transposed) {
        (&[rows, columns], false) | (&[columns, rows], true) => Ok(Seen { part: rule.part, rows, columns }),
        _ => Err(ModelError::Shape {
            what: rule.component.to_string(),
            tensor: quoted(&tensor.name),
            expected: if rule.stacked { "three dimensions" } else { "two dimensions" }.to_owned(),
            found: format!("{:?}", tensor.shape),
        }),
    }
}
