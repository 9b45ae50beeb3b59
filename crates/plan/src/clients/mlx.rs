//! MLX: mlx-lm's quantization with bits and groups for every module.
//!
//! # Files
//! `config.json`: the blocks `quantization` and `quantization_config` that the converted model's config.json carries. `convert.py`
//! makes that model with mlx-lm, which has no command for a plan. `sensitivities.json`, where the plan has two levels of bits and
//! nothing left as it is: the same plan for the stock command `mlx_lm.dynamic_quant`.
//!
//! # Command
//! `python convert.py MODEL OUT`, with `config.json` beside the script.
//!
//! # Bytes
//! rows x columns x bits / 8, and 4 bytes per group: scale and bias of 16 bits. A matrix that is left as it is: 2 bytes per weight.
//!
//! # Traps
//! A row has to be a whole number of groups, and of groups of the base level, or mlx-lm leaves the module as it is and says nothing.
//! Embeddings, heads and routers are quantized with the rest unless they are named: those the plan leaves alone are `false` here.
//! `dynamic_quant` cannot leave anything alone; it stores them in the low bits, so that its model is smaller than the plan says.
//! Its search for a threshold ends between the levels 0 and 1 for any `--target-bpw`. Experts are stacked there (`switch_mlp`):
//! those of one projection are stored alike. Not every mlx-lm model names its modules as the checkpoint does.
//!
//! # Source
//! mlx-lm 0.32.2, `utils.py` (`quantize_model`, `load_model`), `quant/dynamic_quant.py`, `models/qwen3_moe.py`, `models/mixtral.py`.

use serde_json::{Value, json};
use tomo_map::Component;

use super::dry_run::{Matcher, Rule, Subject, Wins, dry_run};
use super::modules::{Module, is_plain, mismatch, modules_named, most_common, others, text_of};
use super::pairs::Pairs;
use super::{Client, Dialect, Fuse, Recipe};
use crate::{Decision, Kind, OtherDecision, Plan, PlanError, Stored};

pub(super) static CLIENT: Client = Client {
    id: "mlx",
    title: "MLX (mlx-lm)",
    source: include_str!("mlx.rs"),
    kinds: &[Kind::Bits],
    types: &[
        "int2:g128",
        "int2:g64",
        "int2:g32",
        "int3:g128",
        "int3:g64",
        "int3:g32",
        "int4:g128",
        "int4:g64",
        "int4:g32",
        "int5:g128",
        "int5:g64",
        "int5:g32",
        "int6:g128",
        "int6:g64",
        "int6:g32",
        "int8:g128",
        "int8:g64",
        "int8:g32",
        "original",
    ],
    usual: &["int2:g64", "int3:g64", "int4:g64", "int5:g64", "int6:g64", "int8:g64"],
    dialect: Dialect::HuggingFace,
    fuse: Fuse::Free,
    fits: |stored, columns| !matches!(stored, Stored::Integer { group, .. } if !columns.is_multiple_of(group)),
    bytes,
    write,
    check,
};

const CONFIG: &str = "config.json";
const CONVERT: &str = "convert.py";
const SENSITIVITIES: &str = "sensitivities.json";
const TOP: &[&str] = &["group_size", "bits", "mode"];
const LEFT_ALONE: &str = "left as it is";

const SCRIPT: &str = r#""""python convert.py MODEL OUT: stores MODEL as config.json beside this script says."""
import json
import sys
from pathlib import Path

from mlx_lm.convert import convert

levels = json.loads(Path(__file__).with_name("config.json").read_text())["quantization"]
convert(
    sys.argv[1],
    sys.argv[2],
    quantize=True,
    q_group_size=levels["group_size"],
    q_bits=levels["bits"],
    q_mode=levels["mode"],
    quant_predicate=lambda path, module: levels.get(path, True),
)
"#;

fn bytes(stored: Stored, rows: u64, columns: u64) -> u64 {
    match stored {
        Stored::Integer { bits, group, .. } => {
            let row = (columns * u64::from(bits)).div_ceil(8) + 4 * columns.div_ceil(group.max(1));
            rows.saturating_mul(row)
        }
        other => other.bytes(rows, columns),
    }
}

/// Bits and group of a level that MLX has.
fn level(stored: Stored) -> Option<(u32, u64)> {
    match stored {
        Stored::Integer { bits, group, symmetric: false } => Some((bits, group)),
        _ => None,
    }
}

/// The path of a cell's module: that of its tensor, but for experts, which MLX stacks by projection.
fn path(plan: &Plan, cell: &Decision) -> Option<String> {
    let tensor = cell.names.hugging_face.as_deref()?;
    let (Some(_), Some((mlp, _))) = (cell.id.expert, tensor.split_once(".experts.")) else {
        return Some(tensor.to_owned());
    };
    let mlp = match mlp.strip_suffix(".mlp") {
        Some(layer) if plan.about.family == "mixtral" => format!("{layer}.block_sparse_moe"),
        _ => mlp.to_owned(),
    };
    let projection = match cell.id.component {
        Component::MlpUp => "up_proj",
        Component::MlpDown => "down_proj",
        Component::MlpGate => "gate_proj",
        _ => return None,
    };
    Some(format!("{mlp}.switch_mlp.{projection}.weight"))
}

/// Everything MLX would quantize, with its level.
struct Levels<'a> {
    cells: Vec<Module<'a>>,
    others: Vec<(&'a str, &'a OtherDecision, Option<(u32, u64)>)>,
    base: (u32, u64),
}

impl<'a> Levels<'a> {
    fn of(plan: &'a Plan) -> Result<Self, PlanError> {
        let cells = modules_named(plan, &CLIENT, |cell| path(plan, cell))?;
        let matrix = |(name, other): (&'a str, &'a OtherDecision)| {
            let name = name.strip_suffix(".weight").filter(|_| other.shape.len() >= 2)?;
            Some((name, other, other.stored.parse().ok().and_then(level)))
        };
        let others: Vec<_> = others(plan, &CLIENT).filter_map(matrix).collect();
        if let Some((name, other, _)) = others.iter().find(|(name, ..)| !is_plain(name)) {
            return Err(PlanError::Unwritable { cell: other.role.clone(), name: format!("{name:?}") });
        }
        let base = most_common(cells.iter().filter_map(|module| level(module.stored()?)));
        let base = base.ok_or_else(|| mismatch(&CLIENT, CONFIG, "nothing is quantized"))?;
        let of_other = |other: &(&str, &OtherDecision, Option<(u32, u64)>)| other.2.map(|_| columns_of_other(other.1));
        let rows = cells.iter().filter(|m| m.stored().and_then(level).is_some()).map(|m| m.cells[0].in_features);
        if let Some(columns) = rows.chain(others.iter().filter_map(of_other)).find(|n| !n.is_multiple_of(base.1)) {
            let reason =
                format!("rows of {columns} weights are no whole number of groups of the base level, {}", base.1);
            return Err(mismatch(&CLIENT, CONFIG, reason));
        }
        Ok(Self { cells, others, base })
    }

    /// Every module with its level.
    fn all(&self) -> impl Iterator<Item = (&str, Option<(u32, u64)>)> {
        let cells = self.cells.iter().map(|module| (module.name(), module.stored().and_then(level)));
        cells.chain(self.others.iter().map(|(name, _, level)| (*name, *level)))
    }

    /// Low and high, where the plan is one of two levels of cells.
    fn two(&self) -> Option<((u32, u64), (u32, u64))> {
        let levels: Option<Vec<_>> = self.cells.iter().map(|module| module.stored().and_then(level)).collect();
        let levels = levels?;
        let (low, high) = (*levels.iter().min()?, *levels.iter().max()?);
        (low != high && levels.iter().all(|level| [low, high].contains(level))).then_some((low, high))
    }
}

fn columns_of_other(other: &OtherDecision) -> u64 {
    other.shape.last().copied().unwrap_or(0)
}

fn write(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    let levels = Levels::of(plan)?;
    let (bits, group) = levels.base;
    let mut block = vec![
        ("group_size".to_owned(), json!(group)),
        ("bits".to_owned(), json!(bits)),
        ("mode".to_owned(), json!("affine")),
    ];
    for (name, level) in levels.all().filter(|(_, level)| *level != Some(levels.base)) {
        let value = level.map_or(json!(false), |(bits, group)| json!({"group_size": group, "bits": bits}));
        block.push((name.to_owned(), value));
    }
    let block = Pairs(block);
    let config = Pairs(vec![("quantization".to_owned(), block.clone()), ("quantization_config".to_owned(), block)]);
    let recipe = |name: &str, usage: String, text: String| Recipe { name: name.to_owned(), usage, text };
    let config = tomo_map::json_lines(&config).map_err(|e| mismatch(&CLIENT, CONFIG, e.to_string()))?;
    let mut files = vec![
        recipe(CONFIG, "the quantization blocks of the converted model's config.json".to_owned(), config),
        recipe(CONVERT, format!("python {CONVERT} MODEL OUT"), SCRIPT.to_owned()),
    ];
    if let Some((low, high)) = levels.two() {
        let value = |level: Option<(u32, u64)>| if level == Some(high) { 1.0 } else { 0.0 };
        let list: Vec<String> = levels.all().map(|(name, level)| json!([name, value(level)]).to_string()).collect();
        let text = format!("[\n {}\n]\n", list.join(",\n "));
        files.push(recipe(SENSITIVITIES, dynamic_quant(plan, &levels, low, high), text));
    }
    Ok(files)
}

fn dynamic_quant(plan: &Plan, levels: &Levels<'_>, low: (u32, u64), high: (u32, u64)) -> String {
    let (mut bits, mut weights) = (0.0, 0.0);
    let mut add = |numel: u64, (b, group): (u32, u64)| {
        bits += numel as f64 * (f64::from(b) + 32.0 / group as f64);
        weights += numel as f64;
    };
    for module in &levels.cells {
        let level = module.stored().and_then(level).unwrap_or(low);
        module.cells.iter().for_each(|cell| add(cell.numel(), level));
    }
    for (_, other, level) in &levels.others {
        add(other.shape.iter().product(), level.unwrap_or(low));
    }
    for other in plan.others.iter().filter(|other| other.shape.len() < 2) {
        let numel: u64 = other.shape.iter().product();
        bits += 16.0 * numel as f64;
        weights += numel as f64;
    }
    format!(
        "python -m mlx_lm.quant.dynamic_quant --model MODEL --sensitivities {SENSITIVITIES} --target-bpw {:.3} --low-bits {} \
         --low-group-size {} --high-bits {} --high-group-size {}; it stores embeddings and heads in {} bits, whatever the plan says",
        bits / weights,
        low.0,
        low.1,
        high.0,
        high.1,
        low.0
    )
}

fn in_words(level: Option<(u32, u64)>) -> String {
    level.map_or(LEFT_ALONE.to_owned(), |(bits, group)| format!("int{bits}:g{group}"))
}

fn check(plan: &Plan, files: &[Recipe]) -> Result<(), PlanError> {
    let levels = Levels::of(plan)?;
    check_config(&levels, text_of(&CLIENT, files, CONFIG)?).map_err(|reason| mismatch(&CLIENT, CONFIG, reason))?;
    match (levels.two(), text_of(&CLIENT, files, SENSITIVITIES)) {
        (None, Err(_)) => Ok(()),
        (None, Ok(_)) => Err(mismatch(&CLIENT, SENSITIVITIES, "the plan has more than two levels")),
        (Some(_), Err(missing)) => Err(missing),
        (Some((_, high)), Ok(text)) => {
            check_sensitivities(&levels, high, text).map_err(|reason| mismatch(&CLIENT, SENSITIVITIES, reason))
        }
    }
}

fn check_config(levels: &Levels<'_>, text: &str) -> Result<(), String> {
    let config: Pairs<Pairs<Value>> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let block = config.get("quantization").ok_or("there is no block quantization")?;
    if config.get("quantization_config") != Some(block) {
        return Err("quantization_config differs from quantization".to_owned());
    }
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64);
    let level = |value: &Value| Some((u32::try_from(number(value, "bits")?).ok()?, number(value, "group_size")?));
    let (scalars, paths): (Vec<_>, Vec<_>) = block.0.iter().partition(|(key, _)| TOP.contains(&key.as_str()));
    let top = Value::Object(scalars.into_iter().cloned().collect());
    if level(&top) != Some(levels.base) || top.get("mode") != Some(&json!("affine")) {
        return Err(format!("the base level is not {}", in_words(Some(levels.base))));
    }
    let rule = |(path, value): &(String, Value)| {
        let says = match value {
            Value::Bool(false) => None,
            value => Some(level(value).ok_or_else(|| format!("{path:?} has no bits and group"))?),
        };
        Ok(Rule { pattern: path.clone(), matcher: Matcher::Whole(path.clone()), says: in_words(says) })
    };
    let rules = paths.into_iter().map(rule).collect::<Result<Vec<Rule>, String>>()?;
    let wants = |level: Option<(u32, u64)>| (level != Some(levels.base)).then(|| in_words(level));
    let subject =
        |(name, level): (&str, _)| Subject { name: name.to_owned(), what: "module".to_owned(), wants: wants(level) };
    dry_run(&rules, Wins::First, &levels.all().map(subject).collect::<Vec<_>>())
}

/// The search for the threshold halves 0 to 1 until a thousandth is left, so that whatever is above 0 and below 1 is met.
fn check_sensitivities(levels: &Levels<'_>, high: (u32, u64), text: &str) -> Result<(), String> {
    let list: Vec<(String, f64)> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    for (name, level) in levels.all() {
        let mut found = list.iter().filter(|(path, _)| path == name);
        let (Some((_, value)), None) = (found.next(), found.next()) else {
            return Err(format!("{name} has no entry, or several"));
        };
        if (*value > 0.999) != (level == Some(high)) || (*value > 0.001) != (level == Some(high)) {
            return Err(format!("{name} would be {}", if *value > 0.5 { "high" } else { "low" }));
        }
    }
    Ok(())
}
