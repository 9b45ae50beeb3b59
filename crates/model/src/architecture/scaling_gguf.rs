//! Rope settings of GGUF: keys beside each other, and divisors in tensors.

use super::object::Object;
use super::rope::{Rope, Yarn, divided, frequencies, linear, yarn, yarn_attention};
use super::rules::NumberFrom;
use super::scaling::{Base, Ropes, longrope, plain, with_attention};
use crate::error::{ModelError, quoted};

/// Keys of GGUF that are read for every rope.
pub(crate) const GGUF_KEYS: [&str; 8] = [
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.original_context_length",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
];

/// Tensors of GGUF that are read for every rope: a divisor per frequency.
pub(crate) const GGUF_TENSORS: [&str; 3] =
    ["rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"];

impl Ropes<'_> {
    pub(super) fn gguf(&self) -> Result<Rope, ModelError> {
        let settings = self.settings;
        let theta = settings.required(self.rule.theta, "the base of the rotary embedding")?;
        let base = self.base(&Object::NONE, theta)?;
        let factor =
            |key: &'static str| settings.positive(&[NumberFrom::Key(key)], "a factor").map(|x| x.map(f64::from));
        let scale = match factor("rope.scaling.factor")? {
            Some(scale) => scale,
            None => factor("rope.scale_linear")?.unwrap_or(1.0),
        };
        let extra = factor("rope.scaling.attn_factor")?.unwrap_or(1.0);
        let kind = match settings.get("rope.scaling.type") {
            None => "linear",
            Some(datum) => datum.text().unwrap_or_default(),
        };
        let [freqs, short, long] = GGUF_TENSORS.map(|name| self.divisors(name, base));
        let (freqs, short, long) = (freqs?, short?, long?);
        let rope = match (kind, short, long, freqs) {
            ("linear" | "longrope" | "none", Some(short), Some(long), None) if scale == 1.0 => {
                longrope(base, self.gguf_context()?, &short, &long)
            }
            ("linear" | "none", None, None, Some(freqs)) if scale == 1.0 || kind == "none" => {
                plain(divided(base.theta, base.dims, &freqs), base.dims)
            }
            ("none", None, None, None) => plain(frequencies(base.theta, base.dims), base.dims),
            ("linear", None, None, None) => plain(linear(base.theta, base.dims, scale), base.dims),
            ("yarn", None, None, None) => self.gguf_yarn(base, scale)?,
            _ => {
                let expected = "none, linear, yarn or longrope, and rope_freqs or rope_factors tensors that fit it";
                return Err(settings.wrong("rope.scaling.type", expected));
            }
        };
        let attention = f64::from(rope.attention_factor) * extra;
        self.checked(with_attention(rope, attention), &Object::NONE)
    }

    fn gguf_yarn(&self, base: Base, factor: f64) -> Result<Rope, ModelError> {
        let number = |key: &'static str| self.settings.positive(&[NumberFrom::Key(key)], "a factor");
        let attention = number("rope.scaling.yarn_attn_factor")?.map_or(yarn_attention(factor, 1.0), f64::from);
        let fast = number("rope.scaling.yarn_beta_fast")?.map_or(32.0, f64::from);
        let slow = number("rope.scaling.yarn_beta_slow")?.map_or(1.0, f64::from);
        let scaling = Yarn { factor, context: self.gguf_context()?, fast, slow, truncate: true };
        Ok(with_attention(plain(yarn(base.theta, base.dims, scaling), base.dims), attention))
    }

    fn gguf_context(&self) -> Result<f64, ModelError> {
        #[expect(clippy::cast_precision_loss)]
        let found = self.settings.count(self.rule.original_context, "positions before scaling")?.map(|n| n as f64);
        found.filter(|n| *n >= 2.0).ok_or_else(|| {
            self.settings
                .wrong("rope.scaling.original_context_length", "a whole number, 2 or more: positions before scaling")
        })
    }

    /// A tensor with one divisor per frequency.
    fn divisors(&self, name: &str, base: Base) -> Result<Option<Vec<f32>>, ModelError> {
        let Some(tensor) = self.source.tensor(name) else { return Ok(None) };
        let count = base.dims / 2;
        if tensor.numel() != count as u64 {
            return Err(ModelError::Shape {
                what: "the tensor of rotary factors".to_owned(),
                tensor: quoted(name),
                expected: format!("[{count}]"),
                found: format!("{:?}", tensor.shape),
            });
        }
        let mut out = vec![0.0; count];
        self.source.decode(name, 0..count as u64, &mut out)?;
        match out.iter().position(|x| !(x.is_finite() && *x > 0.0)) {
            None => Ok(Some(out)),
            Some(at) => Err(ModelError::Unsupported {
                tensor: quoted(name),
                reason: format!("entry {at} is {}, where a number above 0 is expected", out[at]),
            }),
        }
    }
}
