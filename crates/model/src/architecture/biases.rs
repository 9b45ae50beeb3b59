//! Biases: the executor takes `x.bias` beside `x.weight`, so what is stored must be what the config means.

use std::collections::BTreeSet;

use tomo_checkpoint::TensorInfo;
use tomo_map::Component;

use super::rules::{Arithmetic, Presence};
use super::settings::Settings;
use super::tensors::Tensors;
use crate::cell::CellSource;
use crate::error::{ModelError, quoted};
use crate::family::Role;

impl Tensors<'_> {
    /// Compares the biases in the checkpoint with what the config says, and with the weights they belong to.
    pub(crate) fn check_biases(&self, rules: &Arithmetic, settings: &Settings<'_>) -> Result<(), ModelError> {
        let mut used = BTreeSet::new();
        for cell in self.model.cells() {
            let Some(stem) = cell.tensor.strip_suffix("weight") else { continue };
            let name = format!("{stem}bias");
            let stored = self.source().tensor(&name);
            if let Some(expected) = expected_bias(rules, settings, cell.id.component)?
                && expected != stored.is_some()
            {
                return Err(contradicted_bias(cell, &name, expected));
            }
            if let Some(tensor) = stored {
                self.check_bias_rows(cell, tensor)?;
                used.insert(name);
            }
        }
        let stray = self.model.others().iter().find(|o| o.role == Role::Bias && !used.contains(&o.tensor.name));
        match stray {
            None => Ok(()),
            Some(other) => Err(ModelError::Unsupported {
                tensor: quoted(&other.tensor.name),
                reason: "is a bias of no cell that was found".to_owned(),
            }),
        }
    }

    fn check_bias_rows(&self, cell: &CellSource, bias: &TensorInfo) -> Result<(), ModelError> {
        let weight = self.tensor(&cell.tensor)?;
        let rows = if cell.storage.transposed { weight.shape.last() } else { weight.shape.first() };
        let rows = rows.map_or(&[][..], std::slice::from_ref);
        if bias.shape == rows {
            return self.check_dtype(bias);
        }
        Err(self.wrong_shape(&format!("the bias of {}", cell.id), bias, format!("{rows:?}")))
    }
}

fn expected_bias(
    rules: &Arithmetic,
    settings: &Settings<'_>,
    component: Component,
) -> Result<Option<bool>, ModelError> {
    match rules.biases.iter().find(|(components, _)| components.contains(&component)) {
        Some((_, Presence::As(switch))) => settings.switch(*switch).map(Some),
        Some((_, Presence::Stored)) | None => Ok(None),
    }
}

fn contradicted_bias(cell: &CellSource, name: &str, expected: bool) -> ModelError {
    if expected {
        return ModelError::MissingTensor { what: format!("the bias of {}", cell.id), expected: quoted(name) };
    }
    ModelError::Unsupported {
        tensor: quoted(name),
        reason: format!("is a bias of {}, which the config says the model does not have", cell.id),
    }
}
