//! GPTQModel: GPTQ with bits and groups for every module, in a form that vLLM loads.
//!
//! # Files
//! `quantize_config.json`: the base level, and under `dynamic` a rule for every module that differs from it.
//!
//! # Command
//! `QuantizeConfig(**json.load(open("quantize_config.json")))` for `GPTQModel.load`, then `quantize` with a calibration set.
//!
//! # Bytes
//! As the checkpoint has it: columns x bits / 8 per row of weights; for every group of columns 2 bytes of scale per row and rows x
//! bits / 8 of zero points, which are stored for symmetric levels too; 4 bytes per column that say which group it belongs to. Weights
//! of a row and zero points of a group are rounded up to 4 bytes. A matrix that is left as it is: 2 bytes per weight.
//!
//! # Traps
//! A pattern has to match from the start of the name and may end before it does; the first that matches counts, `-:` rules (left as
//! it is) before all others. GPTQModel asks for `q_proj`, vLLM for what it joins, `qkv_proj` and `gate_up_proj`: a rule for `q_proj`
//! alone never fires there and the model does not load. So q, k and v share a rule that names both, and so do gate and up,
//! and all experts of a layer. vLLM has kernels for 2, 3, 4 and 8 bits (its fast ones for 4 and 8). Transformers does not load
//! `dynamic` models. A group has to divide a row. A prefix that a runtime puts before the checkpoint's names is not seen from here.
//!
//! # Source
//! GPTQModel 7.7.0, `gptqmodel/quantization/config.py` (`_resolve_dynamic_override`); vLLM, `quantization/utils/gptq_utils.py`
//! (`get_dynamic_override`).

use serde::{Deserialize, Serialize};

use super::dry_run::{Matcher, Rule, Subject, Wins, dry_run, escaped};
use super::modules::{
    Joined, Module, check_joined, joined, mismatch, modules, most_common, other_modules, subjects, text_of,
};
use super::pairs::Pairs;
use super::{Client, Dialect, Fuse, Recipe};
use crate::{Kind, Plan, PlanError, Stored};

pub(super) static CLIENT: Client = Client {
    id: "gptqmodel",
    title: "GPTQModel, for vLLM",
    source: include_str!("gptqmodel.rs"),
    kinds: &[Kind::Bits],
    types: &[
        "int2-sym:g128",
        "int2:g128",
        "int2-sym:g64",
        "int2:g64",
        "int2-sym:g32",
        "int2:g32",
        "int3-sym:g128",
        "int3:g128",
        "int3-sym:g64",
        "int3:g64",
        "int3-sym:g32",
        "int3:g32",
        "int4-sym:g128",
        "int4:g128",
        "int4-sym:g64",
        "int4:g64",
        "int4-sym:g32",
        "int4:g32",
        "int8-sym:g128",
        "int8:g128",
        "int8-sym:g64",
        "int8:g64",
        "int8-sym:g32",
        "int8:g32",
        "original",
    ],
    usual: &["int3-sym:g64", "int4-sym:g64", "int8-sym:g64"],
    dialect: Dialect::HuggingFace,
    fuse: Fuse::Demanded,
    fits: |stored, columns| !matches!(stored, Stored::Integer { group, .. } if !columns.is_multiple_of(group)),
    bytes,
    write,
    check,
};

const FILE: &str = "quantize_config.json";
const LEFT_ALONE: &str = "left as it is";

fn bytes(stored: Stored, rows: u64, columns: u64) -> u64 {
    let Stored::Integer { bits, group, .. } = stored else { return stored.bytes(rows, columns) };
    let words = |count: u64| count.saturating_mul(bits.into()).div_ceil(32).saturating_mul(4);
    let groups = columns.div_ceil(group.max(1));
    let weights = words(columns).saturating_mul(rows);
    let per_group = words(rows).saturating_add(rows.saturating_mul(2));
    weights.saturating_add(groups.saturating_mul(per_group)).saturating_add(columns.saturating_mul(4))
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Level {
    bits: u32,
    group_size: u64,
    sym: bool,
}

impl Level {
    fn of(module: &Module<'_>) -> Option<Self> {
        match module.stored()? {
            Stored::Integer { bits, group, symmetric } => Some(Self { bits, group_size: group, sym: symmetric }),
            _ => None,
        }
    }

    fn in_words(level: Option<Self>) -> String {
        level.map_or(LEFT_ALONE.to_owned(), |Self { bits, group_size, sym }| {
            format!("int{bits}{}:g{group_size}", if sym { "-sym" } else { "" })
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Config {
    bits: u32,
    group_size: u64,
    sym: bool,
    desc_act: bool,
    dynamic: Pairs<Pairs<serde_json::Value>>,
}

/// Modules that one rule is for.
struct Group<'a> {
    modules: Vec<Module<'a>>,
    joined: Joined,
}

impl Group<'_> {
    fn level(&self) -> Option<Level> {
        Level::of(&self.modules[0])
    }

    /// The part of the names that is the same, with its dot, and what differs.
    fn split(&self) -> Option<(&str, Vec<&str>)> {
        let (stem, _) = self.modules[0].name().rsplit_once('.')?;
        let ends = self.modules.iter().map(|module| module.name().strip_prefix(stem)?.strip_prefix('.'));
        Some((stem, ends.collect::<Option<Vec<_>>>()?))
    }

    /// What vLLM calls the modules once it has joined them.
    fn joined_name(&self) -> Option<String> {
        let whole = match self.joined {
            Joined::QueryKeyValue => "qkv_proj",
            Joined::GateUp => "gate_up_proj",
            Joined::Experts => return Some(self.modules[0].name().split_once(".experts.")?.0.to_owned() + ".experts"),
            Joined::Alone(_) => return None,
        };
        let (stem, ends) = self.split()?;
        (ends.len() > 1 && ends.iter().all(|end| end.ends_with("_proj"))).then(|| format!("{stem}.{whole}"))
    }

    fn pattern(&self) -> Result<String, PlanError> {
        let first = self.modules[0].name();
        let stem = |stem: &str| escaped(stem);
        let is_stack =
            |module: &Module<'_>| module.cells.iter().any(|cell| cell.id.expert != module.cells[0].id.expert);
        let experts = self.joined_name().filter(|_| !self.modules.iter().any(is_stack));
        match (self.joined, experts, self.split()) {
            (Joined::Experts, Some(experts), _) => {
                let mut ends: Vec<&str> = self.modules.iter().filter_map(|m| m.name().rsplit('.').next()).collect();
                ends.sort_unstable();
                ends.dedup();
                Ok(format!(r"^{}(?:\.\d+\.(?:{}))?$", stem(&experts), ends.join("|")))
            }
            (Joined::Experts, None, _) => {
                let reason =
                    format!("{first} is a stack of experts, which GPTQModel takes apart under names of its own");
                Err(mismatch(&CLIENT, FILE, reason))
            }
            (joined, Some(_), Some((place, ends))) => {
                let whole = if joined == Joined::QueryKeyValue { "qkv" } else { "gate_up" };
                let parts: Vec<&str> = ends.iter().map(|end| end.trim_end_matches("_proj")).chain([whole]).collect();
                Ok(format!(r"^{}\.(?:{})_proj$", stem(place), parts.join("|")))
            }
            (_, _, Some((place, ends))) if ends.len() > 1 => {
                let ends: Vec<String> = ends.iter().map(|end| escaped(end)).collect();
                Ok(format!(r"^{}\.(?:{})$", stem(place), ends.join("|")))
            }
            _ => Ok(format!("^{}$", stem(first))),
        }
    }
}

/// Modules that vLLM joins, together.
fn groups(plan: &Plan) -> Result<Vec<Group<'_>>, PlanError> {
    check_joined(plan, &CLIENT)?;
    let mut groups: Vec<(u32, Group<'_>)> = Vec::new();
    for module in modules(plan, &CLIENT)? {
        let (layer, joined) = (module.cells[0].id.layer, joined(module.cells[0]));
        match groups.iter_mut().rev().take_while(|(l, _)| *l == layer).find(|(_, group)| group.joined == joined) {
            Some((_, group)) => group.modules.push(module),
            None => groups.push((layer, Group { modules: vec![module], joined })),
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

fn base(groups: &[Group<'_>]) -> Result<Level, PlanError> {
    let levels = groups.iter().flat_map(|group| &group.modules).filter_map(Level::of);
    most_common(levels).ok_or_else(|| mismatch(&CLIENT, FILE, "nothing is quantized"))
}

fn write(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    let groups = groups(plan)?;
    let base = base(&groups)?;
    let mut dynamic = Vec::new();
    for group in groups.iter().filter(|group| group.level() != Some(base)) {
        let pattern = group.pattern()?;
        let level = |level: Level| {
            let Level { bits, group_size, sym } = level;
            vec![("bits", bits.into()), ("group_size", group_size.into()), ("sym", sym.into())]
        };
        let (sign, says) = group.level().map_or(("-", Vec::new()), |of_group| ("+", level(of_group)));
        let says = says.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        dynamic.push((format!("{sign}:{pattern}"), Pairs(says)));
    }
    let Level { bits, group_size, sym } = base;
    let config = Config { bits, group_size, sym, desc_act: false, dynamic: Pairs(dynamic) };
    let text = tomo_map::json_lines(&config).map_err(|e| mismatch(&CLIENT, FILE, e.to_string()))?;
    let usage = format!("QuantizeConfig(**json.load(open({FILE:?}))) for GPTQModel.load");
    Ok(vec![Recipe { name: FILE.to_owned(), usage, text }])
}

fn check(plan: &Plan, files: &[Recipe]) -> Result<(), PlanError> {
    let failed = |reason: String| mismatch(&CLIENT, FILE, reason);
    let config: Config = serde_json::from_str(text_of(&CLIENT, files, FILE)?).map_err(|e| failed(e.to_string()))?;
    let groups = groups(plan)?;
    let base = Level { bits: config.bits, group_size: config.group_size, sym: config.sym };
    let rules = rules(&config, base).map_err(failed)?;
    // Rules that say what the base says anyway have no place, so a module of that level wants none.
    let wants = |level: Option<Level>| (level != Some(base)).then(|| Level::in_words(level));
    let mut all = Vec::new();
    for group in &groups {
        all.extend(subjects(&group.modules, |module| wants(Level::of(module))));
        let what = format!("{} and what is joined with it", group.modules[0].what());
        all.extend(group.joined_name().map(|name| Subject { name, what, wants: wants(group.level()) }));
    }
    all.extend(other_modules(plan, &CLIENT));
    dry_run(&rules, Wins::First, &all).map_err(failed)
}

/// The rules in the order they are looked at: those that leave a module alone come first.
fn rules(config: &Config, base: Level) -> Result<Vec<Rule>, String> {
    let rule = |(key, says): &(String, Pairs<serde_json::Value>)| {
        let (left_alone, pattern) = match key.strip_prefix("-:") {
            Some(pattern) => (true, pattern),
            None => (false, key.strip_prefix("+:").unwrap_or(key)),
        };
        let number = |key: &str, otherwise: u64| says.get(key).map_or(Some(otherwise), |v| v.as_u64());
        let bits = number("bits", base.bits.into()).and_then(|bits| u32::try_from(bits).ok());
        let sym = says.get("sym").map_or(Some(base.sym), |v| v.as_bool());
        let (Some(bits), Some(group_size), Some(sym)) = (bits, number("group_size", base.group_size), sym) else {
            return Err(format!("the rule {key:?} has no numbers where some should be"));
        };
        let says = Level::in_words((!left_alone).then_some(Level { bits, group_size, sym }));
        Ok((left_alone, Rule { pattern: key.clone(), matcher: Matcher::at_start(pattern)?, says }))
    };
    let mut rules = config.dynamic.0.iter().map(rule).collect::<Result<Vec<_>, String>>()?;
    rules.sort_by_key(|(left_alone, _)| !left_alone);
    Ok(rules.into_iter().map(|(_, rule)| rule).collect())
}
