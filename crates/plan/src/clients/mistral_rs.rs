//! mistral.rs: in-situ quantization with a topology.
//!
//! # Files
//! `topology.yml`: one expression per tensor with its type.
//!
//! # Command
//! `mistralrs serve --topology topology.yml -m MODEL`; with `mistralrs quantize` the types are kept in the UQFF file.
//!
//! # Bytes
//! rows x (columns / elements of a block) x bytes of a block, as in GGUF; of `fp8` one byte per weight and a scale of 4 bytes.
//!
//! # Traps
//! Where a row is no whole number of blocks, mistral.rs falls back in its own way (`Q4K` to `Q4_1`, `Q6K` to `Q5_1`). So the recipe
//! asks for the type that llama-quantize would fall back to, which divides the row. Expressions are searched for anywhere in the
//! name with `.weight`; of several that match, the last counts. What no expression matches keeps its type unless `--isq` is given,
//! which should not be. On CUDA builds `F8Q8` and IQ types do not exist. How stacked experts are called inside mistral.rs
//! differs by model, so plans with experts are refused.
//!
//! # Source
//! mistral.rs 9e92262, `mistralrs-core/src/topology/mod.rs`, `mistralrs-core/src/pipeline/isq.rs` (`parse_isq_value`),
//! `mistralrs-quant/src/utils/isq.rs` (`get_fallback`), `mistralrs-quant/src/lib.rs` (`resolve_immediate_isq`).

use serde::Deserialize;

use super::dry_run::{Matcher, Rule, Subject, Wins, dry_run, escaped};
use super::modules::{Module, mismatch, modules, others, text_of};
use super::pairs::Pairs;
use super::{Client, Dialect, Fuse, Recipe};
use crate::{Kind, Plan, PlanError, Stored};

pub(super) static CLIENT: Client = Client {
    id: "mistral.rs",
    title: "mistral.rs (topology)",
    source: include_str!("mistral_rs.rs"),
    kinds: &[Kind::Bits],
    types: &[
        "q2_k", "q3_k", "mxfp4", "q4_0", "q4_k", "q4_1", "q5_0", "q5_k", "q5_1", "q6_k", "fp8", "q8_0", "original",
    ],
    usual: &["q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "q8_0"],
    dialect: Dialect::HuggingFace,
    fuse: Fuse::Free,
    fits: |stored, columns| isq(stored.on(columns)).is_some() || matches!(stored, Stored::Original { .. }),
    bytes: |stored, rows, columns| stored.bytes(rows, columns) + if stored == Stored::Fp8 { 4 } else { 0 },
    write,
    check,
};

const FILE: &str = "topology.yml";

/// The name of a type there.
fn isq(stored: Stored) -> Option<String> {
    match stored {
        Stored::Fp8 => Some("FP8".to_owned()),
        Stored::Block(block) if block.id.starts_with('q') || block.id == "mxfp4" => {
            Some(block.title.replace("_K", "K"))
        }
        _ => None,
    }
}

fn type_of(module: &Module<'_>) -> Option<String> {
    isq(module.stored()?.on(module.cells[0].in_features))
}

fn write(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    let mut text = String::new();
    for module in without_experts(plan)? {
        if let Some(ty) = type_of(&module) {
            text += &format!("'/^{}$/':\n  isq: {ty}\n", escaped(&module.tensor));
        }
    }
    let usage = format!("mistralrs serve --topology {FILE} -m MODEL");
    Ok(vec![Recipe { name: FILE.to_owned(), usage, text }])
}

fn without_experts(plan: &Plan) -> Result<Vec<Module<'_>>, PlanError> {
    match plan.cells.iter().find(|cell| cell.id.expert.is_some()) {
        Some(cell) => Err(mismatch(&CLIENT, FILE, format!("{}: experts have other names inside mistral.rs", cell.id))),
        None => modules(plan, &CLIENT),
    }
}

#[derive(Deserialize)]
struct Entry {
    isq: String,
}

fn check(plan: &Plan, files: &[Recipe]) -> Result<(), PlanError> {
    let failed = |reason: String| mismatch(&CLIENT, FILE, reason);
    let text = text_of(&CLIENT, files, FILE)?;
    let entries: Pairs<Entry> = serde_saphyr::from_str(text).map_err(|e| failed(e.to_string()))?;
    let rule = |(selector, entry): &(String, Entry)| {
        let pattern = selector.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let pattern = pattern.ok_or_else(|| format!("{selector:?} is no expression between slashes"))?;
        Ok(Rule { matcher: Matcher::search(pattern)?, pattern: selector.clone(), says: entry.isq.to_ascii_lowercase() })
    };
    let rules = entries.0.iter().map(rule).collect::<Result<Vec<Rule>, String>>().map_err(failed)?;
    let mut subjects = Vec::new();
    for module in without_experts(plan)? {
        let wants = type_of(&module).map(|ty| ty.to_ascii_lowercase());
        subjects.push(Subject { what: module.what(), wants, name: module.tensor });
    }
    let other = others(plan, &CLIENT);
    subjects.extend(other.map(|(name, o)| Subject { name: name.to_owned(), what: o.role.clone(), wants: None }));
    dry_run(&rules, Wins::Last, &subjects).map_err(failed)
}
