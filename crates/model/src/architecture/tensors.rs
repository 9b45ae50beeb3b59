//! The tensors of a forward pass beside the cells: which are there, under which names, of which shape.

use tomo_checkpoint::{Source, TensorInfo};

use super::rules::Arithmetic;
use super::scaling_gguf::GGUF_TENSORS;
use super::settings::Sizes;
use super::{Norm, NormKind};
use crate::error::{ModelError, quoted};
use crate::family::{Dialect, NormPlace, OtherRule, Role};
use crate::model::Model;
use crate::pattern::fill;

/// Names of the weight and the bias of a norm: one each, or one per head, or none.
pub(crate) struct Names {
    pub(crate) weight: Vec<String>,
    pub(crate) bias: Vec<String>,
}

/// A checkpoint's tensors by what they are for.
pub(crate) struct Tensors<'a> {
    pub(super) model: &'a Model,
    dialect: &'static Dialect,
    prefix: &'static str,
    sizes: Sizes,
    pub(crate) embedding: String,
}

impl<'a> Tensors<'a> {
    /// Fails where there is no embedding: with it the names' prefix is found.
    pub(crate) fn new(model: &'a Model, dialect: &'static Dialect, sizes: Sizes) -> Result<Self, ModelError> {
        let rules = || dialect.others.iter().copied().flatten().filter(|rule| rule.role == Role::Embedding);
        let names = dialect.prefixes.iter().flat_map(|prefix| rules().map(move |rule| (*prefix, rule.tensor)));
        let found = names.clone().find(|(prefix, name)| model.source().tensor(&format!("{prefix}{name}")).is_some());
        let Some((prefix, name)) = found else {
            let names = names.map(|(prefix, name)| quoted(&format!("{prefix}{name}"))).collect::<Vec<_>>().join(" or ");
            return Err(ModelError::MissingTensor { what: "the token embedding".to_owned(), expected: names });
        };
        let embedding = format!("{prefix}{name}");
        let this = Self { model, dialect, prefix, sizes, embedding };
        this.check_dtype(this.tensor(&this.embedding)?)?;
        Ok(this)
    }

    pub(super) fn source(&self) -> &'a dyn Source {
        self.model.source()
    }

    pub(super) fn tensor(&self, name: &str) -> Result<&'a TensorInfo, ModelError> {
        self.source().tensor(name).ok_or_else(|| ModelError::MissingTensor {
            what: "a tensor of the forward pass".to_owned(),
            expected: quoted(name),
        })
    }

    fn rules(&self, place: NormPlace) -> impl Iterator<Item = &'static OtherRule> + use<> {
        self.dialect.others.iter().copied().flatten().filter(move |rule| rule.norm == Some(place))
    }

    /// V: rows of the embedding.
    pub(crate) fn vocab(&self) -> Result<usize, ModelError> {
        let tensor = self.tensor(&self.embedding)?;
        let rows = tensor.shape.first().and_then(|rows| usize::try_from(*rows).ok());
        rows.filter(|rows| *rows > 0)
            .ok_or_else(|| self.wrong_shape("the token embedding", tensor, "[V, D]".to_owned()))
    }

    /// Fails at a tensor that nothing reads.
    pub(crate) fn check_all_used(&self, rules: &Arithmetic) -> Result<(), ModelError> {
        if let Some(tensor) = self.model.unknown().first() {
            let more = self.model.unknown().len() - 1;
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            return Err(ModelError::Unsupported {
                tensor: format!("{}{more}", quoted(&tensor.name)),
                reason: "the family does not have this tensor, which may be part of what the model computes".to_owned(),
            });
        }
        let unread = |name: &str| rules.rope.is_none() && GGUF_TENSORS.contains(&name);
        match self.model.others().iter().find(|other| unread(&other.tensor.name)) {
            None => Ok(()),
            Some(other) => Err(ModelError::Unsupported {
                tensor: quoted(&other.tensor.name),
                reason: "scales rotary embeddings, which the family does not have".to_owned(),
            }),
        }
    }

    /// Names of the weight and the bias of a norm, or nothing where the checkpoint has no such norm.
    pub(crate) fn norm(
        &self,
        place: NormPlace,
        layer: u32,
        kind: NormKind,
        width: Option<usize>,
    ) -> Result<Option<Names>, ModelError> {
        let weight = self.norm_names(place, layer, ".weight")?;
        let bias = self.norm_names(place, layer, ".bias")?;
        if weight.is_empty() {
            return match bias.first() {
                None if self.rules(place).any(|rule| rule.required) => Err(self.missing_norm(place, layer)),
                None => Ok(None),
                Some(_) => Err(self.missing_norm(place, layer)),
            };
        }
        if let (NormKind::Rms, Some(name)) = (kind, bias.first()) {
            let reason = "is the bias of a norm that has none in this family".to_owned();
            return Err(ModelError::Unsupported { tensor: quoted(name), reason });
        }
        for name in weight.iter().chain(&bias) {
            let tensor = self.tensor(name)?;
            self.check_dtype(tensor)?;
            if width.is_some_and(|width| tensor.numel() != width as u64) {
                return Err(self.wrong_shape(place.name(), tensor, format!("[{}]", self.sizes.hidden)));
            }
        }
        Ok(Some(Names { weight, bias }))
    }

    /// The tensors of the first rule that the checkpoint follows.
    fn norm_names(&self, place: NormPlace, layer: u32, tail: &str) -> Result<Vec<String>, ModelError> {
        for rule in self.rules(place).filter(|rule| rule.tensor.ends_with(tail)) {
            let name = format!("{}{}", self.prefix, fill(rule.tensor, layer, None));
            if !name.contains("{*}") {
                if self.source().tensor(&name).is_some() {
                    return Ok(vec![name]);
                }
                if rule.required {
                    return Err(self.missing_norm(place, layer));
                }
                continue;
            }
            let heads = if place == NormPlace::Key { self.sizes.kv_heads } else { self.sizes.heads };
            let of_head = |head: usize| name.replace("{*}", &head.to_string());
            if self.source().tensor(&of_head(0)).is_some() {
                return (0..heads).map(|head| self.tensor(&of_head(head)).map(|tensor| tensor.name.clone())).collect();
            }
        }
        Ok(Vec::new())
    }

    /// Entries of the tensors of a norm together.
    pub(crate) fn check_norm_width(&self, norm: &Norm, allowed: &[usize]) -> Result<(), ModelError> {
        for names in [&norm.weight, &norm.bias].into_iter().filter(|names| !names.is_empty()) {
            let mut total = 0_u64;
            for name in names {
                total = total.saturating_add(self.tensor(name)?.numel());
            }
            let last = self.tensor(&names[names.len() - 1])?;
            if !allowed.iter().any(|width| *width as u64 == total) {
                let allowed = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
                return Err(self.wrong_shape("a norm of queries or keys", last, format!("{allowed} entries in all")));
            }
        }
        Ok(())
    }

    /// The norm is not in the checkpoint.
    pub(crate) fn missing_norm(&self, place: NormPlace, layer: u32) -> ModelError {
        let names = self.rules(place).filter(|rule| rule.tensor.ends_with(".weight"));
        let names = names.map(|rule| quoted(&format!("{}{}", self.prefix, fill(rule.tensor, layer, None))));
        ModelError::MissingTensor {
            what: if place == NormPlace::Final {
                place.name().to_owned()
            } else {
                format!("{} of layer {layer}", place.name())
            },
            expected: names.collect::<Vec<_>>().join(" or "),
        }
    }

    /// Config and checkpoint disagree about a norm.
    pub(crate) fn contradicted_norm(&self, place: NormPlace, layer: u32, expected: bool) -> ModelError {
        if expected {
            return self.missing_norm(place, layer);
        }
        let names = self.norm_names(place, layer, ".weight").unwrap_or_default();
        ModelError::Unsupported {
            tensor: names.first().map_or_else(|| place.name().to_owned(), |name| quoted(name)),
            reason: format!("is {}, which the config says the model does not have", place.name()),
        }
    }

    /// Learned positions, where the family has them.
    pub(crate) fn positions(&self) -> Result<Option<String>, ModelError> {
        let mut rules = self.dialect.others.iter().copied().flatten().filter(|rule| rule.role == Role::Positions);
        let Some(rule) = rules.next() else { return Ok(None) };
        let name = format!("{}{}", self.prefix, rule.tensor);
        let tensor = self.source().tensor(&name).ok_or_else(|| ModelError::MissingTensor {
            what: "the learned positions".to_owned(),
            expected: quoted(&name),
        })?;
        self.check_dtype(tensor)?;
        match tensor.shape.as_slice() {
            [rows, columns] if *rows > 0 && *columns == self.sizes.hidden as u64 => Ok(Some(name)),
            _ => Err(self.wrong_shape("the learned positions", tensor, format!("[positions, {}]", self.sizes.hidden))),
        }
    }

    /// The output head, where one is stored.
    pub(crate) fn head(&self) -> Result<Option<String>, ModelError> {
        let Some(head) = self.model.others().iter().find(|other| other.role == Role::Head) else { return Ok(None) };
        self.check_dtype(&head.tensor)?;
        let expected = [self.vocab()? as u64, self.sizes.hidden as u64];
        if head.tensor.shape != expected {
            return Err(self.wrong_shape("the output head", &head.tensor, format!("{expected:?}")));
        }
        Ok(Some(head.tensor.name.clone()))
    }

    /// The router of a mixture layer.
    pub(crate) fn router(&self, layer: u32, experts: usize) -> Result<String, ModelError> {
        let rules = self.dialect.others.iter().copied().flatten().filter(|rule| rule.role == Role::Router);
        let names: Vec<_> = rules.map(|rule| format!("{}{}", self.prefix, fill(rule.tensor, layer, None))).collect();
        let Some(tensor) = names.iter().find_map(|name| self.source().tensor(name)) else {
            let expected = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(" or ");
            return Err(ModelError::MissingTensor { what: format!("the router of layer {layer}"), expected });
        };
        self.check_dtype(tensor)?;
        let expected = [experts as u64, self.sizes.hidden as u64];
        if tensor.shape != expected {
            return Err(self.wrong_shape("the router", tensor, format!("{expected:?}")));
        }
        Ok(tensor.name.clone())
    }

    pub(super) fn check_dtype(&self, tensor: &TensorInfo) -> Result<(), ModelError> {
        if tensor.dtype.is_weight() {
            return Ok(());
        }
        let reason = format!("is stored as {}, integers that are no weights by themselves", tensor.dtype);
        Err(ModelError::Unsupported { tensor: quoted(&tensor.name), reason })
    }

    pub(super) fn wrong_shape(&self, what: &str, tensor: &TensorInfo, expected: String) -> ModelError {
        ModelError::Shape {
            what: what.to_owned(),
            tensor: quoted(&tensor.name),
            expected,
            found: format!("{:?}", tensor.shape),
        }
    }
}
