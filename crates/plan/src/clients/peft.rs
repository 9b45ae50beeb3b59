//! PEFT: LoRA with a rank for every module.
//!
//! # Files
//! `adapter_config.json`: what `LoraConfig.from_pretrained` reads.
//!
//! # Command
//! `get_peft_model(model, LoraConfig.from_pretrained(FOLDER))`
//!
//! # Bytes
//! Stores nothing; a pair has rank x (rows + columns) parameters.
//!
//! # Traps
//! A name in the list of `target_modules` is met by the end of a module's name, behind a dot: full names are met once. A key
//! of `rank_pattern` has to match the whole rest of the name, may begin behind any dot, and the first that matches counts; one that matches
//! nothing is passed over in silence. Before March 2025 a key with `^` never matched, so that there is none here. The scale is
//! alpha / rank, so alphas are written wherever they differ. transformers 5 holds experts in stacks that are no
//! modules, so plans that give ranks to experts are refused.
//!
//! # Source
//! peft 0.21.2, `tuners/tuners_utils.py` (`check_target_module_exists`), `utils/other.py` (`get_pattern_key`), `tuners/lora/model.py`.

use serde::{Deserialize, Serialize};

use super::dry_run::{Matcher, Rule, Wins, dry_run, escaped};
use super::modules::{Module, mismatch, modules, most_common, other_modules, subjects, text_of};
use super::pairs::Pairs;
use super::{Client, Dialect, Fuse, Recipe};
use crate::{Choice, Kind, Plan, PlanError};

pub(super) static CLIENT: Client = Client {
    id: "peft",
    title: "PEFT (LoRA)",
    source: include_str!("peft.rs"),
    kinds: &[Kind::Rank],
    types: &[],
    usual: &[],
    dialect: Dialect::HuggingFace,
    fuse: Fuse::Free,
    fits: |_, _| true,
    bytes: |stored, rows, columns| stored.bytes(rows, columns),
    write,
    check,
};

const FILE: &str = "adapter_config.json";

/// What a LoRA setup says, whichever program it is written for.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Ranks {
    /// Rank and alpha of targets that no pattern names.
    pub(super) rank: u32,
    pub(super) alpha: u32,
    pub(super) targets: Vec<String>,
    pub(super) rank_pattern: Pairs<u32>,
    pub(super) alpha_pattern: Pairs<u32>,
}

impl Ranks {
    /// # Errors
    /// Experts with a rank, and a plan without any.
    pub(super) fn of(plan: &Plan, client: &Client, file: &str) -> Result<Self, PlanError> {
        let of_expert =
            |cell: &&crate::Decision| cell.id.expert.is_some() && !matches!(cell.choice, Choice::Rank { rank: 0, .. });
        if let Some(cell) = plan.cells.iter().find(of_expert) {
            let reason = format!(
                "{}: transformers holds experts in stacks, which are no modules that take a rank each",
                cell.id
            );
            return Err(mismatch(client, file, reason));
        }
        let modules = modules(plan, client)?;
        let pairs: Vec<(&Module<'_>, u32, u32)> =
            modules.iter().filter_map(|m| pair(m).map(|(r, a)| (m, r, a))).collect();
        let none = || mismatch(client, file, "no cell gets a rank");
        let rank = most_common(pairs.iter().map(|(_, rank, _)| *rank)).ok_or_else(none)?;
        let alpha = most_common(pairs.iter().map(|(_, _, alpha)| *alpha)).ok_or_else(none)?;
        let key = |module: &Module<'_>| escaped(module.name());
        Ok(Self {
            rank,
            alpha,
            targets: pairs.iter().map(|(module, ..)| module.name().to_owned()).collect(),
            rank_pattern: Pairs(pairs.iter().filter(|p| p.1 != rank).map(|(m, r, _)| (key(m), *r)).collect()),
            alpha_pattern: Pairs(pairs.iter().filter(|p| p.2 != alpha).map(|(m, _, a)| (key(m), *a)).collect()),
        })
    }

    /// Holds what was read back against the plan, by peft's rules.
    pub(super) fn check(&self, plan: &Plan, client: &Client) -> Result<(), String> {
        let modules = modules(plan, client).map_err(|e| e.to_string())?;
        let target = |name: &String| Rule {
            pattern: name.clone(),
            matcher: Matcher::Tail(name.clone()),
            says: "a target".to_owned(),
        };
        let targets: Vec<Rule> = self.targets.iter().map(target).collect();
        let others = other_modules(plan, client);
        let mut all = subjects(&modules, |module| pair(module).map(|_| "a target".to_owned()));
        all.extend(others.iter().cloned());
        dry_run(&targets, Wins::First, &all)?;
        for (word, pattern, base, rank) in
            [("rank", &self.rank_pattern, self.rank, true), ("alpha", &self.alpha_pattern, self.alpha, false)]
        {
            let rule = |(key, value): &(String, u32)| {
                Ok(Rule { pattern: key.clone(), matcher: Matcher::tail(key)?, says: format!("{word} {value}") })
            };
            let rules = pattern.0.iter().map(rule).collect::<Result<Vec<Rule>, String>>()?;
            let wants = |module: &Module<'_>| {
                let value = pair(module).map(|(r, a)| if rank { r } else { a });
                value.filter(|value| *value != base).map(|value| format!("{word} {value}"))
            };
            let mut all = subjects(&modules, wants);
            all.extend(others.iter().cloned());
            dry_run(&rules, Wins::First, &all)?;
        }
        Ok(())
    }
}

/// Rank and alpha of a module that gets a pair.
fn pair(module: &Module<'_>) -> Option<(u32, u32)> {
    match module.choice {
        Choice::Rank { rank, alpha } if rank > 0 => Some((rank, alpha)),
        _ => None,
    }
}

#[derive(Serialize, Deserialize)]
struct Config {
    peft_type: String,
    task_type: String,
    r: u32,
    lora_alpha: u32,
    lora_dropout: f64,
    bias: String,
    target_modules: Vec<String>,
    rank_pattern: Pairs<u32>,
    alpha_pattern: Pairs<u32>,
}

fn write(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    let Ranks { rank, alpha, targets, rank_pattern, alpha_pattern } = Ranks::of(plan, &CLIENT, FILE)?;
    let config = Config {
        peft_type: "LORA".to_owned(),
        task_type: "CAUSAL_LM".to_owned(),
        r: rank,
        lora_alpha: alpha,
        lora_dropout: 0.0,
        bias: "none".to_owned(),
        target_modules: targets,
        rank_pattern,
        alpha_pattern,
    };
    let text = tomo_map::json_lines(&config).map_err(|e| mismatch(&CLIENT, FILE, e.to_string()))?;
    let usage = "get_peft_model(model, LoraConfig.from_pretrained(FOLDER))".to_owned();
    Ok(vec![Recipe { name: FILE.to_owned(), usage, text }])
}

fn check(plan: &Plan, files: &[Recipe]) -> Result<(), PlanError> {
    let failed = |reason: String| mismatch(&CLIENT, FILE, reason);
    let config: Config = serde_json::from_str(text_of(&CLIENT, files, FILE)?).map_err(|e| failed(e.to_string()))?;
    let Config { r: rank, lora_alpha: alpha, target_modules: targets, rank_pattern, alpha_pattern, .. } = config;
    Ranks { rank, alpha, targets, rank_pattern, alpha_pattern }.check(plan, &CLIENT).map_err(failed)
}
