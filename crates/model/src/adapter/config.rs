//! `adapter_config.json`, every key of it accounted for.
//!
//! The rules are those of peft 0.21 (`tuners/lora/config.py`, `utils/other.py`); a key that is missing means what that class
//! assumes, since older versions of peft did not write it.

use serde_json::Value;

use super::object::{Field, Object, key, shown};
use super::patterns::Patterns;
use crate::error::ModelError;

/// What a LoRA adapter's configuration says about its arithmetic.
#[derive(Debug)]
pub struct AdapterConfig {
    /// r: the rank where no pattern says otherwise.
    pub rank: u64,
    /// alpha where no pattern says otherwise.
    pub alpha: f64,
    /// Whether the scaling is alpha / sqrt(r) and not alpha / r.
    pub rank_stabilised: bool,
    /// Whether rows of W0 + s B A are brought to a learned length.
    pub dora: bool,
    /// The model it was trained on, as the configuration names it: a hub name or a path on somebody's machine.
    pub base: Option<String>,
    /// `target_modules`, as printed.
    pub targets: String,
    /// The class of the base model, where peft wrote it: `LlamaForCausalLM`.
    pub(crate) base_class: Option<String>,
    rank_patterns: Patterns<u64>,
    alpha_patterns: Patterns<f64>,
}

/// What a key of the configuration means here.
enum Rule {
    /// Read below.
    Read,
    /// How the adapter was trained or made, or which modules it was put on: the saved factors say what came of it.
    Harmless,
    /// Must be absent, null, false or empty; otherwise this is what it would change.
    Off(&'static str),
}

use Rule::{Harmless, Off, Read};

const KEYS: &[(&str, Rule)] = &[
    ("alora_invocation_tokens", Off("it acts on some tokens only (aLoRA), so no change of weights is the same")),
    ("alpha_pattern", Read),
    ("arrow_config", Off("adapters are chosen token by token (Arrow)")),
    ("auto_mapping", Read),
    ("base_model_name_or_path", Read),
    ("bias", Read),
    ("corda_config", Harmless),
    ("enable_lora", Off("factors of merged projections are stored in a layout that peft has given up")),
    ("ensure_weight_tying", Harmless),
    ("eva_config", Harmless),
    ("exclude_modules", Harmless),
    // peft sets this right when it sees the module; factors are [r, in] and [out, r] either way.
    ("fan_in_fan_out", Harmless),
    ("inference_mode", Harmless),
    ("init_lora_weights", Read),
    ("kasa_config", Off("the base weights are truncated and a diagonal stands between A and B (KaSA)")),
    ("layer_replication", Off("layers of the base are repeated, so the grid is another")),
    ("layers_pattern", Harmless),
    ("layers_to_transform", Harmless),
    ("loftq_config", Harmless),
    ("lora_alpha", Read),
    ("lora_bias", Harmless),
    ("lora_dropout", Harmless),
    ("lora_ga_config", Harmless),
    ("megatron_config", Off("the layers are Megatron's, split over machines")),
    ("megatron_core", Harmless),
    ("merge_weights", Harmless),
    ("modules_to_save", Harmless),
    ("monteclora_config", Off("weights are sampled around the factors (MonteCLoRA)")),
    ("peft_type", Read),
    ("peft_version", Harmless),
    ("qalora_group_size", Harmless),
    ("r", Read),
    ("rank_pattern", Read),
    ("revision", Harmless),
    ("runtime_config", Harmless),
    ("target_modules", Read),
    ("target_parameters", Harmless),
    ("task_type", Harmless),
    ("trainable_token_indices", Harmless),
    ("use_bdlora", Off("factors are stored block by block (BD-LoRA)")),
    ("use_dora", Read),
    ("use_qalora", Off("inputs are averaged by groups before A (QA-LoRA)")),
    ("use_rslora", Read),
    // Only the backward pass differs.
    ("velora_config", Harmless),
];

impl AdapterConfig {
    /// Reads the bytes of `adapter_config.json`.
    ///
    /// # Errors
    /// No JSON object; another kind of adapter than LoRA; a key that changes the arithmetic and is not understood.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let object = Object::read(bytes)?;
        object.check_kind()?;
        object.check_keys()?;
        object.check_start()?;
        object.one_of("bias", &["none", "all", "lora_only"])?;
        Ok(Self {
            rank: object.required("r", "a whole number, 1 or more", as_rank)?,
            alpha: object.required("lora_alpha", "a finite number", as_alpha)?,
            rank_stabilised: object.flag("use_rslora")?,
            dora: object.flag("use_dora")?,
            base: object.get("base_model_name_or_path").and_then(Value::as_str).map(str::to_owned),
            targets: object.get("target_modules").map_or_else(|| "not stated".to_owned(), shown_targets),
            base_class: object.base_class(),
            rank_patterns: object.patterns("rank_pattern", "a whole number, 1 or more", as_rank)?,
            alpha_patterns: object.patterns("alpha_pattern", "a finite number", as_alpha)?,
        })
    }

    /// Rank and alpha of modules by their names in the base model.
    ///
    /// # Errors
    /// A pattern that is no regular expression or cannot be matched in reasonable time.
    pub(crate) fn ranks_and_alphas(&self, modules: &[&str]) -> Result<Vec<(u64, f64)>, ModelError> {
        let ranks = self.rank_patterns.first_matches(modules)?;
        let alphas = self.alpha_patterns.first_matches(modules)?;
        let both = ranks.into_iter().zip(alphas);
        Ok(both.map(|(r, a)| (r.unwrap_or(self.rank), a.unwrap_or(self.alpha))).collect())
    }

    /// What B A is multiplied by.
    pub(crate) fn scaling(&self, rank: u64, alpha: f64) -> f64 {
        let rank = rank as f64;
        alpha / if self.rank_stabilised { rank.sqrt() } else { rank }
    }

    /// Whether any module may have another rank or alpha than [`AdapterConfig::rank`] and [`AdapterConfig::alpha`].
    pub fn has_patterns(&self) -> bool {
        !(self.rank_patterns.is_empty() && self.alpha_patterns.is_empty())
    }
}

/// Peft writes a switch that is off as one of these.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

fn as_rank(value: &Value) -> Option<u64> {
    value.as_u64().filter(|r| (1..=u64::from(u32::MAX)).contains(r))
}

fn as_alpha(value: &Value) -> Option<f64> {
    value.as_f64().filter(|a| a.is_finite())
}

fn shown_targets(value: &Value) -> String {
    let names = value.as_array().map(|names| names.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    match (names, value) {
        (Some(names), _) => names.join(" "),
        (None, Value::String(pattern)) => pattern.clone(),
        _ => "not stated".to_owned(),
    }
}

impl Object {
    fn check_kind(&self) -> Result<(), ModelError> {
        match self.get("peft_type") {
            Some(Value::String(kind)) if kind == "LORA" => Ok(()),
            found => Err(key(
                "peft_type",
                "\"LORA\"",
                &shown(found),
                "adapters of other kinds are no sum of W0 and B A: merge it with peft and compare the merged model, map \
                 MERGED --against BASE",
            )),
        }
    }

    fn check_keys(&self) -> Result<(), ModelError> {
        for (name, field) in &self.0 {
            let Field::Plain(value) = field else { continue };
            let reason = match KEYS.iter().find(|(known, _)| known == name) {
                Some((_, Read | Harmless)) => continue,
                Some((_, Off(reason))) => reason,
                // A new version of peft writes its new switches into every file, off.
                None => "not understood, and it may change what the factors mean",
            };
            if !is_off(value) {
                return Err(key(
                    name,
                    "null, false or empty",
                    &format!("{}: {reason}", shown(Some(value))),
                    "merge the adapter with peft and compare the merged model, map MERGED --against BASE",
                ));
            }
        }
        Ok(())
    }

    /// Some ways of starting the factors take what they hold out of the base weights, so that W0 + s B A is right for that
    /// changed base only.
    fn check_start(&self) -> Result<(), ModelError> {
        const PLAIN: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];
        let name = match self.get("init_lora_weights") {
            None | Some(Value::Bool(_)) => return Ok(()),
            Some(Value::String(name)) if PLAIN.iter().any(|p| name.eq_ignore_ascii_case(p)) => return Ok(()),
            Some(value) => value,
        };
        Err(key(
            "init_lora_weights",
            "true, false, \"gaussian\", \"eva\", \"orthogonal\" or \"mica\"",
            &format!("{}: this start changes the base weights, or is not known not to", shown(Some(name))),
            "save it with peft as a plain adapter, save_pretrained(folder, path_initial_model_for_weight_conversion=...)",
        ))
    }

    fn patterns<T: Copy>(
        &self,
        name: &'static str,
        expected: &str,
        read: fn(&Value) -> Option<T>,
    ) -> Result<Patterns<T>, ModelError> {
        let read = |(pattern, value): &(String, Value)| {
            let number = read(value).ok_or_else(|| {
                key(&format!("{name}: {pattern}"), expected, &shown(Some(value)), "compare with a file that peft wrote")
            })?;
            Ok((pattern.clone(), number))
        };
        let entries = self.ordered(name).iter().map(read).collect::<Result<Vec<_>, ModelError>>()?;
        Ok(Patterns::new(name, entries))
    }

    fn base_class(&self) -> Option<String> {
        Some(self.get("auto_mapping")?.get("base_model_class")?.as_str()?.to_owned())
    }
}
