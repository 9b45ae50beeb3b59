//! LoRA adapters as PEFT writes them, and the change of weights they are.
//!
//! # Sources
//! peft 0.21: `tuners/lora/layer.py` (scaling, `get_delta_weight`, `ParamWrapper`), `tuners/lora/variants.py` (DoRA),
//! `utils/other.py` (`get_pattern_key`), `utils/save_and_load.py` (names).

mod alone;
mod changes;
mod config;
mod factors;
mod ground;
mod names;
mod object;
mod patterns;
mod place;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tomo_checkpoint::{AdapterFiles, Source, TensorInfo};

use crate::error::{ModelError, quoted};
use names::Role;

pub use changes::{Change, Changes, OffGrid};
pub use config::AdapterConfig;
pub use factors::{FactorSource, Factors, Product};

/// A LoRA adapter: its configuration understood, its tensors sorted by module.
pub struct Adapter {
    pub(crate) source: Arc<dyn Source>,
    config: AdapterConfig,
    modules: Vec<Module>,
    off_grid: Vec<(TensorInfo, names::Role)>,
    whole: Vec<(String, TensorInfo)>,
}

/// The tensors of one adapted linear map.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    /// Its name in the base model.
    pub(crate) name: String,
    /// `[r, in]`; of a stack of E experts `[E r, in]`.
    pub(crate) a: TensorInfo,
    /// `[out, r]`; of a stack of E experts `[out, r E]`.
    pub(crate) b: TensorInfo,
    /// `[out]`.
    pub(crate) magnitude: Option<TensorInfo>,
}

impl Module {
    /// Rows of A.
    pub(crate) fn inner(&self) -> u64 {
        self.a.shape.first().copied().unwrap_or_default()
    }

    /// Columns of A.
    pub(crate) fn inputs(&self) -> u64 {
        self.a.shape.last().copied().unwrap_or_default()
    }

    /// Rows of B.
    pub(crate) fn outputs(&self) -> u64 {
        self.b.shape.first().copied().unwrap_or_default()
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter")
            .field("path", &self.source.path())
            .field("config", &self.config)
            .field("modules", &self.modules.len())
            .finish_non_exhaustive()
    }
}

impl Adapter {
    /// Reads the configuration and sorts the tensors. Which cells they change is for [`Adapter::against`] or
    /// [`Adapter::alone`] to say. Decodes nothing.
    ///
    /// # Errors
    /// A kind of adapter, a key or a tensor that is not understood; factors without their counterparts.
    pub fn open(files: &AdapterFiles) -> Result<Self, ModelError> {
        let config = AdapterConfig::parse(&files.config)?;
        let mut sorted = Sorted::default();
        for tensor in files.source.tensors() {
            sorted.add(tensor)?;
        }
        let Sorted { parts, off_grid, whole, .. } = sorted;
        let mut modules = Vec::with_capacity(parts.len());
        let mut off_grid = off_grid;
        for ((name, _), parts) in parts {
            match parts.module(name, config.dora)? {
                Some(module) => modules.push(module),
                None => off_grid.extend(parts.magnitude.map(|m| (m, Role::OfEmbedding))),
            }
        }
        if modules.is_empty() && whole.is_empty() {
            return Err(ModelError::Adapter {
                what: "the adapter changes nothing that could be shown".into(),
                tensor: quoted(&files.source.path().display().to_string()),
                expected: "tensors like base_model.model.<module>.lora_A.weight".to_owned(),
                found: format!("{} tensors, none of them", files.source.tensors().len()),
                hint: "is this the adapter's last checkpoint? training may not have written it yet".into(),
            });
        }
        Ok(Self { source: Arc::clone(&files.source), config, modules, off_grid, whole })
    }

    /// Its configuration.
    pub fn config(&self) -> &AdapterConfig {
        &self.config
    }

    /// Its tensors.
    pub fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }

    /// Number of values in it.
    pub fn parameters(&self) -> u64 {
        self.source.tensors().iter().map(TensorInfo::numel).sum()
    }
}

/// Tensors by module, while they are being sorted.
#[derive(Default)]
struct Sorted {
    /// By name of the module and how often it is wrapped.
    parts: BTreeMap<(String, usize), Parts>,
    off_grid: Vec<(TensorInfo, Role)>,
    whole: Vec<(String, TensorInfo)>,
    adapter: Option<String>,
}

#[derive(Default)]
struct Parts {
    a: Option<TensorInfo>,
    b: Option<TensorInfo>,
    magnitude: Option<TensorInfo>,
}

impl Sorted {
    fn add(&mut self, tensor: &TensorInfo) -> Result<(), ModelError> {
        let wrong = |what: &str, expected: &str, found: String| ModelError::Adapter {
            what: what.into(),
            tensor: quoted(&tensor.name),
            expected: expected.to_owned(),
            found,
            hint: "load the adapter with peft and save it again".into(),
        };
        let Some(named) = names::read(&tensor.name) else {
            let expected = "lora_A, lora_B, lora_embedding_A, lora_embedding_B or lora_magnitude_vector";
            return Err(wrong("the adapter has a tensor that LoRA does not have", expected, "another name".to_owned()));
        };
        if let Some(name) = named.adapter {
            let first = self.adapter.get_or_insert_with(|| name.clone());
            if *first != name {
                let found = format!("{} and {}", quoted(first), quoted(&name));
                return Err(wrong("the file holds several adapters", "one name of an adapter", found));
            }
        }
        let parts = match named.role {
            Role::A | Role::B | Role::Magnitude => self.parts.entry((named.module, named.depth)).or_default(),
            Role::Whole => {
                self.whole.push((named.module, tensor.clone()));
                return Ok(());
            }
            role => {
                self.off_grid.push((tensor.clone(), role));
                return Ok(());
            }
        };
        let place = match named.role {
            Role::A => &mut parts.a,
            Role::B => &mut parts.b,
            _ => &mut parts.magnitude,
        };
        if let Some(before) = place.replace(tensor.clone()) {
            return Err(wrong("two tensors are the same part of one module", "one", quoted(&before.name)));
        }
        Ok(())
    }
}

impl Parts {
    /// The module these tensors make; `None` for what DoRA adds to an embedding.
    fn module(&self, name: String, dora: bool) -> Result<Option<Module>, ModelError> {
        let tensors = [&self.a, &self.b, &self.magnitude].into_iter().flatten();
        let first = tensors.clone().next().map_or_else(|| quoted(&name), |t| quoted(&t.name));
        let wrong = |what: &str, expected: String, found: String| ModelError::Adapter {
            what: what.into(),
            tensor: first.clone(),
            expected,
            found,
            hint: "the adapter may have been saved in parts, or cut short; save it again with peft".into(),
        };
        let (a, b) = match (&self.a, &self.b) {
            (Some(a), Some(b)) => (a.clone(), b.clone()),
            (None, None) => return Ok(None),
            (a, _) => {
                let missing = if a.is_some() { "lora_B" } else { "lora_A" };
                return Err(wrong(
                    "a factor is missing",
                    format!("lora_A and lora_B of {}", quoted(&name)),
                    format!("no {missing}"),
                ));
            }
        };
        if let Some(odd) =
            [&a, &b].into_iter().find(|t| t.shape.len() != 2 || t.shape.contains(&0) || !t.dtype.is_weight())
        {
            let found = format!("{} {:?} in {}", odd.dtype, odd.shape, quoted(&odd.name));
            return Err(wrong("a factor is no matrix", "two dimensions, of floats".to_owned(), found));
        }
        let module = Module { name, a, b, magnitude: self.magnitude.clone() };
        if module.b.shape.last() != Some(&module.inner()) {
            let found = format!("{:?} and {:?}", module.a.shape, module.b.shape);
            return Err(wrong("the factors do not fit each other", "[r, in] and [out, r]".to_owned(), found));
        }
        match &module.magnitude {
            Some(magnitude) if dora && (magnitude.numel() != module.outputs() || !magnitude.dtype.is_weight()) => {
                let expected = format!("{} values, one for each row of B", module.outputs());
                return Err(wrong("the magnitudes do not fit", expected, format!("{:?}", magnitude.shape)));
            }
            Some(_) if dora => {}
            None if dora => {
                return Err(wrong(
                    "the magnitudes are missing",
                    "lora_magnitude_vector: use_dora is true".to_owned(),
                    "no such tensor".to_owned(),
                ));
            }
            Some(_) => {
                return Err(wrong(
                    "there are magnitudes, and use_dora is not true",
                    "both or neither".to_owned(),
                    "lora_magnitude_vector".to_owned(),
                ));
            }
            None => {}
        }
        Ok(Some(module))
    }
}
