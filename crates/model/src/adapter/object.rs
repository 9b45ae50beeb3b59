//! A JSON object whose order and repetitions count, and what is said of its keys.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use crate::error::{ModelError, quoted};

/// The keys of the file, in its order: of several patterns the first that matches counts.
pub(super) struct Object(pub(super) Vec<(String, Field)>);

/// The value of a key.
pub(super) enum Field {
    /// Of most keys.
    Plain(Value),
    /// Of a key whose own keys have an order that counts.
    Ordered(Vec<(String, Value)>),
}

impl Object {
    /// Reads the bytes of `adapter_config.json`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let entries = Entries.deserialize(&mut json).and_then(|entries| json.end().map(|()| entries));
        let wrong =
            |e: serde_json::Error| key("", "a JSON object", &quoted(&e.to_string()), "fetch or write the file again");
        entries.map(Self).map_err(wrong)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|(key, field)| match field {
            Field::Plain(value) if key == name && !value.is_null() => Some(value),
            _ => None,
        })
    }

    /// The entries of a key whose order counts.
    pub(super) fn ordered(&self, name: &str) -> &[(String, Value)] {
        let entries = self.0.iter().find_map(|(key, field)| match field {
            Field::Ordered(entries) if key == name => Some(entries.as_slice()),
            _ => None,
        });
        entries.unwrap_or_default()
    }

    pub(super) fn one_of(&self, name: &str, allowed: &[&str]) -> Result<(), ModelError> {
        match self.get(name) {
            None => Ok(()),
            Some(Value::String(found)) if allowed.contains(&found.as_str()) => Ok(()),
            found => Err(key(name, &allowed.join(", "), &shown(found), "compare with a file that peft wrote")),
        }
    }

    pub(super) fn required<T>(
        &self,
        name: &str,
        expected: &str,
        read: fn(&Value) -> Option<T>,
    ) -> Result<T, ModelError> {
        let found = self.get(name);
        found.and_then(read).ok_or_else(|| key(name, expected, &shown(found), "compare with a file that peft wrote"))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, ModelError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            found => Err(key(name, "true or false", &shown(found), "compare with a file that peft wrote")),
        }
    }
}

/// An error about one key.
pub(super) fn key(key: &str, expected: &str, found: &str, hint: &str) -> ModelError {
    ModelError::AdapterKey {
        key: if key.is_empty() { "the whole file".to_owned() } else { quoted(key) },
        expected: expected.to_owned(),
        found: found.to_owned(),
        hint: hint.to_owned(),
    }
}

/// A value of the file, fit for a terminal.
pub(super) fn shown(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => quoted(text),
        Some(value @ (Value::Array(_) | Value::Object(_))) => quoted(&value.to_string()),
        Some(value) => value.to_string(),
    }
}

/// Reads the top level of the file and refuses a key that stands there twice.
struct Entries;

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = Vec<(String, Field)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(String, Field)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the keys of an adapter's configuration")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen = BTreeSet::new();
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("the key {name:?} occurs twice")));
            }
            let is_ordered = matches!(name.as_str(), "rank_pattern" | "alpha_pattern");
            let field =
                if is_ordered { Field::Ordered(map.next_value_seed(Pairs)?) } else { Field::Plain(map.next_value()?) };
            entries.push((name, field));
        }
        Ok(entries)
    }
}

/// An object with its order, or null.
struct Pairs;

impl<'de> DeserializeSeed<'de> for Pairs {
    type Value = Vec<(String, Value)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from patterns to numbers, or null")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry::<String, Value>()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}
