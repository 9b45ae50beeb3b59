//! From a family's rules and a checkpoint to its [`Architecture`].

use std::collections::BTreeSet;

use serde_json::Value;
use tomo_map::Component;

use super::rules::{ActivationFrom, Arithmetic, NumberFrom, Presence, Switch, WiringFrom};
use super::scaling::Ropes;
use super::settings::{Settings, Sizes};
use super::tensors::{Names, Tensors};
use super::{
    Activation, Architecture, Attention, Embedding, Experts, Head, HeadNorm, Layer, Mlp, Norm, Rope, Span, Wiring, keys,
};
use crate::config::{Keys, family_from_config};
use crate::error::{ModelError, quoted};
use crate::family::NormPlace;
use crate::model::Model;

/// How `model` computes; keys in `ignored` are taken to change nothing.
pub(crate) fn resolve(model: &Model, ignored: &[String]) -> Result<Architecture, ModelError> {
    let not_runnable = |reason: &str| ModelError::NotRunnable { reason: reason.to_owned() };
    let entry = model.entry().ok_or_else(|| not_runnable("its family is not known, only where its cells are"))?;
    let named = family_from_config(model.source().config())
        .map_err(|_| not_runnable("it has no config, and shapes do not tell how it computes"))?;
    if !std::ptr::eq(entry, named.family) {
        return Err(not_runnable("its config and its cells are of different families"));
    }
    let settings = Settings { keys: named.keys, model_type: model_type(model, named.keys), sizes: sizes(model)? };
    let rules = &named.dialect.arithmetic;
    keys::check(&settings, rules, &named.dialect.dims, ignored)?;
    let tensors = Tensors::new(model, named.dialect, settings.sizes)?;
    tensors.check_all_used(rules)?;
    Resolver { model, settings, rules, tensors, ignored }.architecture()
}

/// The type that decides where one family has several: of the language model, or else of the whole.
fn model_type<'a>(model: &'a Model, keys: Keys<'a>) -> Option<&'a str> {
    let Keys::HuggingFace(object) = keys else { return None };
    let tomo_checkpoint::Config::HuggingFace(top) = model.source().config() else { return None };
    object.get("model_type").or_else(|| top.get("model_type")).and_then(Value::as_str)
}

fn sizes(model: &Model) -> Result<Sizes, ModelError> {
    let dims = model.dims();
    let size = |n: Option<u64>, key: &str| {
        n.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).ok_or_else(|| ModelError::Setting {
            key: quoted(key),
            expected: "a whole number, 1 or more".to_owned(),
            found: n.map_or_else(|| "nothing".to_owned(), |n| n.to_string()),
        })
    };
    let sizes = Sizes {
        layers: dims.layers as usize,
        hidden: size(dims.hidden, "hidden size")?,
        heads: size(dims.heads, "number of heads")?,
        kv_heads: size(dims.kv_heads, "number of key-value heads")?,
        head_dim: size(dims.head_dim, "head dim")?,
    };
    if !sizes.heads.is_multiple_of(sizes.kv_heads) {
        return Err(ModelError::Setting {
            key: quoted("number of key-value heads"),
            expected: format!("a divisor of the {} query heads", sizes.heads),
            found: sizes.kv_heads.to_string(),
        });
    }
    Ok(sizes)
}

struct Resolver<'a> {
    model: &'a Model,
    settings: Settings<'a>,
    rules: &'a Arithmetic,
    tensors: Tensors<'a>,
    ignored: &'a [String],
}

/// What is the same in every layer, or has one entry per layer.
struct Shared {
    epsilon: f32,
    scale: f64,
    softcap: Option<f32>,
    clip: Option<f32>,
    residual_scale: f32,
    by_depth: bool,
    activation: Activation,
    windows: Vec<Option<usize>>,
    ropes: Vec<Option<usize>>,
    with_experts: BTreeSet<u32>,
}

impl Resolver<'_> {
    fn architecture(&self) -> Result<Architecture, ModelError> {
        let (settings, rules) = (&self.settings, self.rules);
        let context = settings.count(rules.context, "positions")?;
        self.tensors.check_biases(rules, settings)?;
        let rotated = settings.layers(rules.rope.map_or(&[], |rope| rope.layers), &[])?;
        let windows = settings.windows(&rules.window, &rotated)?;
        let (ropes, rope_of) = self.ropes(context, &rotated, &windows)?;
        let epsilon = settings.required(rules.epsilon, "added to the variance in norms")?;
        let shared = Shared {
            epsilon: settings.narrow(epsilon, rules.epsilon, "added to the variance in norms")?,
            scale: settings.required(rules.scale, "the multiplier of attention scores")?,
            softcap: settings.positive(rules.softcap, "the soft cap of attention scores")?,
            clip: settings.positive(rules.clip, "the bound of q, k and v")?,
            residual_scale: settings.multiplier(rules.residual_scale, "a multiplier")?,
            by_depth: match rules.scale_by_depth {
                Some(key) => settings.switch(Switch::Key(key, false))?,
                None => false,
            },
            activation: self.activation()?,
            windows,
            ropes: rope_of,
            with_experts: self.model.cells().iter().filter(|c| c.id.expert.is_some()).map(|c| c.id.layer).collect(),
        };
        let layers = (0..self.model.dims().layers).map(|layer| self.layer(layer, &shared));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let final_norm = self.norm(NormPlace::Final, 0, shared.epsilon)?;
        let embedding = self.embedding()?;
        let learned = embedding.positions.as_ref().and_then(|name| self.model.source().tensor(name));
        let rows = learned.and_then(|tensor| tensor.shape.first()).and_then(|rows| usize::try_from(*rows).ok());
        Ok(Architecture {
            hidden: settings.sizes.hidden,
            vocab: self.tensors.vocab()?,
            head: self.head(&embedding.tensor)?,
            embedding,
            ropes,
            layers,
            final_norm: final_norm.ok_or_else(|| self.tensors.missing_norm(NormPlace::Final, 0))?,
            context: rows.or(context),
        })
    }

    fn embedding(&self) -> Result<Embedding, ModelError> {
        let scale = self.settings.multiplier(self.rules.embedding_scale, "a multiplier")?;
        Ok(Embedding { tensor: self.tensors.embedding.clone(), scale, positions: self.tensors.positions()? })
    }

    fn head(&self, embedding: &str) -> Result<Head, ModelError> {
        let scale = self.settings.multiplier(self.rules.logit_scale, "a multiplier")?;
        let softcap = self.settings.positive(self.rules.logit_softcap, "the soft cap of logits")?;
        let tensor = match self.tensors.head()? {
            Some(name) => name,
            None if self.settings.switch(self.rules.tied)? => embedding.to_owned(),
            None => {
                let reason = "it has no output head, and its config does not say that the embedding is the head";
                return Err(ModelError::NotRunnable { reason: reason.to_owned() });
            }
        };
        Ok(Head { tensor, bias: None, scale, softcap })
    }

    fn layer(&self, layer: u32, shared: &Shared) -> Result<Layer, ModelError> {
        let norm = |place| self.norm(place, layer, shared.epsilon);
        let (attention_in, attention_out) = (norm(NormPlace::AttentionIn)?, norm(NormPlace::AttentionOut)?);
        let (mlp_in, mlp_out) = (norm(NormPlace::MlpIn)?, norm(NormPlace::MlpOut)?);
        let wiring = self.wiring(mlp_in.is_some())?;
        // Every block normalises what its MLP sees, before or after; a config that says otherwise lost a tensor.
        let shares = wiring == Wiring::ParallelSharedNorm;
        if (shares && mlp_in.is_some()) || (!shares && mlp_in.is_none() && mlp_out.is_none()) {
            return Err(self.tensors.contradicted_norm(NormPlace::MlpIn, layer, !shares));
        }
        Ok(Layer {
            wiring,
            residual_scale: shared.residual_scale,
            attention_in,
            attention: self.attention(layer, shared)?,
            attention_out,
            mlp_in,
            mlp: self.mlp(layer, shared)?,
            mlp_out,
        })
    }

    fn attention(&self, layer: u32, shared: &Shared) -> Result<Attention, ModelError> {
        let Sizes { heads, kv_heads, head_dim, .. } = self.settings.sizes;
        let scale = if shared.by_depth { shared.scale / f64::from(layer + 1) } else { shared.scale };
        Ok(Attention {
            heads,
            kv_heads,
            head_dim,
            scale: self.settings.narrow(scale, self.rules.scale, "the multiplier of attention scores")?,
            softcap: shared.softcap,
            window: shared.windows.get(layer as usize).copied().flatten(),
            rope: shared.ropes.get(layer as usize).copied().flatten(),
            query_norm: self.head_norm(NormPlace::Query, layer, shared.epsilon)?,
            key_norm: self.head_norm(NormPlace::Key, layer, shared.epsilon)?,
            clip: shared.clip,
        })
    }

    fn mlp(&self, layer: u32, shared: &Shared) -> Result<Mlp, ModelError> {
        let gated = self.model.entry().is_none_or(|family| family.missing_reason(Component::MlpGate).is_none());
        let experts = shared.with_experts.contains(&layer).then(|| self.experts(layer)).transpose()?;
        Ok(Mlp { activation: shared.activation, gated, experts })
    }

    fn experts(&self, layer: u32) -> Result<Experts, ModelError> {
        let count = self.model.dims().experts.map_or(0, |n| n as usize);
        let (places, normalise) = self.rules.experts.unwrap_or((&[], Switch::Always(false)));
        let what = "experts per token";
        let top_k = self.settings.required(places, what)?;
        let top_k = self.settings.count(&[NumberFrom::Value(top_k)], what).ok().flatten().filter(|k| *k <= count);
        let top_k = top_k.ok_or_else(|| {
            let key = self.settings.keys_of(places).next().unwrap_or_default();
            self.settings.wrong(key, format!("a whole number from 1 to {count}, the number of experts"))
        })?;
        let router = self.tensors.router(layer, count)?;
        Ok(Experts { count, top_k, normalise: self.settings.switch(normalise)?, router })
    }

    fn wiring(&self, has_mlp_norm: bool) -> Result<Wiring, ModelError> {
        Ok(match self.rules.wiring {
            WiringFrom::Always(wiring) => wiring,
            WiringFrom::Switch(switch, wiring) if self.settings.switch(switch)? => wiring,
            WiringFrom::Norms if !has_mlp_norm => Wiring::ParallelSharedNorm,
            WiringFrom::Switch(..) | WiringFrom::Norms => Wiring::Sequential,
        })
    }

    fn activation(&self) -> Result<Activation, ModelError> {
        let (key, absent, gelu) = match self.rules.activation {
            ActivationFrom::Always(activation) => return Ok(activation),
            ActivationFrom::Key { key, absent, gelu } => (key, absent, gelu),
        };
        let Some(datum) = self.settings.some(key) else { return Ok(absent) };
        Ok(match datum.text() {
            Some("silu" | "swish") => Activation::Silu,
            Some("gelu") => gelu,
            Some("gelu_python") => Activation::Gelu,
            Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Activation::GeluTanh,
            Some("relu") => Activation::Relu,
            Some("relu2") => Activation::ReluSquared,
            _ => return Err(self.settings.wrong(key, "silu, gelu, gelu_pytorch_tanh, gelu_new, relu or relu2")),
        })
    }

    fn norm(&self, place: NormPlace, layer: u32, epsilon: f32) -> Result<Option<Norm>, ModelError> {
        let width = match place {
            NormPlace::Query | NormPlace::Key => None,
            _ => Some(self.settings.sizes.hidden),
        };
        let Some(Names { weight, bias }) = self.tensors.norm(place, layer, self.rules.norm, width)? else {
            return Ok(None);
        };
        Ok(Some(Norm { kind: self.rules.norm, epsilon, weight_offset: self.rules.norm_offset, weight, bias }))
    }

    fn head_norm(&self, place: NormPlace, layer: u32, epsilon: f32) -> Result<Option<HeadNorm>, ModelError> {
        let found = self.norm(place, layer, epsilon)?;
        let Some((span, presence)) = self.rules.head_norms else { return Ok(None) };
        if let Presence::As(switch) = presence {
            let expected = self.settings.switch(switch)?;
            if expected != found.is_some() {
                return Err(self.tensors.contradicted_norm(place, layer, expected));
            }
        }
        let Some(norm) = found else { return Ok(None) };
        let Sizes { heads, kv_heads, head_dim, .. } = self.settings.sizes;
        let heads = if place == NormPlace::Query { heads } else { kv_heads };
        let all = heads * head_dim;
        let allowed: &[usize] = if span == Span::All { &[all] } else { &[head_dim, all] };
        self.tensors.check_norm_width(&norm, allowed)?;
        Ok(Some(HeadNorm { norm, span }))
    }

    /// The ropes, and which of them each layer uses.
    fn ropes(
        &self,
        context: Option<usize>,
        rotated: &[bool],
        windows: &[Option<usize>],
    ) -> Result<(Vec<Rope>, Vec<Option<usize>>), ModelError> {
        let Some(rule) = &self.rules.rope else { return Ok((Vec::new(), vec![None; self.settings.sizes.layers])) };
        let source = self.model.source();
        let ropes = Ropes { settings: &self.settings, rule, source, context, ignored: self.ignored };
        let mut found = vec![ropes.global()?];
        found.extend(ropes.local()?);
        let last = found.len() - 1;
        let rope_of =
            |(rotated, window): (&bool, &Option<usize>)| rotated.then_some(if window.is_some() { last } else { 0 });
        let rope_of = rotated.iter().zip(windows).map(rope_of).collect();
        Ok((found, rope_of))
    }
}
