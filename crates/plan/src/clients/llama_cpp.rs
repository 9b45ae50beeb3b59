//! llama.cpp: llama-quantize with a type for every tensor.
//!
//! # Files
//! `tensor-types.txt` is for `--tensor-type-file`: one `PATTERN=TYPE` per tensor. `quantize.sh` is the whole command line with it.
//! `quantize-flags.sh` says the same in repeated `--tensor-type`, for builds before the file could be given (early 2026).
//!
//! # Command
//! `sh quantize.sh IN.gguf OUT.gguf`, where further flags may follow: `--imatrix FILE`, and `--allow-requantize` where IN.gguf is
//! quantized already. It runs llama-quantize with `--dry-run` first, which prints the size of the file to come.
//! `LLAMA_QUANTIZE` names another program than `llama-quantize` in the path.
//!
//! # Bytes
//! rows x (columns / elements of a block) x bytes of a block. Where a row is no whole number of blocks of 256, of the type that
//! llama-quantize falls back to; that type is what the recipe asks for.
//!
//! # Traps
//! A pattern ends at the first `=`, is lower-cased and searched for anywhere in the name, so that these are anchored and escaped.
//! The first pattern that matches counts, between July 2025 and the rework of llama-quant.cpp it was the last: no two match the same
//! tensor. Overrides are ignored where the base type is none of the quantized ones, and builds before May 2026 ignore an override that
//! equals it: the base is a quantized type that no tensor has. `--token-embedding-type` and `--output-tensor-type` are
//! stronger than patterns and know no fallback, so they are given the final type. A file read by the flag has no comments.
//! Tensors that hold no cell but would be quantized have a pattern too.
//!
//! # Source
//! llama.cpp 0c1e57098, `tools/quantize/quantize.cpp` (`parse_tensor_type`, `parse_tensor_type_file`), `src/llama-quant.cpp`
//! (`llama_tensor_get_type`, `tensor_type_fallback`, `tensor_allows_quantization`).

use std::fmt::Write as _;

use super::dry_run::{Matcher, Rule, Subject, Wins, dry_run, escaped};
use super::modules::{Module, is_plain, mismatch, modules, others, text_of};
use super::{Client, Dialect, Fuse, Recipe};
use crate::{Kind, OtherDecision, Plan, PlanError, Stored};

pub(super) static CLIENT: Client = Client {
    id: "llama.cpp",
    title: "llama.cpp (llama-quantize)",
    source: include_str!("llama_cpp.rs"),
    kinds: &[Kind::Bits],
    types: &[
        "q2_k", "q3_k", "mxfp4", "iq4_xs", "iq4_nl", "q4_0", "q4_k", "q4_1", "q5_0", "q5_k", "q5_1", "q6_k", "q8_0",
        "bf16", "f16", "f32",
    ],
    usual: &["q2_k", "q3_k", "iq4_xs", "q4_k", "q5_k", "q6_k", "q8_0"],
    dialect: Dialect::Gguf,
    fuse: Fuse::Free,
    fits: |_, _| true,
    bytes: |stored, rows, columns| stored.bytes(rows, columns),
    write,
    check,
};

const TYPES_FILE: &str = "tensor-types.txt";
const SCRIPT: &str = "quantize.sh";
const FLAGS_SCRIPT: &str = "quantize-flags.sh";
const EMBEDDING: (&str, &str) = ("token_embd.weight", "--token-embedding-type");
const HEAD: (&str, &str) = ("output.weight", "--output-tensor-type");

/// Mixtures with the type that tensors get by default; the first that no tensor has becomes the base. All of them do without an
/// imatrix.
const BASES: &[(&str, &str)] = &[
    ("Q4_0", "q4_0"),
    ("Q8_0", "q8_0"),
    ("Q5_1", "q5_1"),
    ("Q5_0", "q5_0"),
    ("Q4_1", "q4_1"),
    ("Q4_K_S", "q4_k"),
    ("Q6_K", "q6_k"),
    ("Q5_K_S", "q5_k"),
    ("Q3_K_S", "q3_k"),
    ("IQ4_NL", "iq4_nl"),
    ("IQ4_XS", "iq4_xs"),
    ("TQ2_0", "tq2_0"),
];

/// What is asked for: types of tensors by name, those of embedding and head, and the base.
struct Asked {
    types: Vec<(String, String)>,
    flags: Vec<(&'static str, String)>,
    base: &'static str,
}

fn write(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    let asked = asked(plan)?;
    let lines: Vec<String> = asked.types.iter().map(|(name, ty)| format!("^{}$={ty}", escaped(name))).collect();
    let flags: String = asked.flags.iter().map(|(flag, ty)| format!(" {flag} {ty}")).collect();
    let file = format!(" --tensor-type-file \"$(dirname \"$0\")/{TYPES_FILE}\"{flags}");
    let repeated = lines.iter().fold(flags, |text, line| text + &format!(" \\\n    --tensor-type '{line}'"));
    let usage = "more flags may follow, --imatrix FILE or --allow-requantize";
    let recipe = |name: &str, usage: String, text: String| Recipe { name: name.to_owned(), usage, text };
    Ok(vec![
        recipe(TYPES_FILE, format!("llama-quantize --tensor-type-file {TYPES_FILE}"), lines.join("\n") + "\n"),
        recipe(SCRIPT, format!("sh {SCRIPT} IN.gguf OUT.gguf; {usage}"), script(SCRIPT, &file, asked.base)),
        recipe(
            FLAGS_SCRIPT,
            format!("sh {FLAGS_SCRIPT} IN.gguf OUT.gguf, for builds before --tensor-type-file; {usage}"),
            script(FLAGS_SCRIPT, &repeated, asked.base),
        ),
    ])
}

fn script(name: &str, flags: &str, base: &str) -> String {
    let mut text = format!("#!/bin/sh\n# sh {name} IN.gguf OUT.gguf [--imatrix FILE] [--allow-requantize]\nset -eu\n");
    text.push_str("in=$1 out=$2\nshift 2\nquantize=${LLAMA_QUANTIZE:-llama-quantize}\n");
    let _ = writeln!(text, "set -- \"$@\"{flags}");
    if name == SCRIPT {
        let _ = writeln!(text, "\"$quantize\" --dry-run \"$@\" \"$in\" {base}");
    }
    let _ = writeln!(text, "\"$quantize\" \"$@\" \"$in\" \"$out\" {base}");
    text
}

fn asked(plan: &Plan) -> Result<Asked, PlanError> {
    let mut types = Vec::new();
    for module in modules(plan, &CLIENT)? {
        types.extend(type_of(&module).map(|ty| (module.tensor.clone(), ty)));
    }
    let mut flags = Vec::new();
    for (name, other) in others(plan, &CLIENT).filter(|(name, other)| is_quantized(name, &other.shape)) {
        let ty = other_type(name, other)?;
        match [EMBEDDING, HEAD].iter().find(|(tensor, _)| *tensor == name) {
            Some((_, flag)) => flags.push((*flag, ty)),
            None => types.push((name.to_owned(), ty)),
        }
    }
    let taken = |ty: &str| types.iter().any(|(_, taken)| taken == ty);
    let base = BASES.iter().find(|(_, ty)| !taken(ty));
    let base =
        base.ok_or_else(|| mismatch(&CLIENT, SCRIPT, "every type that could be the base is a type of the plan"))?;
    Ok(Asked { base: base.0, types, flags })
}

/// What a matrix becomes there: rows that blocks do not divide get a smaller type.
fn type_of(module: &Module<'_>) -> Option<String> {
    let columns = module.cells[0].in_features;
    match module.stored()?.on(columns) {
        Stored::Block(block) => Some(block.id.to_owned()),
        _ => None,
    }
}

fn other_type(name: &str, other: &OtherDecision) -> Result<String, PlanError> {
    let ty = other.stored.to_ascii_lowercase();
    if is_plain(&ty) && is_plain(name) {
        return Ok(ty);
    }
    Err(PlanError::Unwritable { cell: other.role.clone(), name: format!("{name:?} of type {:?}", other.stored) })
}

/// Whether llama-quantize would change the type of a tensor, of those that models of the known families have.
fn is_quantized(name: &str, shape: &[u64]) -> bool {
    let left_alone =
        ["_norm.weight", "ffn_gate_inp.weight", "position_embd", "token_types", "ssm_conv1d", "shortconv.conv.weight"];
    let dimensions = shape.len() - shape.iter().take_while(|n| **n == 1).count();
    dimensions >= 2 && name.ends_with("weight") && !left_alone.iter().any(|part| name.contains(part))
}

fn check(plan: &Plan, files: &[Recipe]) -> Result<(), PlanError> {
    let failed = |file: &'static str| move |reason: String| mismatch(&CLIENT, file, reason);
    let file = text_of(&CLIENT, files, TYPES_FILE)?;
    let script = text_of(&CLIENT, files, SCRIPT)?;
    let flags_script = text_of(&CLIENT, files, FLAGS_SCRIPT)?;
    let from_file: Vec<&str> = file.split_whitespace().collect();
    let command = Command::read(script).map_err(failed(SCRIPT))?;
    check_entries(plan, &from_file, &command).map_err(failed(TYPES_FILE))?;
    let command = Command::read(flags_script).map_err(failed(FLAGS_SCRIPT))?;
    check_entries(plan, &command.entries, &command).map_err(failed(FLAGS_SCRIPT))
}

/// What a script hands to llama-quantize.
struct Command<'a> {
    entries: Vec<&'a str>,
    embedding: Option<&'a str>,
    head: Option<&'a str>,
    base: &'a str,
}

impl<'a> Command<'a> {
    fn read(script: &'a str) -> Result<Self, String> {
        let words: Vec<&str> = script.split_whitespace().map(|word| word.trim_matches('\'')).collect();
        let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1)).copied();
        let entries = words.windows(2).filter(|pair| pair[0] == "--tensor-type").map(|pair| pair[1]).collect();
        let mut commands = script.lines().filter(|line| line.starts_with("\"$quantize\""));
        let mut bases = commands.by_ref().filter_map(|line| line.split_whitespace().last());
        let base = bases.next().ok_or("llama-quantize is not called")?;
        if let Some(other) = bases.find(|other| *other != base) {
            return Err(format!("one command has the base {base}, another {other}"));
        }
        Ok(Self { entries, embedding: after(EMBEDDING.1), head: after(HEAD.1), base })
    }
}

fn check_entries(plan: &Plan, entries: &[&str], command: &Command<'_>) -> Result<(), String> {
    let rules = entries.iter().map(|entry| rule(entry)).collect::<Result<Vec<Rule>, String>>()?;
    let base = BASES.iter().find(|(mixture, _)| *mixture == command.base);
    let (_, base) = base.ok_or_else(|| format!("{:?} is no quantized base type", command.base))?;
    if let Some(rule) = rules.iter().find(|rule| rule.says == *base) {
        return Err(format!("the pattern {:?} asks for the base type {base}, which old builds ignore", rule.pattern));
    }
    let mut subjects = Vec::new();
    for module in modules(plan, &CLIENT).map_err(|e| e.to_string())? {
        subjects.push(Subject { what: module.what(), wants: type_of(&module), name: module.tensor });
    }
    for (name, other) in others(plan, &CLIENT).filter(|(name, other)| is_quantized(name, &other.shape)) {
        let wants = other_type(name, other).map_err(|e| e.to_string())?;
        let by_flag = match name {
            _ if name == EMBEDDING.0 => Some((EMBEDDING.1, command.embedding)),
            _ if name == HEAD.0 => Some((HEAD.1, command.head)),
            _ => None,
        };
        match by_flag {
            Some((flag, given)) if given != Some(wants.as_str()) => return Err(format!("{flag} is not {wants}")),
            Some(_) => subjects.push(Subject { name: name.to_owned(), what: other.role.clone(), wants: None }),
            None => subjects.push(Subject { name: name.to_owned(), what: other.role.clone(), wants: Some(wants) }),
        }
    }
    // The order of precedence changed twice.
    dry_run(&rules, Wins::First, &subjects)?;
    dry_run(&rules, Wins::Last, &subjects)
}

fn rule(entry: &str) -> Result<Rule, String> {
    let (pattern, ty) = entry.split_once('=').ok_or_else(|| format!("{entry:?} has no ="))?;
    let pattern = pattern.to_ascii_lowercase();
    if pattern.is_empty() || !is_plain(ty) {
        return Err(format!("{entry:?} names no tensor or no type"));
    }
    Ok(Rule { matcher: Matcher::search(&pattern)?, pattern, says: ty.to_ascii_lowercase() })
}
