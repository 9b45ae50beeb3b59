use std::borrow::Cow;
use std::fmt;

use crate::{Cell, Column, Component, Map, MetricInfo, Status};

/// What a picture or a report says of one place, a (layer, component) pair.
#[derive(Clone, PartialEq, Debug)]
pub enum Place {
    /// A finite number.
    Value(Reading),
    /// No number, in what way, and why, in words for the reader.
    Missing {
        /// In what way.
        absence: Absence,
        /// Why.
        reason: String,
    },
}

impl Place {
    /// A place without a number.
    pub fn missing(absence: Absence, reason: impl Into<String>) -> Self {
        Self::Missing { absence, reason: reason.into() }
    }

    /// The number, if there is one; always finite.
    pub fn value(&self) -> Option<f64> {
        self.reading().map(|r| r.value)
    }

    /// The number with what belongs to it.
    pub fn reading(&self) -> Option<&Reading> {
        match self {
            Self::Value(reading) => Some(reading),
            Self::Missing { .. } => None,
        }
    }

    /// The same place with `value` in place of its number and no interval; a number that is not finite becomes
    /// [`Absence::Undefined`].
    pub(crate) fn with_value(&self, value: f64) -> Self {
        match self {
            Self::Value(_) if !value.is_finite() => {
                Self::missing(Absence::Undefined, "the normalised score is not finite")
            }
            Self::Value(reading) => Self::Value(Reading { value, interval: None, ..*reading }),
            Self::Missing { .. } => self.clone(),
        }
    }

    /// The same place with a 95 % interval, if the place has a number and the interval is finite.
    pub(crate) fn with_interval(mut self, bounds: Option<(f64, f64)>) -> Self {
        if let Self::Value(reading) = &mut self {
            reading.interval = bounds.filter(|(low, high)| low.is_finite() && high.is_finite());
        }
        self
    }
}

/// A number of a [`View`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reading {
    /// The number; finite.
    pub value: f64,
    /// Its 95 % interval. Absent if none was measured, if several experts were averaged (their errors' covariance is
    /// unknown) or if the normalisation divides by other scores.
    pub interval: Option<(f64, f64)>,
    /// Experts averaged here; 0 for a dense projection.
    pub experts: u32,
    /// Experts of this place without a value, left out of the average.
    pub experts_left_out: u32,
    /// Weights behind the number (of all averaged experts together).
    pub weights: u64,
}

/// In what way a place has no number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Absence {
    /// The family has no such component in any layer.
    NoColumn,
    /// This layer has no such matrix.
    NoCell,
    /// The metric, or the normalisation, has no finite value here.
    Undefined,
    /// The scan ended before it got here.
    NotMeasured,
    /// The metric does not apply to cells of this kind.
    NotApplicable,
}

impl Absence {
    /// Whether there is a weight matrix at the place.
    pub fn has_cell(self) -> bool {
        !matches!(self, Self::NoColumn | Self::NoCell)
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoColumn => "no such column",
            Self::NoCell => "no such matrix",
            Self::Undefined => "undefined",
            Self::NotMeasured => "not measured",
            Self::NotApplicable => "not applicable",
        })
    }
}

/// One metric of a map under one normalisation, as pictures and reports show it: layers x 7 places.
///
/// Experts of a mixture are averaged to one number per place (see [`Reading`]). Pictures and reports read scores
/// through a view only, so that they cannot disagree.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    /// The metric on show; for the `null` normalisation this is the `…@null` metric.
    pub info: MetricInfo,
    /// Number of layers L.
    pub layers: u32,
    /// Id of the normalisation.
    pub normalisation: &'static str,
    /// The normalisation in words: "share of the layer's total".
    pub normalisation_title: &'static str,
    /// Unit of the numbers on show.
    pub unit: Cow<'static, str>,
    /// Where a diverging scale is centred, if the numbers have a natural middle.
    pub middle: Option<f64>,
    /// Whether numbers of different columns may be compared in this view.
    pub across_columns: bool,
    /// What a reader has to know about this way of drawing; whole sentences without the full stop.
    pub notes: Vec<String>,
    /// `layers * 7` places: layer by layer, components in the order of [`Component::ALL`].
    pub(crate) places: Vec<Place>,
}

impl View {
    /// The place at (layer, component); `None` past the last layer.
    pub fn at(&self, layer: u32, component: Component) -> Option<&Place> {
        if layer >= self.layers {
            return None;
        }
        self.places.get(layer as usize * Component::ALL.len() + component.index())
    }

    /// All places with their addresses, layer by layer.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Component, &Place)> {
        self.places.chunks(Component::ALL.len()).zip(0u32..).flat_map(|(row, layer)| {
            row.iter().zip(Component::ALL).map(move |(place, component)| (layer, component, place))
        })
    }

    /// The places that have a number, layer by layer.
    pub fn values(&self) -> impl Iterator<Item = (u32, Component, f64)> {
        self.iter().filter_map(|(layer, component, place)| Some((layer, component, place.value()?)))
    }

    /// The numbers of one column, by layer.
    pub fn column(&self, component: Component) -> Vec<(u32, f64)> {
        self.values().filter(|(_, c, _)| *c == component).map(|(layer, _, value)| (layer, value)).collect()
    }

    /// The numbers of one layer, in the order of components.
    pub fn row(&self, layer: u32) -> Vec<(Component, f64)> {
        Component::ALL.into_iter().filter_map(|c| Some((c, self.at(layer, c)?.value()?))).collect()
    }

    /// Components that have a matrix in at least one layer.
    pub fn components(&self) -> Vec<Component> {
        Component::ALL
            .into_iter()
            .filter(|c| {
                self.iter().any(|(_, component, place)| {
                    component == *c && !matches!(place, Place::Missing { absence, .. } if !absence.has_cell())
                })
            })
            .collect()
    }

    /// Smallest and largest number, if there is any.
    pub fn extent(&self) -> Option<(f64, f64)> {
        self.values().map(|(_, _, v)| (v, v)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

impl Map {
    /// The scores of `column` as measured, experts averaged: one place per (layer, component).
    pub fn aggregate(&self, column: &Column) -> Vec<Place> {
        let rated: Vec<_> = self.grid.cells.iter().zip(&column.scores).collect();
        let mut cells = rated.as_slice();
        let mut places = Vec::with_capacity(self.grid.layers as usize * Component::ALL.len());
        for layer in 0..self.grid.layers {
            for component in Component::ALL {
                let here = |(cell, _): &(&Cell, _)| (cell.id.layer, cell.id.component) == (layer, component);
                let (group, rest) = cells.split_at(cells.iter().take_while(|c| here(c)).count());
                cells = rest;
                places.push(if group.is_empty() { self.absent(component) } else { average(group) });
            }
        }
        places
    }

    fn absent(&self, component: Component) -> Place {
        match self.grid.missing.iter().find(|m| m.component == component) {
            Some(column) => Place::missing(Absence::NoColumn, column.reason.clone()),
            None => Place::missing(Absence::NoCell, format!("this layer has no {component}")),
        }
    }
}

/// One place from the cells there: the cell itself, or the mean over its experts that have a value.
fn average(group: &[(&Cell, &crate::Score)]) -> Place {
    let known: Vec<_> = group.iter().filter_map(|(cell, score)| Some((cell, score, score.value()?))).collect();
    let Some((first, score, _)) = known.first() else {
        let (_, score) = group[0];
        let absence = match score.status() {
            Status::NotMeasured => Absence::NotMeasured,
            Status::NotApplicable => Absence::NotApplicable,
            Status::Ok | Status::Undefined => Absence::Undefined,
        };
        return Place::missing(absence, score.reason().unwrap_or("no reason was given"));
    };
    let count = known.len();
    let value = crate::stats::mean(&known.iter().map(|(_, _, v)| *v).collect::<Vec<_>>());
    Place::Value(Reading {
        value,
        interval: if group.len() == 1 { score.interval() } else { None },
        experts: if first.id.expert.is_some() { u32::try_from(count).unwrap_or(u32::MAX) } else { 0 },
        experts_left_out: u32::try_from(group.len() - count).unwrap_or(u32::MAX),
        weights: known.iter().fold(0u64, |sum, (cell, _, _)| sum.saturating_add(cell.numel())),
    })
}
