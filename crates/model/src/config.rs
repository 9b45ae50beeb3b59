//! The model's own description of itself, whichever format it is in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tomo_checkpoint::{Config, MetaValue};

use crate::arch::FAMILIES;
use crate::error::{ModelError, quoted};
use crate::family::{Dialect, Family};

/// Where to look keys up.
#[derive(Clone, Copy)]
pub(crate) enum Keys<'a> {
    HuggingFace(&'a Map<String, Value>),
    Gguf { metadata: &'a BTreeMap<String, MetaValue>, architecture: &'a str },
}

impl Keys<'_> {
    /// A non-negative whole number; `None` when the key is absent or null.
    pub(crate) fn number(self, key: &str) -> Result<Option<u64>, ModelError> {
        let wrong = |found: String| ModelError::Config {
            key: self.full_key(key),
            expected: "a whole number, 0 or more".to_owned(),
            found,
        };
        match self {
            Self::HuggingFace(object) => match object.get(key) {
                None | Some(Value::Null) => Ok(None),
                Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong(quoted(&value.to_string()))),
            },
            Self::Gguf { metadata, .. } => match metadata.get(&self.full_key(key)) {
                None => Ok(None),
                Some(value) => number_from_metadata(value).map(Some).map_err(wrong),
            },
        }
    }

    /// Whether the key is there, null or not.
    pub(crate) fn has(self, key: &str) -> bool {
        match self {
            Self::HuggingFace(object) => object.contains_key(key),
            Self::Gguf { metadata, .. } => metadata.contains_key(&self.full_key(key)),
        }
    }

    /// The key as it stands in the file.
    pub(crate) fn full_key(self, key: &str) -> String {
        match self {
            Self::HuggingFace(_) => key.to_owned(),
            Self::Gguf { architecture, .. } => format!("{architecture}.{key}"),
        }
    }
}

/// GGUF writes one value, or one per layer; the latter only makes sense here when they are all the same.
fn number_from_metadata(value: &MetaValue) -> Result<u64, String> {
    match value {
        MetaValue::Unsigned(n) => Ok(*n),
        MetaValue::Signed(n) => u64::try_from(*n).map_err(|_| n.to_string()),
        MetaValue::Array(values) => match values.split_first() {
            Some((first, rest)) if rest.iter().all(|v| v == first) && !matches!(first, MetaValue::Array(_)) => {
                number_from_metadata(first)
            }
            _ => Err("an array of different values: layers of different widths are not supported".to_owned()),
        },
        MetaValue::Float(x) => Err(x.to_string()),
        MetaValue::Bool(b) => Err(b.to_string()),
        MetaValue::Text(text) => Err(quoted(text)),
    }
}

/// A family that a config names.
pub(crate) struct Named<'a> {
    pub(crate) family: &'static Family,
    pub(crate) dialect: &'static Dialect,
    pub(crate) keys: Keys<'a>,
}

/// The family a config names; the error is what the config says it is, for a message.
pub(crate) fn family_from_config(config: &Config) -> Result<Named<'_>, String> {
    match config {
        Config::HuggingFace(value) => family_from_hugging_face(value),
        Config::Gguf(metadata) => family_from_gguf(metadata),
        Config::Absent => Err("there is no config, and the tensor names are of no known family".to_owned()),
    }
}

fn family_from_hugging_face(config: &Value) -> Result<Named<'_>, String> {
    let top = config.as_object().ok_or("config.json is not an object")?;
    // A multimodal model describes its language model in an object of its own.
    let text = top.get("text_config").and_then(Value::as_object);
    let places = text.into_iter().chain([top]);
    let by_type = |object: &Map<String, Value>| {
        let name = object.get("model_type")?.as_str()?;
        FAMILIES.iter().find(|f| f.model_types.contains(&name))
    };
    let by_class = |object: &Map<String, Value>| {
        let names = object.get("architectures")?.as_array()?;
        FAMILIES.iter().find(|f| names.iter().filter_map(Value::as_str).any(|name| is_class_of(f, name)))
    };
    let family = places.clone().find_map(by_type).or_else(|| {
        // A type that is stated and not known must not be overruled by a class name that happens to fit.
        let silent = places.clone().all(|o| !o.contains_key("model_type"));
        if silent { places.clone().find_map(by_class) } else { None }
    });
    match family {
        Some(family) => {
            Ok(Named { family, dialect: &family.hugging_face, keys: Keys::HuggingFace(text.unwrap_or(top)) })
        }
        None => Err(stated(top, text)),
    }
}

/// `LlamaForCausalLM`, `LlamaModel`, `GPT2LMHeadModel` are classes of the stems `Llama` and `GPT2`.
pub(crate) fn is_class_of(family: &Family, name: &str) -> bool {
    const TAILS: [&str; 5] = ["For", "Model", "LMHeadModel", "TextModel", "DoubleHeadsModel"];
    family
        .classes
        .iter()
        .filter_map(|stem| name.strip_prefix(stem))
        .any(|tail| TAILS.iter().any(|t| tail == *t || (*t == "For" && tail.starts_with(t))))
}

fn stated(top: &Map<String, Value>, text: Option<&Map<String, Value>>) -> String {
    let mut out = Vec::new();
    for (prefix, object) in [("", Some(top)), ("text_config.", text)] {
        for key in ["model_type", "architectures"] {
            if let Some(value) = object.and_then(|o| o.get(key)) {
                out.push(format!("{prefix}{key} {}", quoted(&value.to_string())));
            }
        }
    }
    if out.is_empty() { "config.json has neither model_type nor architectures".to_owned() } else { out.join(", ") }
}

fn family_from_gguf(metadata: &BTreeMap<String, MetaValue>) -> Result<Named<'_>, String> {
    let Some(MetaValue::Text(architecture)) = metadata.get("general.architecture") else {
        return Err("the metadata has no general.architecture".to_owned());
    };
    let keys = Keys::Gguf { metadata, architecture };
    let experts = matches!(keys.number("expert_count"), Ok(Some(n)) if n > 0);
    let fits = |f: &&&Family| f.gguf_architectures.contains(&architecture.as_str()) && f.experts == experts;
    match FAMILIES.iter().find(fits) {
        Some(family) => Ok(Named { family, dialect: &family.gguf, keys }),
        None => {
            let kind = if experts { " with experts" } else { "" };
            Err(format!("general.architecture {}{kind}", quoted(architecture)))
        }
    }
}
