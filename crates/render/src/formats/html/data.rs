use std::collections::BTreeMap;

use serde::Serialize;
use tomo_map::{Column, Component, Direction, Map, MetricInfo, NORMALISATIONS, Normalisation, Place};

use crate::colour::{Ramp, STEPS};
use crate::picture::{Picture, matrices};
use crate::scene::{Origin, Scene, Style};
use crate::{RenderError, escape, words};

/// Everything the page's script draws. Order, colours, words and normalised numbers are decided here, so that the page
/// and every other output say the same; the script only places them.
#[derive(Serialize)]
pub(super) struct Data {
    schema: &'static str,
    layers: u32,
    origin: &'static str,
    components: Vec<Label>,
    /// Layers with a number beside them.
    ticks: Vec<u32>,
    /// Distinct shapes and types.
    kinds: Vec<Kind>,
    /// Index into `kinds` for each place, layer by layer; -1 where there is no matrix.
    places: Vec<i64>,
    /// Distinct sentences: reasons for missing numbers, notes.
    sentences: Vec<String>,
    /// Colour tables by name.
    ramps: BTreeMap<&'static str, Vec<String>>,
    metrics: Vec<Metric>,
}

#[derive(Clone, Serialize)]
struct Label {
    id: &'static str,
    label: String,
}

#[derive(Serialize, PartialEq)]
struct Kind {
    shape: String,
    dtype: String,
    experts: usize,
}

#[derive(Serialize)]
struct Metric {
    id: String,
    title: String,
    family: String,
    direction: Direction,
    /// Index of the view that opens first.
    first: usize,
    views: Vec<Drawn>,
}

/// One metric under one normalisation.
#[derive(Serialize)]
struct Drawn {
    id: &'static str,
    title: String,
    unit: String,
    words: String,
    /// Indices into `sentences`.
    notes: Vec<usize>,
    /// Legend of hatched cells, if there are any.
    hatched: Option<String>,
    /// Number of each place, layer by layer from layer 0.
    values: Vec<Option<f64>>,
    intervals: BTreeMap<usize, (f64, f64)>,
    /// Index into `sentences` for each place without a number.
    missing: BTreeMap<usize, usize>,
    ramp: &'static str,
    /// Two hexadecimal digits per place: step of the colour table, `ff` for hatched.
    steps: String,
    /// The bar: steps from its low end to its high end, labelled positions, position of the white.
    bar: Vec<usize>,
    ticks: Vec<(f64, String)>,
    middle: Option<f64>,
    below: usize,
    above: usize,
}

/// Step of a hatched cell; no table is that long.
const HATCHED: usize = 0xff;
const _: () = assert!(STEPS <= HATCHED);
/// Slices of the bar.
const BAR: usize = 64;

pub(super) fn from_map(map: &Map, style: Style) -> Result<Data, RenderError> {
    let mut sentences = Vec::new();
    let mut metrics = Vec::new();
    for column in &map.columns {
        metrics.push(metric(map, column, style, &mut sentences)?);
    }
    let (kinds, places) = kinds(map);
    let ramps = [Ramp::Diverging, Ramp::Sequential];
    Ok(Data {
        schema: "tomograph.report/1",
        layers: map.grid.layers,
        origin: style.origin.id(),
        components: Component::ALL.map(|c| Label { id: c.id(), label: c.label() }).to_vec(),
        ticks: crate::scene::labelled_layers(map.grid.layers),
        kinds,
        places,
        sentences,
        ramps: ramps.map(|r| (name(r), r.table().into_iter().map(crate::Rgb::hex).collect())).into_iter().collect(),
        metrics,
    })
}

const fn name(ramp: Ramp) -> &'static str {
    match ramp {
        Ramp::Diverging => "diverging",
        Ramp::Sequential => "sequential",
    }
}

fn kinds(map: &Map) -> (Vec<Kind>, Vec<i64>) {
    let mut kinds: Vec<Kind> = Vec::new();
    let places = (0..map.grid.layers).flat_map(|layer| Component::ALL.map(|c| matrices(map, layer, c)));
    let places = places.map(|here| {
        let Some(cell) = here.first() else { return -1 };
        let kind = Kind {
            shape: format!("{} × {}", cell.out_features, cell.in_features),
            dtype: escape::plain(&cell.dtype, 40),
            experts: if cell.id.expert.is_some() { here.len() } else { 0 },
        };
        let known = kinds.iter().position(|k| *k == kind);
        let at = known.unwrap_or_else(|| {
            kinds.push(kind);
            kinds.len() - 1
        });
        i64::try_from(at).unwrap_or(-1)
    });
    let places = places.collect();
    (kinds, places)
}

fn metric(map: &Map, column: &Column, style: Style, sentences: &mut Vec<String>) -> Result<Metric, RenderError> {
    let info: &MetricInfo = &column.info;
    let fitting = NORMALISATIONS.iter().filter(|n| (n.refuse)(info, map).is_none());
    let mut views = Vec::new();
    for normalisation in fitting {
        views.push(drawn(map, info, normalisation, style, sentences)?);
    }
    let first = Normalisation::default_for(info).id;
    Ok(Metric {
        id: escape::plain(&info.id, 80),
        title: escape::plain(&info.title, 80),
        family: escape::plain(&info.family, 40),
        direction: info.direction,
        first: views.iter().position(|v| v.id == first).unwrap_or(0),
        views,
    })
}

fn drawn(
    map: &Map,
    info: &MetricInfo,
    normalisation: &'static Normalisation,
    style: Style,
    sentences: &mut Vec<String>,
) -> Result<Drawn, RenderError> {
    let view = map.view(&info.id, normalisation).map_err(|e| RenderError::library("normalising", e))?;
    // Data run from layer 0 whatever the origin; the script turns the picture, not the data.
    let scene = Scene::from_picture(&Picture { map, view: &view }, Style { origin: Origin::Top, ..style });
    let mut drawn = Drawn {
        id: normalisation.id,
        title: escape::plain(view.normalisation_title, 160),
        unit: escape::plain(&view.unit, 60),
        words: scene.subtitle.get(1).cloned().unwrap_or_default(),
        values: Vec::with_capacity(scene.cells.len()),
        intervals: BTreeMap::new(),
        missing: BTreeMap::new(),
        ramp: scene.bar.as_ref().map_or("diverging", |b| name(b.scale.ramp)),
        steps: scene.cells.iter().map(|c| format!("{:02x}", c.step.unwrap_or(HATCHED))).collect(),
        bar: scene.bar.as_ref().map(|b| bar(&b.scale)).unwrap_or_default(),
        middle: scene.bar.as_ref().and_then(|b| b.middle),
        below: scene.bar.as_ref().map_or(0, |b| b.scale.below),
        above: scene.bar.as_ref().map_or(0, |b| b.scale.above),
        ticks: scene.bar.as_ref().map(|b| b.ticks.clone()).unwrap_or_default(),
        hatched: words::missing(&view),
        notes: scene.foot(true).map(|l| index_of(sentences, l.to_owned())).collect(),
    };
    for (at, (_, _, place)) in view.iter().enumerate() {
        drawn.values.push(place.value().map(rounded));
        if let Some(interval) = place.reading().and_then(|r| r.interval) {
            drawn.intervals.insert(at, (rounded(interval.0), rounded(interval.1)));
        }
        if let Place::Missing { reason, .. } = place {
            drawn.missing.insert(at, index_of(sentences, escape::plain(reason, 200)));
        }
    }
    Ok(drawn)
}

fn bar(scale: &crate::Scale) -> Vec<usize> {
    let at = |i: usize| scale.low + (scale.high - scale.low) * i as f64 / (BAR - 1) as f64;
    (0..BAR).map(|i| scale.step(at(i))).collect()
}

fn index_of(sentences: &mut Vec<String>, sentence: String) -> usize {
    sentences.iter().position(|s| *s == sentence).unwrap_or_else(|| {
        sentences.push(sentence);
        sentences.len() - 1
    })
}

/// Seven significant digits: more than the page shows or the eye needs, and half the bytes. `map.json` has them all.
fn rounded(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}
