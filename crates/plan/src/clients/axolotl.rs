//! axolotl: LoRA with a rank for every module, or full training of chosen matrices.
//!
//! # Files
//! For ranks, `lora.yml`: the `lora_…` keys of a config. For training, `unfrozen.yml`: `unfrozen_parameters`, exactly the plan; and
//! `snr_results_….json`, scores in Spectrum's format for axolotl's Spectrum plugin.
//!
//! # Command
//! Copy the keys into the config. For the plugin put the JSON into `model_snr_results/` beside the config, name
//! `axolotl.integrations.spectrum.SpectrumPlugin` under `plugins` and set `spectrum_top_fraction` as the recipe says.
//!
//! # Bytes
//! Stores nothing.
//!
//! # Traps
//! An entry of `unfrozen_parameters` becomes an expression in which every dot is a dot (but for `.+`); it has to match from the start
//! of the parameter's name and may end before it does. So entries have anchors and no escapes, and a model whose parameters have another prefix in
//! memory than in the checkpoint trains nothing; axolotl then warns that all parameters are frozen. The plugin takes the best
//! share of each type of module by score, and always adds `lm_head` and `embed_tokens`, and a module's bias with it:
//! where no share gives the plan's choice, the file holds the chosen modules only, and the share is 1. `gradient_checkpointing_kwargs.use_reentrant: true`
//! and FSDP without `use_orig_params` are refused with unfrozen parameters. Ranks follow peft's rules (see `peft`).
//!
//! # Source
//! axolotl 0.19.0, `utils/freeze.py` (`LayerNamePattern`), `integrations/spectrum/__init__.py`, `loaders/adapter.py`.

use serde::{Deserialize, Serialize};

use super::dry_run::{Matcher, Rule, Subject, Wins, dry_run};
use super::modules::{Module, mismatch, modules, others, text_of};
use super::pairs::Pairs;
use super::peft::Ranks;
use super::{Client, Dialect, Fuse, Recipe};
use crate::{Choice, Kind, Plan, PlanError};

pub(super) static CLIENT: Client = Client {
    id: "axolotl",
    title: "axolotl",
    source: include_str!("axolotl.rs"),
    kinds: &[Kind::Rank, Kind::Train],
    types: &[],
    usual: &[],
    dialect: Dialect::HuggingFace,
    fuse: Fuse::Free,
    fits: |_, _| true,
    bytes: |stored, rows, columns| stored.bytes(rows, columns),
    write,
    check,
};

const LORA: &str = "lora.yml";
const UNFROZEN: &str = "unfrozen.yml";
const TRAINED: &str = "trained";

fn write(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    if plan.kind == Kind::Rank { write_lora(plan) } else { write_unfrozen(plan) }
}

fn check(plan: &Plan, files: &[Recipe]) -> Result<(), PlanError> {
    if plan.kind == Kind::Rank {
        let text = text_of(&CLIENT, files, LORA)?;
        return check_lora(plan, text).map_err(|reason| mismatch(&CLIENT, LORA, reason));
    }
    let text = text_of(&CLIENT, files, UNFROZEN)?;
    let modules = modules(plan, &CLIENT)?;
    check_unfrozen(plan, &modules, text).map_err(|reason| mismatch(&CLIENT, UNFROZEN, reason))?;
    let name = snr_file(plan);
    let spectrum =
        files.iter().find(|file| file.name == name).ok_or_else(|| mismatch(&CLIENT, &name, "it is not there"))?;
    check_spectrum(plan, &modules, spectrum).map_err(|reason| mismatch(&CLIENT, &name, reason))
}

fn write_lora(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    let ranks = Ranks::of(plan, &CLIENT, LORA)?;
    let mut text =
        format!("adapter: lora\nlora_r: {}\nlora_alpha: {}\nlora_target_modules:\n", ranks.rank, ranks.alpha);
    text.extend(ranks.targets.iter().map(|name| format!("- '{name}'\n")));
    for (key, pattern) in [("lora_rank_pattern", &ranks.rank_pattern), ("lora_alpha_pattern", &ranks.alpha_pattern)] {
        if !pattern.0.is_empty() {
            text += &format!("{key}:\n");
            text.extend(pattern.0.iter().map(|(name, value)| format!("  '{name}': {value}\n")));
        }
    }
    let usage = "copy these keys into the config".to_owned();
    Ok(vec![Recipe { name: LORA.to_owned(), usage, text }])
}

#[derive(Deserialize)]
struct Lora {
    lora_r: u32,
    lora_alpha: u32,
    lora_target_modules: Vec<String>,
    lora_rank_pattern: Option<Pairs<u32>>,
    lora_alpha_pattern: Option<Pairs<u32>>,
}

fn check_lora(plan: &Plan, text: &str) -> Result<(), String> {
    let lora: Lora = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
    let none = || Pairs(Vec::new());
    let ranks = Ranks {
        rank: lora.lora_r,
        alpha: lora.lora_alpha,
        targets: lora.lora_target_modules,
        rank_pattern: lora.lora_rank_pattern.unwrap_or_else(none),
        alpha_pattern: lora.lora_alpha_pattern.unwrap_or_else(none),
    };
    ranks.check(plan, &CLIENT)
}

fn is_trained(module: &Module<'_>) -> bool {
    module.choice == Choice::Train(true)
}

fn write_unfrozen(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    let modules = modules(plan, &CLIENT)?;
    let trained: Vec<&Module<'_>> = modules.iter().filter(|module| is_trained(module)).collect();
    if trained.is_empty() {
        return Err(mismatch(&CLIENT, UNFROZEN, "no cell is trained"));
    }
    let lines: String = trained.iter().map(|module| format!("- '^{}$'\n", module.tensor)).collect();
    let (fraction, listed) = match fraction(&modules) {
        Some(fraction) => (fraction, modules.iter().collect()),
        None => (1.0, trained),
    };
    let score = |module: &&Module<'_>| {
        let snr = module.cells.iter().map(|cell| cell.cost).sum();
        (module.name().to_owned(), Snr { snr, r#type: kind(module).to_owned() })
    };
    let name = snr_file(plan);
    let scores = tomo_map::json_lines(&Pairs(listed.iter().map(score).collect()));
    let scores = scores.map_err(|e| mismatch(&CLIENT, &name, e.to_string()))?;
    Ok(vec![
        Recipe {
            name: UNFROZEN.to_owned(),
            usage: "copy this key into the config; nothing else is trained".to_owned(),
            text: format!("unfrozen_parameters:\n{lines}"),
        },
        Recipe {
            usage: format!(
                "instead, for the Spectrum plugin: in model_snr_results/, with spectrum_model_name: {} and {SHARE} {fraction}; \
                 it trains embeddings and head as well",
                slug(plan)
            ),
            name,
            text: scores,
        },
    ])
}

const SHARE: &str = "spectrum_top_fraction:";

/// Scores of a module, as Spectrum writes them.
#[derive(Serialize, Deserialize)]
struct Snr {
    snr: f64,
    r#type: String,
}

/// The type of a module: its name behind the number of the layer.
fn kind<'m>(module: &'m Module<'_>) -> &'m str {
    let name = module.name();
    let number = format!(".{}.", module.cells[0].id.layer);
    name.split_once(&number).map_or(name, |(_, kind)| kind)
}

/// The model's name in that of the scores' file; the plugin itself changes `/` and `_` to `-`, and finds nothing else to change here.
fn slug(plan: &Plan) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    plan.about.model.chars().map(plain).collect()
}

/// The name under which the plugin looks for scores.
fn snr_file(plan: &Plan) -> String {
    format!("snr_results_{}.json", slug(plan))
}

/// A share of each type's best modules that gives the plan's choice, where there is one.
fn fraction(modules: &[Module<'_>]) -> Option<f64> {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for kind_of in kinds(modules) {
        let count = kind_of.len() as f64;
        let trained = kind_of.iter().filter(|module| is_trained(module)).count() as f64;
        low = low.max(trained / count);
        high = high.min((trained + 1.0) / count);
    }
    let share = if low >= 1.0 { 1.0 } else { ((low + high) / 2.0 * 1e6).round() / 1e6 };
    let score = |module: &&Module<'_>| module.cells.iter().map(|cell| cell.cost).sum::<f64>();
    let listed: Vec<(String, f64, String)> =
        modules.iter().map(|m| (m.name().to_owned(), score(&m), kind(m).to_owned())).collect();
    let chosen = chosen_by_plugin(&listed, share);
    (modules.iter().all(|module| chosen.contains(&module.name()) == is_trained(module))).then_some(share)
}

fn kinds<'m, 'a>(modules: &'m [Module<'a>]) -> Vec<Vec<&'m Module<'a>>> {
    let mut kinds: Vec<(&str, Vec<&Module<'_>>)> = Vec::new();
    for module in modules {
        match kinds.iter_mut().find(|(name, _)| *name == kind(module)) {
            Some((_, of_kind)) => of_kind.push(module),
            None => kinds.push((kind(module), vec![module])),
        }
    }
    kinds.into_iter().map(|(_, modules)| modules).collect()
}

/// What the plugin takes of a list of name, score and type: of each type the whole part of its share, by falling score, of equal
/// ones what stands first.
fn chosen_by_plugin(listed: &[(String, f64, String)], share: f64) -> Vec<&str> {
    let mut by_type: Vec<(&str, Vec<(&str, f64)>)> = Vec::new();
    for (name, score, kind) in listed {
        match by_type.iter_mut().find(|(other, _)| other == kind) {
            Some((_, modules)) => modules.push((name, *score)),
            None => by_type.push((kind, vec![(name, *score)])),
        }
    }
    let mut chosen = Vec::new();
    for (_, mut modules) in by_type {
        modules.sort_by(|a, b| b.1.total_cmp(&a.1));
        let count = (modules.len() as f64 * share) as usize;
        chosen.extend(modules.iter().take(count).map(|(name, _)| *name));
    }
    chosen
}

#[derive(Deserialize)]
struct Unfrozen {
    unfrozen_parameters: Vec<String>,
}

/// An entry as axolotl compiles it: a range of rows at the end is cut off, every dot but that of `.+` is a dot.
pub(super) fn entry(text: &str) -> Result<Rule, String> {
    if text.ends_with(']') {
        return Err(format!("{text:?} would be taken for a range of rows"));
    }
    let mut pattern = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '.' && characters.peek() != Some(&'+') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    Ok(Rule { pattern: text.to_owned(), matcher: Matcher::at_start(&pattern)?, says: TRAINED.to_owned() })
}

fn check_unfrozen(plan: &Plan, modules: &[Module<'_>], text: &str) -> Result<(), String> {
    let unfrozen: Unfrozen = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
    let rules = unfrozen.unfrozen_parameters.iter().map(|text| entry(text)).collect::<Result<Vec<_>, String>>()?;
    dry_run(&rules, Wins::First, &parameters(plan, modules))
}

fn parameters(plan: &Plan, modules: &[Module<'_>]) -> Vec<Subject> {
    let of_module = |module: &Module<'_>| Subject {
        name: module.tensor.clone(),
        what: module.what(),
        wants: is_trained(module).then(|| TRAINED.to_owned()),
    };
    let other = others(plan, &CLIENT);
    let other = other.map(|(name, o)| Subject { name: name.to_owned(), what: o.role.clone(), wants: None });
    modules.iter().map(of_module).chain(other).collect()
}

fn check_spectrum(plan: &Plan, modules: &[Module<'_>], file: &Recipe) -> Result<(), String> {
    let scores: Pairs<Snr> = serde_json::from_str(&file.text).map_err(|e| e.to_string())?;
    let listed: Vec<(String, f64, String)> =
        scores.0.into_iter().map(|(name, Snr { snr, r#type })| (name, snr, r#type)).collect();
    let share = file.usage.split_once(SHARE).and_then(|(_, rest)| rest.split(';').next()?.trim().parse().ok());
    let share = share.ok_or("the share is not said")?;
    let rules = chosen_by_plugin(&listed, share).into_iter().map(entry).collect::<Result<Vec<_>, String>>()?;
    // A module's bias is trained with it, which no entry of the plugin can prevent.
    let mut subjects = parameters(plan, modules);
    subjects.retain(|subject| subject.what != "bias");
    dry_run(&rules, Wins::First, &subjects)
}
