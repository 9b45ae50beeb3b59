//! What a part of a scan knows, as bytes, and the sum of parts.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tomo_map::{Score, Status};

use super::Activations;
use super::cell::CellScores;
use super::layer::Layer;
use crate::runner::locked;
use crate::{Share, StateError};

/// A part's state.
#[derive(Serialize, Deserialize)]
struct State {
    layers: Vec<Layer>,
    /// Cell, `||W||_F`, scores.
    weighed: Vec<(usize, f64, Vec<Option<Plain>>)>,
}

/// A score without the shortcuts of its JSON form, which bytes without names cannot have.
#[derive(Serialize, Deserialize)]
struct Plain {
    status: Status,
    value: Option<f64>,
    interval: Option<(f64, f64)>,
    reason: Option<String>,
}

impl Plain {
    fn of(score: &Score) -> Self {
        let (status, value, interval) = (score.status(), score.value(), score.interval());
        Self { status, value, interval, reason: score.reason().map(str::to_owned) }
    }

    fn score(self) -> Score {
        let Some(value) = self.value else { return Score::missing(self.status, self.reason.unwrap_or_default()) };
        let score = Score::from_value(value).with_caveat(self.reason.unwrap_or_default());
        match self.interval {
            Some((low, high)) => score.with_interval(low, high),
            None => score,
        }
    }
}

pub(super) fn write(part: &Activations) -> Result<Vec<u8>, StateError> {
    let mut layers: Vec<Layer> = part.layers.iter().map(|layer| locked(layer).clone()).collect();
    layers.iter_mut().for_each(Layer::settle);
    let weighed = part.weighed.iter().enumerate().filter_map(|(at, cell)| {
        let scores = locked(cell);
        let CellScores { frobenius, scores } = scores.as_ref()?;
        Some((at, *frobenius, scores.iter().map(|score| score.as_ref().map(Plain::of)).collect()))
    });
    StateError::write(&State { weighed: weighed.collect(), layers })
}

pub(super) fn absorb(whole: &mut Activations, state: &[u8], share: &Share) -> Result<(), StateError> {
    let State { layers, weighed } = StateError::read(state)?;
    if layers.len() != whole.layers.len() {
        return Err(StateError::new("it is of another model"));
    }
    let fits = |scores: &Vec<Option<Plain>>| scores.len() == whole.selected.len();
    if !weighed.iter().all(|(at, _, scores)| *at < whole.cells.len() && fits(scores)) {
        return Err(StateError::new("it is of other cells or metrics"));
    }
    let sequences = whole.lengths.len();
    for (own, its) in whole.layers.iter_mut().zip(layers) {
        if its.sequences() > sequences {
            return Err(StateError::new("it is of more sequences"));
        }
        own.get_mut().unwrap_or_else(PoisonError::into_inner).absorb(its);
    }
    let wanted = share.cells(whole.cells.len());
    for (at, frobenius, scores) in weighed.into_iter().filter(|(at, ..)| wanted[*at]) {
        let scores = scores.into_iter().map(|score| score.map(Plain::score)).collect();
        whole.weighed[at] = Mutex::new(Some(CellScores { frobenius, scores }));
    }
    Ok(())
}
