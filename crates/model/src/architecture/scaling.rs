//! From a config's rope settings to a [`Rope`].

use serde_json::Value;
use tomo_checkpoint::Source;

use super::object::{Object, wrong_in};
use super::rope::{
    Llama3, LongRope, Rope, Yarn, divided, frequencies, linear, llama3, longrope_attention, yarn, yarn_attention,
};
use super::rules::RopeFrom;
use super::settings::{Datum, Settings};
use crate::config::Keys;
use crate::error::{ModelError, quoted};

/// Keys that hold an object of rope settings, in the newer and the older dialect.
pub(crate) const OBJECTS: [&str; 2] = ["rope_scaling", "rope_parameters"];

/// The objects inside `rope_parameters` where layers rotate differently.
const LAYER_KINDS: [&str; 2] = ["full_attention", "sliding_attention"];

/// What it takes to read rope settings.
pub(crate) struct Ropes<'a> {
    pub(crate) settings: &'a Settings<'a>,
    pub(crate) rule: &'a RopeFrom,
    pub(crate) source: &'a dyn Source,
    pub(crate) context: Option<usize>,
    pub(crate) ignored: &'a [String],
}

/// A base and how much of a head rotates.
#[derive(Clone, Copy)]
pub(super) struct Base {
    pub(super) theta: f64,
    pub(super) dims: usize,
}

impl Ropes<'_> {
    /// The rope of layers that see everything.
    pub(crate) fn global(&self) -> Result<Rope, ModelError> {
        match self.settings.keys {
            Keys::Gguf { .. } => self.gguf(),
            Keys::HuggingFace(_) => self.rope_in(&self.object("full_attention")?),
        }
    }

    /// The rope of windowed layers, where it is another one.
    pub(crate) fn local(&self) -> Result<Option<Rope>, ModelError> {
        if self.rule.local_theta.is_empty() {
            return Ok(None);
        }
        let object = match self.settings.keys {
            Keys::HuggingFace(_) => self.object("sliding_attention")?,
            Keys::Gguf { .. } => Object::NONE,
        };
        if let Some(map) = object.map.filter(|map| !map.is_empty()) {
            return self.rope_in(&Object { path: object.path, map: Some(map) }).map(Some);
        }
        let theta = self.settings.required(self.rule.local_theta, "the rope base of windowed layers")?;
        let base = self.base(&object, theta)?;
        Ok(Some(plain(frequencies(base.theta, base.dims), base.dims)))
    }

    /// The object of rope settings that holds for one kind of layer.
    fn object(&self, kind: &str) -> Result<Object<'_>, ModelError> {
        let found = OBJECTS.iter().find_map(|key| Some((*key, self.settings.some(key)?)));
        let Some((key, datum)) = found else { return Ok(Object::NONE) };
        let Datum::Json(Value::Object(map)) = datum else {
            return Err(self.settings.wrong(key, "an object of rope settings"));
        };
        let nested = LAYER_KINDS.iter().any(|kind| map.contains_key(*kind));
        if self.rule.local_theta.is_empty() || (!nested && key == "rope_scaling") {
            // The older dialect scales the layers that see everything, and those only.
            let map = (kind == "full_attention" || self.rule.local_theta.is_empty()).then_some(map);
            return Ok(Object { path: key.to_owned(), map });
        }
        if let Some(stray) = map.keys().find(|key| !LAYER_KINDS.contains(&key.as_str())) {
            let expected = "full_attention and sliding_attention, with an object of rope settings each";
            return Err(wrong_in(key, stray, map.get(stray), expected));
        }
        let map = match map.get(kind) {
            Some(Value::Object(map)) => Some(map),
            None | Some(Value::Null) => None,
            found => return Err(wrong_in(key, kind, found, "an object of rope settings")),
        };
        Ok(Object { path: format!("{key}.{kind}"), map })
    }

    fn rope_in(&self, object: &Object<'_>) -> Result<Rope, ModelError> {
        let theta = match object.number("rope_theta")? {
            Some(theta) => theta,
            None => self.settings.required(self.rule.theta, "the base of the rotary embedding")?,
        };
        let base = self.base(object, theta)?;
        let kind = object.text(&["rope_type", "type"])?.unwrap_or("default");
        let kind = if self.rule.yarn_is_longrope && ["su", "yarn"].contains(&kind) { "longrope" } else { kind };
        let (rope, read): (Rope, &[&str]) = match kind {
            "default" => (plain(frequencies(base.theta, base.dims), base.dims), &[]),
            "linear" => {
                let factor = object.required("factor")?;
                (plain(linear(base.theta, base.dims, factor), base.dims), &["factor"])
            }
            "dynamic" => (self.dynamic(object, base)?, &["factor", "original_max_position_embeddings"]),
            "llama3" => {
                let keys = &["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"];
                (self.llama3(object, base)?, keys)
            }
            "yarn" => (self.yarn(object, base)?, YARN_KEYS),
            "longrope" => (self.longrope(object, base)?, LONGROPE_KEYS),
            _ => {
                let expected = "default, linear, dynamic, llama3, yarn or longrope";
                return Err(object.wrong(if object.has("rope_type") { "rope_type" } else { "type" }, expected));
            }
        };
        self.check_read(object, kind, read)?;
        self.checked(rope, object)
    }

    /// Nothing in the object may go unread.
    fn check_read(&self, object: &Object<'_>, kind: &str, read: &[&str]) -> Result<(), ModelError> {
        // What `default` ignores says how long the model was trained, not how it rotates.
        let harmless: &[&str] = if kind == "default" { &["original_max_position_embeddings"] } else { &[] };
        for (key, value) in object.map.into_iter().flatten() {
            let known = ["rope_theta", "rope_type", "type", "partial_rotary_factor"].contains(&key.as_str())
                || read.contains(&key.as_str())
                || harmless.contains(&key.as_str())
                || (self.rule.yarn_is_longrope && kind == "default" && LONGROPE_KEYS.contains(&key.as_str()));
            let path = format!("{}.{key}", object.path);
            if !known && !value.is_null() && !self.ignored.contains(&path) {
                return Err(ModelError::UnknownKey {
                    key: quoted(&path),
                    found: Datum::Json(value).shown(),
                    reason: format!("rope settings of the kind {kind:?} do not have it"),
                });
            }
        }
        Ok(())
    }

    pub(super) fn base(&self, object: &Object<'_>, theta: f64) -> Result<Base, ModelError> {
        if !(theta.is_finite() && theta > 1.0 && theta < 1e30) {
            let key = self.settings.keys_of(self.rule.theta).next().unwrap_or("rope_theta");
            return Err(match object.has("rope_theta") {
                true => object.wrong("rope_theta", "a number above 1"),
                false => self.settings.wrong(key, "a number above 1"),
            });
        }
        let head_dim = self.settings.sizes.head_dim;
        let stored = self.settings.count(self.rule.dims, "how many dims of each head rotate")?;
        let share = match object.number("partial_rotary_factor")? {
            Some(share) if self.rule.share.is_empty() && share != 1.0 => {
                return Err(object.wrong("partial_rotary_factor", "1: this family rotates whole heads"));
            }
            Some(share) => share,
            None => self.settings.number(self.rule.share)?.unwrap_or(1.0),
        };
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let dims = stored.unwrap_or((head_dim as f64 * share.clamp(0.0, 2.0)) as usize);
        if dims == 0 || dims % 2 != 0 || dims > head_dim {
            let key = self.settings.keys_of(self.rule.dims).chain(self.settings.keys_of(self.rule.share)).next();
            return Err(ModelError::Setting {
                key: quoted(&self.settings.keys.full_key(key.unwrap_or("head_dim"))),
                expected: format!("an even number of rotating dims, at most the head dim {head_dim}"),
                found: format!("{dims} of {head_dim}"),
            });
        }
        Ok(Base { theta, dims })
    }

    fn dynamic(&self, object: &Object<'_>, base: Base) -> Result<Rope, ModelError> {
        let factor = object.required("factor")?;
        let context = self.context()?;
        if base.dims < 4 {
            return Err(object.wrong("rope_type", "a kind that two rotating dims allow: dynamic needs four"));
        }
        let long = Some(LongRope::Growing { context, theta: base.theta, factor });
        Ok(Rope { long, ..plain(frequencies(base.theta, base.dims), base.dims) })
    }

    fn llama3(&self, object: &Object<'_>, base: Base) -> Result<Rope, ModelError> {
        let scaling = Llama3 {
            factor: object.required("factor")?,
            low: object.required("low_freq_factor")?,
            high: object.required("high_freq_factor")?,
            context: self.original_context(object)?,
        };
        if scaling.high <= scaling.low {
            return Err(object.wrong("high_freq_factor", "more than low_freq_factor"));
        }
        Ok(plain(llama3(base.theta, base.dims, scaling), base.dims))
    }

    fn yarn(&self, object: &Object<'_>, base: Base) -> Result<Rope, ModelError> {
        let context = self.original_context(object)?;
        let factor = match object.number("factor")? {
            Some(_) => object.required("factor")?,
            None => self.stretch(context)?,
        };
        let positive = |key: &str| object.number(key).map(|x| x.filter(|x| *x != 0.0));
        let attention = match (object.number("attention_factor")?, positive("mscale")?, positive("mscale_all_dim")?) {
            (Some(attention), ..) => attention,
            (None, Some(mscale), Some(all)) => yarn_attention(factor, mscale) / yarn_attention(factor, all),
            _ => yarn_attention(factor, 1.0),
        };
        let truncate = match object.map.and_then(|map| map.get("truncate")) {
            None | Some(Value::Null) => true,
            Some(value) => Datum::Json(value).truth().ok_or_else(|| object.wrong("truncate", "true or false"))?,
        };
        let fast = positive("beta_fast")?.unwrap_or(32.0);
        let slow = positive("beta_slow")?.unwrap_or(1.0);
        let scaling = Yarn { factor, context, fast, slow, truncate };
        Ok(with_attention(plain(yarn(base.theta, base.dims, scaling), base.dims), attention))
    }

    fn longrope(&self, object: &Object<'_>, base: Base) -> Result<Rope, ModelError> {
        let original = self.original_context(object)?;
        let factor = match object.number("factor")? {
            Some(_) => object.required("factor")?,
            None => self.stretch(original)?,
        };
        let attention = match object.number("attention_factor")? {
            Some(attention) => attention,
            None => longrope_attention(factor, original),
        };
        let (short, long) =
            (object.factors("short_factor", base.dims / 2)?, object.factors("long_factor", base.dims / 2)?);
        Ok(with_attention(longrope(base, original, &short, &long), attention))
    }

    /// Positions before scaling.
    fn original_context(&self, object: &Object<'_>) -> Result<f64, ModelError> {
        let key = "original_max_position_embeddings";
        let found = match self.settings.number(self.rule.original_context)? {
            Some(context) => context,
            None => match object.number(key)? {
                Some(context) => context,
                #[expect(clippy::cast_precision_loss)]
                None => self.context()? as f64,
            },
        };
        if found >= 2.0 && found <= f64::from(u32::MAX) && found.fract() == 0.0 {
            return Ok(found);
        }
        Err(object.wrong(key, "a whole number, 2 or more"))
    }

    /// Positions now over positions before.
    fn stretch(&self, original: f64) -> Result<f64, ModelError> {
        #[expect(clippy::cast_precision_loss)]
        self.context().map(|context| context as f64 / original)
    }

    fn context(&self) -> Result<usize, ModelError> {
        self.context
            .ok_or_else(|| self.settings.wrong("max_position_embeddings", "a number: the rope settings need it"))
    }

    /// What the executor relies on.
    pub(super) fn checked(&self, rope: Rope, object: &Object<'_>) -> Result<Rope, ModelError> {
        let long = match &rope.long {
            Some(LongRope::Fixed { frequencies, .. }) => frequencies.as_slice(),
            _ => &[],
        };
        let finite = rope.frequencies.iter().chain(long).all(|f| f.is_finite());
        if finite && rope.attention_factor.is_finite() && rope.attention_factor > 0.0 {
            return Ok(rope);
        }
        Err(ModelError::Setting {
            key: quoted(if object.path.is_empty() { "rope settings" } else { &object.path }),
            expected: "rotary frequencies that are finite numbers".to_owned(),
            found: "settings that give others".to_owned(),
        })
    }
}

/// Keys of rope settings of the kind yarn.
const YARN_KEYS: &[&str] = &[
    "factor",
    "original_max_position_embeddings",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "truncate",
];

/// Keys of rope settings of the kind longrope.
const LONGROPE_KEYS: &[&str] =
    &["short_factor", "long_factor", "factor", "original_max_position_embeddings", "attention_factor"];

pub(super) fn plain(frequencies: Vec<f32>, dims: usize) -> Rope {
    Rope { dims, frequencies, attention_factor: 1.0, long: None }
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be finite in `checked`")]
pub(super) fn with_attention(rope: Rope, attention: f64) -> Rope {
    Rope { attention_factor: attention as f32, ..rope }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number within u32")]
pub(super) fn longrope(base: Base, original: f64, short: &[f32], long: &[f32]) -> Rope {
    let frequencies = divided(base.theta, base.dims, long);
    let long = Some(LongRope::Fixed { context: original as usize, frequencies });
    Rope { long, ..plain(divided(base.theta, base.dims, short), base.dims) }
}
