//! An adapter without its base: the family by the names of its modules, the widths by the shapes of its factors.

use std::sync::Arc;

use tomo_checkpoint::TensorInfo;
use tomo_map::{Cell, Component, Grid, MissingColumn};

use super::changes::{Changes, NOT_UNDERSTOOD, Placed};
use super::ground::Ground;
use super::place::Naming;
use super::{Adapter, Module};
use crate::arch::FAMILIES;
use crate::config::is_class_of;
use crate::dims::{Dims, MOST_EXPERTS, MOST_LAYERS, Widths};
use crate::error::{ModelError, quoted};
use crate::family::{CellRule, DimFrom, Family, Part};
use crate::pattern::Numbers;

const GIVE_THE_BASE: &str = "without the base it cannot be told which rows are whose: --against BASE";

impl Adapter {
    /// What the adapter does to the cells it changes, as far as that can be told without the base.
    ///
    /// # Errors
    /// Modules of no known family, or of several that disagree; modules whose cells cannot be told apart without the base.
    pub fn alone(self: &Arc<Self>) -> Result<Changes, ModelError> {
        let (mut fitting, mut refusal) = (Vec::new(), None);
        let class = self.config.base_class.as_deref().unwrap_or_default();
        let named = FAMILIES.iter().copied().find(|family| is_class_of(family, class));
        for family in FAMILIES.iter().copied().filter(|family| named.is_none_or(|named| named.id == family.id)) {
            match self.as_family(family) {
                Ok(Some((widths, placed))) => fitting.push((family, widths, placed)),
                Ok(None) => {}
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        // Names that only some of the families know tell those from the others.
        let strange = |placed: &Placed| placed.off_grid.iter().filter(|b| b.what == NOT_UNDERSTOOD).count();
        let least = fitting.iter().map(|(_, _, placed)| strange(placed)).min();
        fitting.retain(|(_, _, placed)| Some(strange(placed)) == least);
        let cells = |placed: &Placed| {
            let factored = placed.sites.iter().map(|(_, site)| &site.cell);
            factored.chain(&placed.whole).cloned().collect::<Vec<_>>()
        };
        let alike = fitting.windows(2).all(|pair| cells(&pair[0].2) == cells(&pair[1].2));
        let several = fitting.len() > 1;
        match (fitting.into_iter().next(), refusal) {
            (Some((family, widths, placed)), _) if alike => {
                let like = if several { "-like" } else { "" };
                let grid = self.grid_of(family, &widths, &placed);
                self.changes(format!("{}{like}", family.id), dims_of(&widths), grid, placed)
            }
            (None, Some(error)) => Err(error),
            _ => Err(self.no_family()),
        }
    }

    fn no_family(&self) -> ModelError {
        let first = self.tensor_names().into_iter().next().unwrap_or_default();
        ModelError::Adapter {
            what: "the family cannot be told from the names of the adapter's modules".into(),
            tensor: quoted(&first),
            expected: format!("modules of one of {}", FAMILIES.iter().map(|f| f.id).collect::<Vec<_>>().join(" ")),
            found: quoted(&self.config.targets),
            hint: "give the base it was trained on: --against BASE".into(),
        }
    }

    /// The adapter's modules as those of one family; `None` where a module is none of it.
    fn as_family(&self, family: &'static Family) -> Result<Option<(Widths, Placed)>, ModelError> {
        let Some(naming) = Naming::best(&family.hugging_face, &self.tensor_names()) else { return Ok(None) };
        if let Some(stack) = self.modules.iter().find(|m| naming.is_stack(&m.name)) {
            return Err(cannot_tell(stack));
        }
        let Some(seen) = Seen::of(&naming, &self.modules, &self.whole) else { return Ok(None) };
        let widths = seen.widths(family)?;
        let ground = Ground { naming: Some(naming), widths: Some(widths), base: None };
        let placed = self.place(&ground)?;
        let strange = placed.off_grid.iter().any(|b| b.what == "factors of a module that is no cell");
        Ok((!strange && !placed.sites.is_empty()).then_some((widths, placed)))
    }

    fn grid_of(&self, family: &Family, widths: &Widths, placed: &Placed) -> Grid {
        let factored = placed.sites.iter().map(|(number, site)| (&site.cell, self.modules[*number].b.dtype));
        let whole = placed.whole.iter().filter_map(|c| Some((c, self.source.tensor(&c.tensor)?.dtype)));
        let mut cells: Vec<Cell> = factored
            .chain(whole)
            .map(|(cell, dtype)| Cell {
                id: cell.id,
                out_features: cell.out_features,
                in_features: cell.in_features,
                tensor: cell.tensor.clone(),
                dtype: dtype.name().to_owned(),
            })
            .collect();
        cells.sort_by_key(|c| c.id);
        let mut grid = Grid { layers: widths.layers, cells, missing: Vec::new() };
        let absent = |c: &Component| !grid.cells.iter().any(|cell| cell.id.component == *c);
        let reason = |c: Component| {
            family.missing_reason(c).map_or_else(
                || "the adapter changes none of its cells".to_owned(),
                |reason| format!("{}: {reason}", family.id),
            )
        };
        let missing: Vec<_> = Component::ALL
            .into_iter()
            .filter(absent)
            .map(|component| MissingColumn { component, reason: reason(component) })
            .collect();
        grid.missing = missing;
        grid
    }
}

fn cannot_tell(module: &Module) -> ModelError {
    ModelError::Unsupported { tensor: quoted(&module.b.name), reason: GIVE_THE_BASE.to_owned() }
}

/// Zero stands for what the adapter does not tell.
fn dims_of(widths: &Widths) -> Dims {
    let known = |n: u64| (n > 0).then_some(n);
    Dims { hidden: known(widths.hidden), ..Dims::from(widths) }
}

/// What the shapes of factors, and of modules that are saved whole, say about widths.
#[derive(Default)]
struct Seen<'a> {
    layers: u32,
    experts: Option<u32>,
    /// Out and in of each component, in the map's order; then those of experts.
    plain: [Option<(u64, u64)>; 14],
    /// A module that holds q, k and v one after the other.
    fused: Option<&'a Module>,
    /// A module that holds q, k and v head by head.
    by_head: Option<&'a Module>,
}

impl<'a> Seen<'a> {
    /// `None` where no module is a cell, or a number is beyond what models have.
    fn of(naming: &Naming, modules: &'a [Module], whole: &[(String, TensorInfo)]) -> Option<Self> {
        let mut seen = Self::default();
        for module in modules {
            for (rule, numbers) in naming.rules(&format!("{}.weight", module.name)) {
                let expert = seen.number(numbers)?;
                match rule.part {
                    Part::QueryKeyValue => seen.fused = Some(module),
                    Part::QueryKeyValuePerHead => seen.by_head = Some(module),
                    Part::Whole | Part::GateUp => seen.add(rule, expert, module.outputs(), module.inputs()),
                }
            }
        }
        for (name, tensor) in whole {
            let &[rows, inputs] = tensor.shape.as_slice() else { continue };
            for (rule, numbers) in naming.rules(name) {
                let expert = seen.number(numbers)?;
                if matches!(rule.part, Part::Whole | Part::GateUp) {
                    seen.add(rule, expert, rows, inputs);
                }
            }
        }
        (seen.layers > 0).then_some(seen)
    }

    /// Takes notice of a layer and an expert; whether there is an expert.
    fn number(&mut self, numbers: Numbers) -> Option<bool> {
        let (layer, expert) = (numbers.layer?, numbers.expert);
        if u64::from(layer) >= MOST_LAYERS || expert.is_some_and(|e| u64::from(e) >= MOST_EXPERTS) {
            return None;
        }
        self.layers = self.layers.max(layer + 1);
        self.experts = self.experts.max(expert.map(|e| e + 1));
        Some(expert.is_some())
    }

    fn add(&mut self, rule: &CellRule, expert: bool, rows: u64, inputs: u64) {
        let rows = if rule.part == Part::GateUp { rows / 2 } else { rows };
        self.plain[rule.component.index() + if expert { 7 } else { 0 }].get_or_insert((rows, inputs));
    }

    fn widths(&self, family: &Family) -> Result<Widths, ModelError> {
        use Component::{AttnK, AttnO, AttnQ, AttnV, MlpDown, MlpGate, MlpUp};
        if let Some(module) = self.by_head {
            return Err(cannot_tell(module));
        }
        let rows = |c: Component| self.plain[c.index()].map(|(rows, _)| rows);
        let inputs = |c: Component| self.plain[c.index()].map(|(_, inputs)| inputs);
        let of_experts = |c: Component| self.plain[c.index() + 7];
        let mut query = rows(AttnQ).or(inputs(AttnO));
        let mut key_value = rows(AttnK).or(rows(AttnV));
        if let Some(module) = self.fused {
            let total = module.outputs();
            if matches!(family.hugging_face.dims.kv_heads, [DimFrom::Heads]) {
                query = Some(total / 3);
            }
            let query = query.ok_or_else(|| cannot_tell(module))?;
            key_value = Some(total.saturating_sub(query) / 2);
        }
        let reads_hidden = [AttnQ, AttnK, AttnV, MlpUp, MlpGate].into_iter().find_map(inputs);
        let writes_hidden = [AttnO, MlpDown].into_iter().find_map(rows);
        let expert_hidden = of_experts(MlpUp).or(of_experts(MlpGate)).map(|(_, inputs)| inputs);
        let expert_hidden = expert_hidden.or(of_experts(MlpDown).map(|(rows, _)| rows));
        let hidden = self.fused.map(Module::inputs).or(reads_hidden).or(writes_hidden).or(expert_hidden);
        let expert_ffn = of_experts(MlpUp).or(of_experts(MlpGate)).map(|(rows, _)| rows);
        Ok(Widths {
            layers: self.layers,
            hidden: hidden.unwrap_or_default(),
            query: query.unwrap_or_default(),
            key_value: key_value.unwrap_or_default(),
            head: None,
            ffn: rows(MlpUp).or(rows(MlpGate)).or(inputs(MlpDown)),
            experts: self.experts,
            expert_ffn: expert_ffn.or(of_experts(MlpDown).map(|(_, inputs)| inputs)),
        })
    }
}
