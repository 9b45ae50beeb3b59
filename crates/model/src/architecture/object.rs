//! An object of rope settings in `config.json`.

use serde_json::{Map, Value};

use super::settings::Datum;
use crate::error::{ModelError, quoted};

pub(super) fn wrong_in(path: &str, key: &str, found: Option<&Value>, expected: &str) -> ModelError {
    ModelError::Setting {
        key: quoted(&format!("{path}.{key}")),
        expected: expected.to_owned(),
        found: found.map_or_else(|| "nothing".to_owned(), |value| Datum::Json(value).shown()),
    }
}

/// An object of rope settings and where it is.
pub(super) struct Object<'a> {
    pub(super) path: String,
    pub(super) map: Option<&'a Map<String, Value>>,
}

impl Object<'_> {
    /// No settings at all.
    pub(super) const NONE: Self = Self { path: String::new(), map: None };

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.is_some_and(|map| map.contains_key(key))
    }

    pub(super) fn wrong(&self, key: &str, expected: &str) -> ModelError {
        wrong_in(&self.path, key, self.map.and_then(|map| map.get(key)), expected)
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.map.and_then(|map| map.get(key)) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                value.as_f64().filter(|x| x.is_finite()).map(Some).ok_or_else(|| self.wrong(key, "a number"))
            }
        }
    }

    /// A factor above zero that must be there.
    pub(super) fn required(&self, key: &str) -> Result<f64, ModelError> {
        self.number(key)?.filter(|x| *x > 0.0).ok_or_else(|| self.wrong(key, "a number above 0"))
    }

    pub(super) fn text(&self, keys: &[&str]) -> Result<Option<&str>, ModelError> {
        for key in keys {
            match self.map.and_then(|map| map.get(*key)) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => return Ok(Some(text)),
                Some(_) => return Err(self.wrong(key, "a name")),
            }
        }
        Ok(None)
    }

    #[expect(clippy::cast_possible_truncation, reason = "checked to be finite and above 0 right after")]
    pub(super) fn factors(&self, key: &str, count: usize) -> Result<Vec<f32>, ModelError> {
        let wrong = || self.wrong(key, &format!("a list of {count} numbers above 0"));
        let Some(Value::Array(list)) = self.map.and_then(|map| map.get(key)) else { return Err(wrong()) };
        let factors: Option<Vec<f32>> = list.iter().map(|x| x.as_f64().map(|x| x as f32)).collect();
        factors.filter(|f| f.len() == count && f.iter().all(|x| x.is_finite() && *x > 0.0)).ok_or_else(wrong)
    }
}
