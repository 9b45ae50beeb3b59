//! Reading values of either dialect.

use serde_json::Value;
use tomo_checkpoint::MetaValue;

use super::rules::{NumberFrom, Switch};
use crate::config::Keys;
use crate::error::{ModelError, quoted};

/// A value of either dialect.
#[derive(Clone, Copy)]
pub(crate) enum Datum<'a> {
    Json(&'a Value),
    Meta(&'a MetaValue),
}

impl<'a> Datum<'a> {
    pub(crate) fn is_null(self) -> bool {
        matches!(self, Self::Json(Value::Null))
    }

    pub(crate) fn number(self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "no config has whole numbers beyond 2^53")]
        match self {
            Self::Json(value) => value.as_f64(),
            Self::Meta(MetaValue::Unsigned(n)) => Some(*n as f64),
            Self::Meta(MetaValue::Signed(n)) => Some(*n as f64),
            Self::Meta(MetaValue::Float(x)) => Some(*x),
            Self::Meta(_) => None,
        }
    }

    /// True or false; 1 and 0 mean the same.
    pub(crate) fn truth(self) -> Option<bool> {
        match (self, self.number()) {
            (Self::Json(Value::Bool(b)), _) | (Self::Meta(MetaValue::Bool(b)), _) => Some(*b),
            (_, Some(x)) if x == 0.0 || x == 1.0 => Some(x == 1.0),
            _ => None,
        }
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        match self {
            Self::Json(Value::String(text)) | Self::Meta(MetaValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(self) -> Option<Vec<Self>> {
        match self {
            Self::Json(Value::Array(values)) => Some(values.iter().map(Self::Json).collect()),
            Self::Meta(MetaValue::Array(values)) => Some(values.iter().map(Self::Meta).collect()),
            _ => None,
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Json(Value::Object(object)) => object.is_empty(),
            _ => self.list().is_some_and(|list| list.is_empty()),
        }
    }

    /// For a message: quoted and cut.
    pub(crate) fn shown(self) -> String {
        match self {
            Self::Json(value) => quoted(&value.to_string()),
            Self::Meta(MetaValue::Array(values)) => format!("a list of {}", values.len()),
            Self::Meta(MetaValue::Text(text)) => quoted(text),
            Self::Meta(MetaValue::Unsigned(n)) => n.to_string(),
            Self::Meta(MetaValue::Signed(n)) => n.to_string(),
            Self::Meta(MetaValue::Float(x)) => x.to_string(),
            Self::Meta(MetaValue::Bool(b)) => b.to_string(),
        }
    }
}

/// What numbers may follow from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

/// A config with the dims that are known by now.
#[derive(Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) keys: Keys<'a>,
    /// `model_type`, which decides in families of several types.
    pub(crate) model_type: Option<&'a str>,
    pub(crate) sizes: Sizes,
}

impl<'a> Settings<'a> {
    /// The value of a key, null included; `None` where the key is absent.
    pub(crate) fn get(&self, key: &str) -> Option<Datum<'a>> {
        match self.keys {
            Keys::HuggingFace(object) => object.get(key).map(Datum::Json),
            Keys::Gguf { metadata, .. } => metadata.get(&self.keys.full_key(key)).map(Datum::Meta),
        }
    }

    /// The value of a key that is neither absent nor null.
    pub(crate) fn some(&self, key: &str) -> Option<Datum<'a>> {
        self.get(key).filter(|datum| !datum.is_null())
    }

    /// A complaint about a key.
    pub(crate) fn wrong(&self, key: &str, expected: impl Into<String>) -> ModelError {
        let found = self.get(key).map_or_else(|| "nothing".to_owned(), Datum::shown);
        ModelError::Setting { key: quoted(&self.keys.full_key(key)), expected: expected.into(), found }
    }

    /// The first number that a place gives; a key that is null ends the search without a number.
    pub(crate) fn number(&self, places: &[NumberFrom]) -> Result<Option<f64>, ModelError> {
        for place in places {
            if key_of(*place).is_some_and(|key| self.means(*place) && self.get(key).is_some_and(Datum::is_null)) {
                return Ok(None);
            }
            if let Some(number) = self.number_at(*place)? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// The first number that a place gives, which must be there, null or not.
    pub(crate) fn required(&self, places: &[NumberFrom], what: &str) -> Result<f64, ModelError> {
        for place in places {
            if let Some(number) = self.number_at(*place)? {
                return Ok(number);
            }
        }
        Err(self.wrong(first_key(places), format!("a number: {what}")))
    }

    /// A number above zero, in f32; `None` where no place gives one, and in GGUF for 0, which means none there.
    pub(crate) fn positive(&self, places: &[NumberFrom], what: &str) -> Result<Option<f32>, ModelError> {
        let found = self.number(places)?.filter(|x| *x != 0.0 || !matches!(self.keys, Keys::Gguf { .. }));
        found.map(|x| self.narrow(x, places, what)).transpose()
    }

    /// A multiplier: 1 where no place gives one.
    pub(crate) fn multiplier(&self, places: &[NumberFrom], what: &str) -> Result<f32, ModelError> {
        Ok(self.positive(places, what)?.unwrap_or(1.0))
    }

    /// `x` as f32, above zero and finite.
    pub(crate) fn narrow(&self, x: f64, places: &[NumberFrom], what: &str) -> Result<f32, ModelError> {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be finite right after")]
        let narrow = x as f32;
        if narrow.is_finite() && narrow > 0.0 {
            return Ok(narrow);
        }
        Err(self.wrong(first_key(places), format!("a number above 0: {what}")))
    }

    /// A whole number from 1 on.
    pub(crate) fn count(&self, places: &[NumberFrom], what: &str) -> Result<Option<usize>, ModelError> {
        let found = self.number(places)?.filter(|x| *x != 0.0 || !matches!(self.keys, Keys::Gguf { .. }));
        let Some(x) = found else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range and whole")]
        if x >= 1.0 && x <= f64::from(u32::MAX) && x.fract() == 0.0 {
            return Ok(Some(x as usize));
        }
        Err(self.wrong(first_key(places), format!("a whole number, 1 or more: {what}")))
    }

    /// A switch; null means the same as absence.
    pub(crate) fn switch(&self, switch: Switch) -> Result<bool, ModelError> {
        match switch {
            Switch::Always(on) => Ok(on),
            Switch::Key(key, absent) => match self.some(key) {
                None => Ok(absent),
                Some(datum) => datum.truth().ok_or_else(|| self.wrong(key, "true or false")),
            },
        }
    }

    /// Whether this config means a place at all.
    fn means(&self, place: NumberFrom) -> bool {
        match place {
            NumberFrom::KeyOfType(model_type, _) | NumberFrom::ValueOfType(model_type, _) => {
                self.model_type == Some(model_type)
            }
            _ => true,
        }
    }

    fn number_at(&self, place: NumberFrom) -> Result<Option<f64>, ModelError> {
        if !self.means(place) {
            return Ok(None);
        }
        let key = |key: &str| {
            let Some(datum) = self.some(key) else { return Ok(None) };
            let number = datum.number().filter(|x| x.is_finite());
            number.map(Some).ok_or_else(|| self.wrong(key, "a number"))
        };
        #[expect(clippy::cast_precision_loss, reason = "dims are far below 2^53")]
        let [hidden, heads, head_dim] = [self.sizes.hidden, self.sizes.heads, self.sizes.head_dim].map(|n| n as f64);
        Ok(match place {
            NumberFrom::Key(name) | NumberFrom::KeyOfType(_, name) => key(name)?,
            NumberFrom::Reciprocal(name) => key(name)?.map(f64::recip),
            NumberFrom::InverseSqrt(name) => key(name)?.map(|x| x.sqrt().recip()),
            NumberFrom::Value(x) | NumberFrom::ValueOfType(_, x) => Some(x),
            NumberFrom::ValueUnless(name, x) => (!self.switch(Switch::Key(name, true))?).then_some(x),
            NumberFrom::SqrtHidden => Some(hidden.sqrt()),
            NumberFrom::InverseSqrtHeadDim => Some(head_dim.sqrt().recip()),
            NumberFrom::InverseSqrtHiddenPerHead(layers) => {
                (self.sizes.layers == layers as usize).then(|| (hidden / heads).floor().sqrt().recip())
            }
        })
    }

    /// The keys that `places` name and this config means.
    pub(crate) fn keys_of<'p>(&self, places: &'p [NumberFrom]) -> impl Iterator<Item = &'static str> + use<'a, 'p> {
        let model_type = self.model_type;
        let means = move |place: NumberFrom| match place {
            NumberFrom::KeyOfType(only, _) => model_type == Some(only),
            _ => true,
        };
        places.iter().filter(move |place| means(**place)).filter_map(|place| key_of(*place))
    }
}

/// The key that a place reads.
pub(crate) fn key_of(place: NumberFrom) -> Option<&'static str> {
    match place {
        NumberFrom::Key(key)
        | NumberFrom::Reciprocal(key)
        | NumberFrom::InverseSqrt(key)
        | NumberFrom::KeyOfType(_, key)
        | NumberFrom::ValueUnless(key, _) => Some(key),
        _ => None,
    }
}

/// The key to name in a complaint.
fn first_key(places: &[NumberFrom]) -> &'static str {
    places.iter().find_map(|place| key_of(*place)).unwrap_or("model dimensions")
}
