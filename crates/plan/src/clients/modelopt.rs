//! ModelOpt (NVIDIA): FP8 and NVFP4 side by side, for TensorRT-LLM and vLLM.
//!
//! # Files
//! `quant_cfg.json`: the configuration for `mtq.quantize`, a list of wildcards for quantizers; `quant_cfg.py` reads it, since its
//! keys of `block_sizes` have to be numbers, which JSON has not. `hf_quant_config.json`: what the exported checkpoint should say,
//! to be held against what the exporter wrote.
//!
//! # Command
//! `from quant_cfg import QUANT_CFG`, `mtq.quantize(model, QUANT_CFG, forward_loop)`, then `export_hf_checkpoint(model)`.
//!
//! # Bytes
//! Of `fp8` a byte per weight and 8 of scales (weight and input); of `nvfp4` half a byte per weight, a byte per 16 and 4 of
//! scale. A matrix that is left as it is: 2 bytes per weight.
//!
//! # Traps
//! Later entries win. `fp8` there rounds activations too, which a plan made from weights knows nothing of; `nvfp4` is written for weights
//! only (`W4A16_NVFP4`). What is joined at loading (q, k and v, gate and up, experts) has to be alike. Versions before the list form of
//! `quant_cfg` took a mapping of wildcards. A name is no wildcard, so that each is met once.
//!
//! # Source
//! nvidia-modelopt 0.47.0, `torch/quantization/conversion.py` (`set_quantizer_by_cfg`), `torch/quantization/config.py`,
//! `torch/export/quant_utils.py` (`process_layer_quant_config`).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dry_run::{Matcher, Rule, Subject, Wins, dry_run};
use super::modules::{Module, check_joined, mismatch, modules, other_modules, subjects, text_of};
use super::pairs::Pairs;
use super::{Client, Dialect, Fuse, Recipe};
use crate::{Kind, Plan, PlanError, Stored};

pub(super) static CLIENT: Client = Client {
    id: "modelopt",
    title: "ModelOpt (FP8 and NVFP4)",
    source: include_str!("modelopt.rs"),
    kinds: &[Kind::Bits],
    types: &["nvfp4", "fp8", "original"],
    usual: &["nvfp4", "fp8"],
    dialect: Dialect::HuggingFace,
    fuse: Fuse::Demanded,
    fits: |stored, columns| stored != Stored::NvFp4 || columns.is_multiple_of(16),
    bytes: |stored, rows, columns| match stored {
        Stored::Fp8 => rows * columns + 8,
        Stored::NvFp4 => rows * (columns.div_ceil(2) + columns.div_ceil(16)) + 4,
        other => other.bytes(rows, columns),
    },
    write,
    check,
};

const CONFIG: &str = "quant_cfg.json";
const LOADER: &str = "quant_cfg.py";
const EXPORTED: &str = "hf_quant_config.json";
const OFF: &str = "off";

const SCRIPT: &str = r#""""from quant_cfg import QUANT_CFG: the configuration beside this file, for mtq.quantize."""
import json
from pathlib import Path


def with_numbers(pairs):
    return {int(key) if key.lstrip("-").isdigit() else key: value for key, value in pairs}


QUANT_CFG = json.loads(Path(__file__).with_name("quant_cfg.json").read_text(), object_pairs_hook=with_numbers)
"#;

#[derive(Serialize, Deserialize)]
struct Config {
    quant_cfg: Vec<Entry>,
    algorithm: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    quantizer_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cfg: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enable: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct Exported {
    quantization: Quantization,
}

#[derive(Serialize, Deserialize)]
struct Quantization {
    quant_algo: String,
    kv_cache_quant_algo: Option<String>,
    quantized_layers: Pairs<Value>,
}

/// What a module's quantizers are set to, and what the exporter calls that.
fn quantizers(stored: Option<Stored>) -> Option<(Value, Option<Value>, Value)> {
    match stored? {
        Stored::Fp8 => {
            let e4m3 = json!({"num_bits": [4, 3], "axis": null});
            Some((e4m3.clone(), Some(e4m3), json!({"quant_algo": "FP8"})))
        }
        Stored::NvFp4 => {
            let e2m1 = json!({
                "num_bits": [2, 1], "axis": null, "block_sizes": {"-1": 16, "type": "dynamic", "scale_bits": [4, 3]}
            });
            Some((e2m1, None, json!({"quant_algo": "W4A16_NVFP4", "group_size": 16})))
        }
        _ => None,
    }
}

fn write(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    check_joined(plan, &CLIENT)?;
    let entry = |quantizer_name: String, cfg: Value| Entry { quantizer_name, cfg: Some(cfg), enable: None };
    let mut quant_cfg = vec![Entry { quantizer_name: "*".to_owned(), cfg: None, enable: Some(false) }];
    let mut quantized_layers = Vec::new();
    for module in modules(plan, &CLIENT)? {
        let Some((weight, input, exported)) = quantizers(module.stored()) else { continue };
        let name = module.name();
        quant_cfg.push(entry(format!("{name}.weight_quantizer"), weight));
        quant_cfg.extend(input.map(|input| entry(format!("{name}.input_quantizer"), input)));
        quantized_layers.push((name.to_owned(), exported));
    }
    if quantized_layers.is_empty() {
        return Err(mismatch(&CLIENT, CONFIG, "nothing is quantized"));
    }
    let config = Config { quant_cfg, algorithm: "max".to_owned() };
    let quantized_layers = Pairs(quantized_layers);
    let quant_algo = "MIXED_PRECISION".to_owned();
    let exported = Exported { quantization: Quantization { quant_algo, kv_cache_quant_algo: None, quantized_layers } };
    let text =
        |file: &str, json: Result<String, serde_json::Error>| json.map_err(|e| mismatch(&CLIENT, file, e.to_string()));
    Ok(vec![
        Recipe {
            name: CONFIG.to_owned(),
            usage: format!("read by {LOADER}"),
            text: text(CONFIG, tomo_map::json_lines(&config))?,
        },
        Recipe {
            name: LOADER.to_owned(),
            usage: "from quant_cfg import QUANT_CFG; mtq.quantize(model, QUANT_CFG, forward_loop)".to_owned(),
            text: SCRIPT.to_owned(),
        },
        Recipe {
            name: EXPORTED.to_owned(),
            usage: "compare with what export_hf_checkpoint wrote".to_owned(),
            text: text(EXPORTED, tomo_map::json_lines(&exported))?,
        },
    ])
}

fn check(plan: &Plan, files: &[Recipe]) -> Result<(), PlanError> {
    check_joined(plan, &CLIENT)?;
    let modules = modules(plan, &CLIENT)?;
    check_config(plan, &modules, text_of(&CLIENT, files, CONFIG)?).map_err(|e| mismatch(&CLIENT, CONFIG, e))?;
    check_exported(plan, &modules, text_of(&CLIENT, files, EXPORTED)?).map_err(|e| mismatch(&CLIENT, EXPORTED, e))
}

fn check_config(plan: &Plan, modules: &[Module<'_>], text: &str) -> Result<(), String> {
    let config: Config = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let rule = |entry: &Entry| {
        let says = match (&entry.cfg, entry.enable) {
            (Some(cfg), None | Some(true)) => cfg.to_string(),
            (_, Some(false)) => OFF.to_owned(),
            (None, _) => return Err(format!("the entry {:?} says nothing", entry.quantizer_name)),
        };
        let pattern = entry.quantizer_name.clone();
        Ok(Rule { matcher: Matcher::wildcard(&pattern)?, pattern, says })
    };
    let rules = config.quant_cfg.iter().map(rule).collect::<Result<Vec<Rule>, String>>()?;
    let said = |quantizer: Option<Value>| quantizer.map_or(OFF.to_owned(), |value| value.to_string());
    let mut all = Vec::new();
    for module in modules {
        let (weight, input) = quantizers(module.stored()).map_or((None, None), |(w, input, _)| (Some(w), input));
        for (quantizer, wants) in [("weight", weight), ("input", input), ("output", None)] {
            let name = format!("{}.{quantizer}_quantizer", module.name());
            all.push(Subject { name, what: module.what(), wants: Some(said(wants)) });
        }
    }
    all.extend(other_modules(plan, &CLIENT).into_iter().map(|other| Subject {
        name: format!("{}.weight_quantizer", other.name),
        wants: Some(OFF.to_owned()),
        ..other
    }));
    dry_run(&rules, Wins::Last, &all)
}

fn check_exported(plan: &Plan, modules: &[Module<'_>], text: &str) -> Result<(), String> {
    let exported: Exported = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let rule = |(name, value): &(String, Value)| Rule {
        pattern: name.clone(),
        matcher: Matcher::Whole(name.clone()),
        says: value.to_string(),
    };
    let rules: Vec<Rule> = exported.quantization.quantized_layers.0.iter().map(rule).collect();
    let mut all = subjects(modules, |module| quantizers(module.stored()).map(|(.., exported)| exported.to_string()));
    all.extend(other_modules(plan, &CLIENT));
    dry_run(&rules, Wins::First, &all)
}
