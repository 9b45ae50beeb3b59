//! What training changed beside the grid: the gains of norms.

use tomo_map::{Beside, BesideRow, Score, Status};
use tomo_model::{Model, ModelError, NormTensor};

/// Relative change of every norm's gains between two checkpoints, `||g1 - g0||_2 / ||g0||_2`, where g is what the norm
/// multiplies by: of families that store w and multiply by 1 + w, that is 1 + w. Norms are matched by their place, whatever
/// the checkpoints call them. Biases of norms are no gains and are left out.
///
/// # Errors
/// When a tensor cannot be read.
pub fn norm_gain_drift(tuned: &Model, base: &Model) -> Result<Beside, ModelError> {
    let mut rows = Vec::new();
    let others = norms(base);
    for (norm, tensor) in norms(tuned) {
        let same = |(other, _): &&(NormTensor, &str)| {
            (other.place, other.layer, other.head) == (norm.place, norm.layer, norm.head)
        };
        let score = match others.iter().find(same) {
            Some((other, name)) => drift(&gains(base, name, other.offset)?, &gains(tuned, tensor, norm.offset)?),
            None => Score::missing(Status::NotApplicable, "the base has no such norm"),
        };
        let name = match norm.head {
            Some(head) => format!("{}, head {head}", norm.place.name()),
            None => norm.place.name().to_owned(),
        };
        rows.push((norm, BesideRow { layer: norm.layer, name, tensor: tensor.to_owned(), score }));
    }
    rows.sort_by_key(|(norm, row)| (norm.layer.unwrap_or(u32::MAX), norm.place, norm.head, row.tensor.clone()));
    Ok(Beside {
        id: "norm-gain-drift".to_owned(),
        title: "Change of the norms' gains".to_owned(),
        summary: "Size of the change of a norm's gains against their size before it".to_owned(),
        unit: "ratio".to_owned(),
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    })
}

fn norms(model: &Model) -> Vec<(NormTensor, &str)> {
    model.others().iter().filter_map(|other| Some((other.norm?, other.tensor.name.as_str()))).collect()
}

/// What a norm multiplies by.
fn gains(model: &Model, tensor: &str, offset: f32) -> Result<Vec<f64>, ModelError> {
    let numel = model.source().tensor(tensor).map_or(0, tomo_checkpoint::TensorInfo::numel);
    let mut values = vec![0.0; usize::try_from(numel).unwrap_or(usize::MAX)];
    model.source().decode(tensor, 0..numel, &mut values)?;
    Ok(values.into_iter().map(|w| f64::from(w) + f64::from(offset)).collect())
}

fn drift(base: &[f64], tuned: &[f64]) -> Score {
    if base.len() != tuned.len() {
        let reason = format!("it has {} gains, and {} in the base", tuned.len(), base.len());
        return Score::missing(Status::NotApplicable, reason);
    }
    let base2: f64 = base.iter().map(|g| g * g).sum();
    if base2 == 0.0 {
        return Score::missing(Status::Undefined, "all gains before the change are 0");
    }
    let moved2: f64 = base.iter().zip(tuned).map(|(g0, g1)| (g1 - g0) * (g1 - g0)).sum();
    Score::from_value((moved2 / base2).sqrt())
}
