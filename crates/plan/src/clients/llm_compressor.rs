//! llm-compressor: a recipe for compressed-tensors checkpoints, which vLLM loads; of bits, or of sparsity.
//!
//! # Files
//! `recipe.yaml`: for bits one config group per level, integers by GPTQ, floats by rounding; for sparsity one SparseGPT modifier per
//! level. Targets are whole names.
//!
//! # Command
//! `oneshot(model=MODEL, recipe="recipe.yaml", dataset=…)`. Calibration text is only used by GPTQ and SparseGPT; `QuantizationModifier`
//! in the place of `GPTQModifier` rounds to nearest without any.
//!
//! # Bytes
//! As the checkpoint has it: rows x columns x bits / 8 of weights, rounded up to 4 bytes per row; 2 bytes of scale per group; where
//! there are zero points, `bits` bits per group, rounded up to 4 bytes per column of groups; 16 bytes that say the shape. Of `fp8` a byte
//! per weight and 2 of scale; of `nvfp4` half a byte per weight, a byte per 16 and 4 of scale. A matrix that is left as it is:
//! 2 bytes per weight. Sparsity makes no file smaller: zeros are stored.
//!
//! # Traps
//! A group has to divide a row, or the run stops. vLLM joins q, k and v, gate and up, and all experts of a layer, and takes the first
//! one's level for all: those are alike here. Activations stay as they are; scales of `fp8` and `nvfp4` are for weights only.
//! vLLM's kernels take 4 and 8 bits. A class of modifiers may stand only once in a group, so that each sparsity level has a group of its own; a list under
//! `sparsity` goes by the order of modules in the model, not by that of targets, and is not used. `sparsity_profile: owl` fails.
//!
//! # Source
//! llm-compressor 0.14.0.1, `recipe/recipe.py`, `modifiers/pruning/sparsegpt/sgpt_base.py`; compressed-tensors 0.20.0,
//! `utils/match.py` (`match_name`), `quantization/quant_scheme.py`; vLLM, `compressed_tensors/utils.py`.

use serde::Deserialize;

use super::dry_run::{Matcher, Rule, Wins, dry_run};
use super::modules::{Module, check_joined, in_words, mismatch, modules, other_modules, subjects, text_of};
use super::pairs::Pairs;
use super::{Client, Dialect, Fuse, Recipe};
use crate::{Choice, Kind, Plan, PlanError, Stored};

pub(super) static CLIENT: Client = Client {
    id: "llm-compressor",
    title: "llm-compressor, for vLLM",
    source: include_str!("llm_compressor.rs"),
    kinds: &[Kind::Bits, Kind::Sparsity],
    types: &[
        "int4-sym:g128",
        "int4:g128",
        "int4-sym:g64",
        "int4:g64",
        "nvfp4",
        "int4-sym:g32",
        "int4:g32",
        "fp8",
        "int8-sym:g128",
        "int8:g128",
        "int8-sym:g64",
        "int8:g64",
        "int8-sym:g32",
        "int8:g32",
        "original",
    ],
    usual: &["int4-sym:g64", "int8-sym:g64"],
    dialect: Dialect::HuggingFace,
    fuse: Fuse::Demanded,
    fits: |stored, columns| match stored {
        Stored::Integer { group, .. } => columns.is_multiple_of(group),
        Stored::NvFp4 => columns.is_multiple_of(16),
        _ => true,
    },
    bytes,
    write,
    check,
};

const FILE: &str = "recipe.yaml";
const INTEGERS: &str = "GPTQModifier";
const FLOATS: &str = "QuantizationModifier";
const PRUNING: &str = "SparseGPTModifier";

fn bytes(stored: Stored, rows: u64, columns: u64) -> u64 {
    let words = |count: u64, bits: u32| (count * u64::from(bits)).div_ceil(32) * 4;
    match stored {
        Stored::Integer { bits, group, symmetric } => {
            let groups = columns.div_ceil(group.max(1));
            let zero_points = if symmetric { 0 } else { words(rows, bits) * groups };
            rows * (words(columns, bits) + 2 * groups) + zero_points + 16
        }
        Stored::Fp8 => rows * columns + 2,
        Stored::NvFp4 => rows * (columns.div_ceil(2) + columns.div_ceil(16)) + 4,
        other => other.bytes(rows, columns),
    }
}

/// What a level looks like under `weights`.
fn weights(stored: Stored) -> Option<String> {
    Some(match stored {
        Stored::Integer { bits, group, symmetric } => format!(
            "{{num_bits: {bits}, type: int, strategy: group, group_size: {group}, symmetric: {symmetric}, dynamic: false}}"
        ),
        Stored::Fp8 => "{num_bits: 8, type: float, strategy: tensor, symmetric: true, dynamic: false}".to_owned(),
        Stored::NvFp4 => {
            "{num_bits: 4, type: float, strategy: tensor_group, group_size: 16, symmetric: true, dynamic: false, \
             scale_dtype: torch.float8_e4m3fn, zp_dtype: torch.float8_e4m3fn}"
                .to_owned()
        }
        _ => return None,
    })
}

/// The decision of modules that a modifier is for.
fn acted_on(module: &Module<'_>) -> Option<Choice> {
    match module.choice {
        Choice::Stored(Stored::Original { .. }) => None,
        Choice::Sparsity(share) if share <= 0.0 => None,
        choice => Some(choice),
    }
}

/// Modules by decision, in the order in which decisions come up.
fn levels<'m, 'a>(modules: &'m [Module<'a>]) -> Vec<(Choice, Vec<&'m Module<'a>>)> {
    let mut levels: Vec<(Choice, Vec<&Module<'_>>)> = Vec::new();
    for module in modules {
        let Some(choice) = acted_on(module) else { continue };
        match levels.iter_mut().find(|(level, _)| *level == choice) {
            Some((_, modules)) => modules.push(module),
            None => levels.push((choice, vec![module])),
        }
    }
    levels
}

fn write(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    let modules = modules(plan, &CLIENT)?;
    let levels = levels(&modules);
    if levels.is_empty() {
        return Err(mismatch(&CLIENT, FILE, "nothing is changed"));
    }
    let mut text = String::new();
    if plan.kind == Kind::Sparsity {
        text.push_str("prune_stage:\n");
        for (number, (choice, modules)) in levels.iter().enumerate() {
            let Choice::Sparsity(share) = choice else { continue };
            text += &format!("  prune{number}_modifiers:\n    {PRUNING}:\n      sparsity: {share:?}\n");
            text += &format!("      mask_structure: '0:0'\n      targets:\n{}", targets(modules, 6));
        }
    } else {
        check_joined(plan, &CLIENT)?;
        text.push_str("quant_stage:\n");
        let is_integer = |choice: &Choice| matches!(choice, Choice::Stored(Stored::Integer { .. }));
        for (group, class, integers) in [("integers", INTEGERS, true), ("floats", FLOATS, false)] {
            let of_class: Vec<_> = levels.iter().filter(|(choice, _)| is_integer(choice) == integers).collect();
            if of_class.is_empty() {
                continue;
            }
            text += &format!("  {group}_modifiers:\n    {class}:\n      config_groups:\n");
            for (number, (choice, modules)) in of_class.into_iter().enumerate() {
                let Some(weights) = super::modules::stored(*choice).and_then(weights) else { continue };
                text += &format!("        {group}_{number}:\n          weights: {weights}\n");
                text += &format!("          targets:\n{}", targets(modules, 10));
            }
        }
    }
    let usage = format!("oneshot(model=MODEL, dataset=DATASET, recipe={FILE:?})");
    Ok(vec![Recipe { name: FILE.to_owned(), usage, text }])
}

fn targets(modules: &[&Module<'_>], indent: usize) -> String {
    modules.iter().map(|module| format!("{:indent$}- '{}'\n", "", module.name())).collect()
}

/// A recipe as the client's parser takes it apart: stages, groups of modifiers, modifiers.
type Stages = Pairs<Pairs<Pairs<Modifier>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Modifier {
    config_groups: Option<Pairs<Group>>,
    sparsity: Option<f64>,
    mask_structure: Option<String>,
    targets: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    weights: Weights,
    targets: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Number {
    Int,
    Float,
}

#[derive(Deserialize)]
struct Weights {
    num_bits: u32,
    r#type: Number,
    group_size: Option<u64>,
    symmetric: bool,
}

impl Weights {
    fn stored(&self) -> Option<Stored> {
        let &Self { num_bits: bits, group_size, symmetric, .. } = self;
        match (&self.r#type, bits, group_size) {
            (Number::Int, bits, Some(group)) => Some(Stored::Integer { bits, group, symmetric }),
            (Number::Float, 8, None) => Some(Stored::Fp8),
            (Number::Float, 4, Some(16)) => Some(Stored::NvFp4),
            _ => None,
        }
    }
}

fn check(plan: &Plan, files: &[Recipe]) -> Result<(), PlanError> {
    let failed = |reason: String| mismatch(&CLIENT, FILE, reason);
    let stages: Stages = serde_saphyr::from_str(text_of(&CLIENT, files, FILE)?).map_err(|e| failed(e.to_string()))?;
    let rules = rules(&stages).map_err(failed)?;
    let modules = modules(plan, &CLIENT)?;
    let mut all = subjects(&modules, |module| acted_on(module).map(in_words));
    all.extend(other_modules(plan, &CLIENT));
    // Neither groups nor modifiers may overlap, so that it does not matter which of them would win.
    dry_run(&rules, Wins::First, &all).map_err(failed)?;
    if plan.kind == Kind::Bits {
        check_joined(plan, &CLIENT)?;
    }
    Ok(())
}

fn rules(stages: &Stages) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    let of = |what: &str, name: &str, end: &str| match name.ends_with(end) {
        true => Ok(()),
        false => Err(format!("the {what} {name:?} does not end in {end} and would be passed over")),
    };
    for (stage, groups) in &stages.0 {
        of("stage", stage, "_stage")?;
        for (group, modifiers) in &groups.0 {
            of("group", group, "_modifiers")?;
            for (class, modifier) in &modifiers.0 {
                rules.extend(of_modifier(class, modifier)?);
            }
        }
    }
    Ok(rules)
}

fn of_modifier(class: &str, modifier: &Modifier) -> Result<Vec<Rule>, String> {
    let rule = |target: &String, says: String| {
        // A class of modules would be a target as well, but none is called like a path.
        let matcher = match target.strip_prefix("re:") {
            Some(pattern) => Matcher::at_start(pattern)?,
            None => Matcher::Whole(target.clone()),
        };
        Ok(Rule { pattern: target.clone(), matcher, says })
    };
    let Modifier { config_groups, sparsity, mask_structure, targets } = modifier;
    match (class, config_groups, sparsity, targets) {
        (INTEGERS | FLOATS, Some(groups), None, None) => {
            let mut rules = Vec::new();
            for (name, group) in &groups.0 {
                let stored = group.weights.stored().ok_or_else(|| format!("the group {name:?} has no known level"))?;
                for target in &group.targets {
                    rules.push(rule(target, in_words(Choice::Stored(stored)))?);
                }
            }
            Ok(rules)
        }
        (PRUNING, None, Some(share), Some(targets)) if mask_structure.as_deref() == Some("0:0") => {
            targets.iter().map(|target| rule(target, in_words(Choice::Sparsity(*share)))).collect()
        }
        _ => Err(format!("{class} is no modifier that this plan has")),
    }
}
