//! Maps for the report's tests.

use proptest::collection::vec;
use proptest::prelude::*;
use tomo_map::{
    Additivity, Cell, CellId, Column, Component, Direction, Grid, Map, Meaning, MetricInfo, MissingColumn, Provenance,
    Scope, Score, Status,
};

pub(super) fn info(id: &str, title: &str) -> MetricInfo {
    MetricInfo {
        id: id.to_owned().into(),
        title: title.to_owned().into(),
        summary: "What it is, in one sentence.".into(),
        unit: "ratio".into(),
        family: "weights".into(),
        meaning: Meaning::Structure,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: "Rescaling a norm changes it, not the function".into(),
    }
}

pub(super) fn provenance() -> Provenance {
    Provenance {
        model: "models/tiny.gguf".into(),
        model_digest: "blake3:5f1d7a84".into(),
        family: "llama".into(),
        format: "gguf".into(),
        version: "0.1.0".into(),
        command: "tomograph map models/tiny.gguf".into(),
        started: "2026-11-23T20:18:00Z".into(),
        seconds: 1.5,
        ..Provenance::default()
    }
}

/// The score of a cell, if there is such a cell.
type ScoreOf<'a> = &'a dyn Fn(u32, Component) -> Option<f64>;

/// A map of several metrics over a grid without experts: `scores[metric](layer, component)`, `None` for no cell.
pub(super) fn dense(layers: u32, metrics: &[(MetricInfo, ScoreOf<'_>)]) -> Map {
    let exists = |l: u32, c: Component| metrics.iter().any(|(_, f)| f(l, c).is_some());
    let ids: Vec<_> =
        (0..layers).flat_map(|l| Component::ALL.map(|c| (l, c))).filter(|(l, c)| exists(*l, *c)).collect();
    let cells = ids.iter().map(|(l, c)| cell(*l, *c, None)).collect();
    let columns = metrics
        .iter()
        .map(|(info, f)| Column {
            info: info.clone(),
            scores: ids.iter().map(|(l, c)| f(*l, *c).map_or_else(unscored, Score::from_value)).collect(),
            measurement: None,
        })
        .collect();
    Map { provenance: provenance(), grid: Grid { layers, cells, missing: Vec::new() }, columns, ..Map::default() }
}

fn unscored() -> Score {
    Score::missing(Status::Undefined, "no noise")
}

pub(super) fn cell(layer: u32, component: Component, expert: Option<u32>) -> Cell {
    let id = CellId { layer, component, expert };
    Cell { id, out_features: 4, in_features: 6, tensor: format!("blk.{id}"), dtype: "Q4_1".into() }
}

/// A wobble between -1 and 1 that looks like noise and is the same on every machine.
pub(super) fn wobble(layer: u32, component: Component) -> f64 {
    let x = (f64::from(layer) * 12.9898 + component.index() as f64 * 78.233).sin() * 43_758.545;
    (x - x.floor()) * 2.0 - 1.0
}

/// What the reference figure of the project shows, by its description: 28 layers, v high up to layer 15 and paler from
/// 18, o likewise, q and k low, up and down between, gate lowest up to layer 15.
pub(super) fn figure() -> Map {
    let level = |layer: u32, component: Component| {
        let (early, late) = match component {
            Component::AttnQ => (0.127, 0.127),
            Component::AttnK => (0.128, 0.128),
            Component::AttnV => (0.156, 0.145),
            Component::AttnO => (0.150, 0.138),
            Component::MlpUp => (0.136, 0.137),
            Component::MlpDown => (0.138, 0.139),
            Component::MlpGate => (0.122, 0.131),
        };
        let share = (f64::from(layer) - 15.0).clamp(0.0, 3.0) / 3.0;
        Some(early + (late - early) * share + 0.001 * wobble(layer, component))
    };
    dense(28, &[(info("density", "Update density"), &level)])
}

#[derive(Clone, Debug)]
enum Pattern {
    Constant,
    Noise,
    Ties,
    Step(usize),
    Trend,
    Outlier(usize),
}

fn pattern(layers: usize) -> impl Strategy<Value = Pattern> {
    prop_oneof![
        1 => Just(Pattern::Constant),
        2 => Just(Pattern::Noise),
        1 => Just(Pattern::Ties),
        2 => (0..layers).prop_map(Pattern::Step),
        1 => Just(Pattern::Trend),
        2 => (0..layers).prop_map(Pattern::Outlier),
    ]
}

fn value(pattern: &Pattern, layer: usize, noise: f64) -> f64 {
    match pattern {
        Pattern::Constant => 0.5,
        Pattern::Noise => noise,
        Pattern::Ties => (noise * 2.0).round(),
        Pattern::Step(at) => f64::from(u8::from(layer >= *at)) * 3.0 + noise * 0.3,
        Pattern::Trend => layer as f64 * 0.2 + noise * 0.3,
        Pattern::Outlier(at) => noise + if layer == *at { 40.0 } else { 0.0 },
    }
}

/// What becomes of one place: no cell, a dense one, experts, or a cell without a score.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Dense,
    Gone,
    Experts(u32),
    Unscored(Status),
}

fn fate(mixed: bool) -> impl Strategy<Value = Fate> {
    let status = prop_oneof![Just(Status::Undefined), Just(Status::NotMeasured), Just(Status::NotApplicable)];
    let rare = u32::from(mixed);
    prop_oneof![
        12 => Just(Fate::Dense),
        rare => Just(Fate::Gone),
        2 * rare => (1..4u32).prop_map(Fate::Experts),
        rare => status.prop_map(Fate::Unscored),
    ]
}

const REASONS: [&str; 4] = ["the scan was stopped", "no noise to divide by", "not square", "no token came"];

type Places = Vec<(Fate, f64, usize)>;

/// Any map a report has to cope with: one metric, patterns per column, holes, experts, tiny and flat ones.
pub(super) fn any_map() -> impl Strategy<Value = Map> {
    let layers = prop_oneof![Just(1usize), 2..8usize, 8..33usize];
    (layers, any::<bool>())
        .prop_flat_map(|(layers, mixed)| {
            let places = vec((fate(mixed), -1.0..1.0f64, 0..REASONS.len()), layers * 7);
            let gone = proptest::sample::subsequence(Component::ALL.to_vec(), 0..3);
            let flags = (any::<[bool; 4]>(), 0..3usize, prop_oneof![Just(1.0), Just(1e-6), Just(4e5)], 0..12u8);
            (Just(layers), vec(pattern(layers), 7), places, gone, flags)
        })
        .prop_map(|(layers, patterns, places, gone, flags)| build(layers, &patterns, &places, &gone, flags))
}

fn build(
    layers: usize,
    patterns: &[Pattern],
    places: &Places,
    gone: &[Component],
    ([by_column, proxy, text, intervals], direction, scale, doom): ([bool; 4], usize, f64, u8),
) -> Map {
    let (mut cells, mut scores) = (Vec::new(), Vec::new());
    for (at, (fate, noise, reason)) in places.iter().enumerate() {
        let (layer, component) = (at / 7, Component::ALL[at % 7]);
        if gone.contains(&component) {
            continue;
        }
        let number = scale * (value(&patterns[at % 7], layer, *noise) + component.index() as f64 * 0.25);
        let mut add = |expert, score| {
            cells.push(cell(layer as u32, component, expert));
            scores.push(if doom == 0 { unscored() } else { score });
        };
        let scored = Score::from_value(number);
        match fate {
            Fate::Gone => {}
            Fate::Dense if intervals && *reason == 0 => add(None, scored.with_interval(number - 1.0, number + 1.0)),
            Fate::Dense => add(None, scored),
            Fate::Unscored(status) => add(None, Score::missing(*status, REASONS[*reason])),
            Fate::Experts(n) => (0..*n).for_each(|e| {
                let empty = *n > 1 && e == 0 && *reason == 0;
                let score = Score::from_value(number + f64::from(e) * scale);
                add(Some(e), if empty { Score::missing(Status::Undefined, REASONS[3]) } else { score });
            }),
        }
    }
    let mut info = info("s", "A score");
    info.scope = if by_column { Scope::Column } else { Scope::Map };
    info.proxy = proxy;
    info.direction = [Direction::High, Direction::Low, Direction::Neutral][direction];
    let mut provenance = provenance();
    provenance.text_digest = text.then(|| "blake3:77".to_owned());
    let missing = gone.iter().map(|c| MissingColumn { component: *c, reason: "ungated".into() }).collect();
    Map {
        provenance,
        grid: Grid { layers: layers as u32, cells, missing },
        columns: vec![Column::new(info, scores)],
        ..Map::default()
    }
}
