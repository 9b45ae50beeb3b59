//! Which cells a module of the base is, and which rows of its factors are whose.

use tomo_checkpoint::TensorInfo;
use tomo_map::CellId;

use super::Module;
use crate::cell::CellSource;
use crate::dims::Widths;
use crate::error::{ModelError, quoted};
use crate::family::{CellRule, Dialect};
use crate::pattern::{Numbers, numbers_from_name};
use crate::place::cell_in;

/// Names of a family's modules as transformers has them in memory, which is where PEFT takes its own from.
#[derive(Clone, Copy)]
pub(super) struct Naming {
    pub(super) dialect: &'static Dialect,
    pub(super) prefix: &'static str,
}

/// One cell of a module.
pub(super) struct Site {
    /// The cell; its storage says which rows of B are its own.
    pub(super) cell: CellSource,
    /// What patterns of the configuration are compared with.
    pub(super) key: String,
    /// Which of how many experts.
    pub(super) expert: Option<(u64, u64)>,
}

impl Naming {
    /// The naming under which most of `tensors` are cells; `None` when none is under any.
    pub(super) fn best(dialect: &'static Dialect, tensors: &[String]) -> Option<Self> {
        let all = dialect.prefixes.iter().map(|prefix| Self { dialect, prefix });
        let known = |naming: &Self| tensors.iter().filter(|t| naming.is_cell(t)).count();
        // The first of equals: max_by_key would take the last.
        let best = all.map(|naming| (known(&naming), naming)).reduce(|a, b| if b.0 > a.0 { b } else { a });
        best.filter(|(count, _)| *count > 0).map(|(_, naming)| naming)
    }

    fn is_cell(&self, tensor: &str) -> bool {
        let module = tensor.strip_suffix(".weight").unwrap_or(tensor);
        !(self.rules(tensor).is_empty() && self.stacks(module).is_empty())
    }

    /// Rules that describe the tensor called `name`.
    pub(super) fn rules(&self, name: &str) -> Vec<(&'static CellRule, Numbers)> {
        let Some(below) = name.strip_prefix(self.prefix) else { return Vec::new() };
        let found = |rule: &'static CellRule| Some((rule, numbers_from_name(rule.tensor, below)?));
        self.dialect.cells.iter().filter_map(found).collect()
    }

    /// Rules of stacks of experts that are parameters of `module` itself, with the parameter's name.
    fn stacks(&self, module: &str) -> Vec<(&'static CellRule, Numbers, &'static str)> {
        let Some(below) = module.strip_prefix(self.prefix) else { return Vec::new() };
        let found = |rule: &'static CellRule| {
            let (_, parameter) = rule.tensor.rsplit_once('.')?;
            Some((rule, numbers_from_name(rule.tensor, &format!("{below}.{parameter}"))?, parameter))
        };
        self.dialect.cells.iter().filter(|rule| rule.stacked).filter_map(found).collect()
    }

    /// Whether the module's factors belong to a stack of experts.
    pub(super) fn is_stack(&self, module: &str) -> bool {
        self.rules(&format!("{module}.weight")).is_empty() && !self.stacks(module).is_empty()
    }

    /// The cells of `module`; none where it is no cell.
    pub(super) fn sites(&self, widths: &Widths, module: &Module) -> Result<Vec<Site>, ModelError> {
        let (rows, inputs) = (module.outputs(), module.inputs());
        let mut sites = Vec::new();
        for (rule, numbers) in self.rules(&format!("{}.weight", module.name)) {
            if rule.stacked {
                continue;
            }
            let (layer, expert) = numbers_within(widths, numbers, module)?;
            let shape = if rule.transposed { vec![inputs, rows] } else { vec![rows, inputs] };
            let mut cell = cell_in(widths, rule, layer, expert, &seen_as(module, shape))?;
            // Factors are [r, in] and [out, r] whichever way the base stores W.
            cell.storage.transposed = false;
            cell.storage.rope_pairs = None;
            sites.push(Site { cell, key: module.name.clone(), expert: None });
        }
        if sites.is_empty() { self.stacked_sites(widths, module) } else { Ok(sites) }
    }

    /// The experts of a stack. Wrappers of several stacks of one module stand in each other, in an order that the names do not
    /// tell; shapes do, since no two stacks of one module have the same.
    fn stacked_sites(&self, widths: &Widths, module: &Module) -> Result<Vec<Site>, ModelError> {
        let experts = widths.experts.unwrap_or_default();
        let shape = vec![u64::from(experts), module.outputs(), module.inputs()];
        let (mut sites, mut refusal) = (Vec::new(), None);
        for (rule, numbers, parameter) in self.stacks(&module.name) {
            let (layer, _) = numbers_within(widths, numbers, module)?;
            for expert in 0..experts {
                let mut cell = match cell_in(widths, rule, layer, Some(expert), &seen_as(module, shape.clone())) {
                    Ok(cell) => cell,
                    Err(error) => {
                        refusal = refusal.or(Some(error));
                        break;
                    }
                };
                cell.storage.start -= u64::from(expert) * module.outputs();
                let key = format!("{}.{parameter}", module.name);
                sites.push(Site { cell, key, expert: Some((u64::from(expert), u64::from(experts))) });
            }
        }
        match refusal {
            Some(error) if sites.is_empty() => Err(error),
            _ => Ok(sites),
        }
    }

    /// The cells of a tensor that the adapter holds whole; none where it is no cell. `tensor` is as the adapter has it, `name`
    /// what the base calls it.
    pub(super) fn whole(
        &self,
        widths: &Widths,
        name: &str,
        tensor: &TensorInfo,
    ) -> Result<Vec<CellSource>, ModelError> {
        let mut cells = Vec::new();
        for (rule, numbers) in self.rules(name) {
            let experts = if rule.stacked { widths.experts.unwrap_or_default() } else { 1 };
            for expert in 0..experts {
                let layer = numbers.layer.unwrap_or_default();
                let expert = if rule.stacked { Some(expert) } else { numbers.expert };
                cells.push(cell_in(widths, rule, layer, expert, tensor)?);
            }
        }
        Ok(cells)
    }
}

/// The product of the module's factors as if it were a tensor.
fn seen_as(module: &Module, shape: Vec<u64>) -> TensorInfo {
    TensorInfo { name: module.b.name.clone(), dtype: module.b.dtype, shape, bytes: module.b.bytes }
}

fn numbers_within(widths: &Widths, numbers: Numbers, module: &Module) -> Result<(u32, Option<u32>), ModelError> {
    let (layer, expert) = (numbers.layer.unwrap_or_default(), numbers.expert);
    if layer < widths.layers && expert.is_none_or(|e| Some(e) < widths.experts) {
        return Ok((layer, expert));
    }
    let experts = widths.experts.map_or(String::new(), |e| format!(" and {e} experts"));
    Err(ModelError::Adapter {
        what: "the adapter has a module that the base has not".into(),
        tensor: quoted(&module.b.name),
        expected: format!("{} layers{experts}", widths.layers),
        found: quoted(&module.name),
        hint: "compare base_model_name_or_path in adapter_config.json with the base".into(),
    })
}

/// Two modules that change one cell.
pub(super) fn twice(id: CellId, first: &str, second: &str) -> ModelError {
    ModelError::Adapter {
        what: format!("{id} is changed twice").into(),
        tensor: quoted(second),
        expected: "one change of each cell".to_owned(),
        found: format!("{} as well", quoted(first)),
        hint: "load the adapter with peft and save it again".into(),
    }
}
