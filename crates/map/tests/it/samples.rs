//! Maps for tests: small ones by hand, and arbitrary valid ones.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tomo_map::{
    Additivity, Against, Beside, BesideRow, Cell, CellId, Column, Component, Direction, GgufHeader, Grid, Inventory,
    Map, Meaning, MetricInfo, MissingColumn, Names, OtherTensor, Provenance, Scope, Score, Status,
};

pub(crate) fn info(id: &str) -> MetricInfo {
    MetricInfo {
        id: id.to_owned().into(),
        title: "A score".into(),
        summary: "What it is".into(),
        unit: "ratio".into(),
        family: "weights".into(),
        meaning: Meaning::Structure,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: true,
        caveat: "Mind the gap".into(),
    }
}

pub(crate) fn cell(layer: u32, component: Component, expert: Option<u32>, shape: (u64, u64)) -> Cell {
    Cell {
        id: CellId { layer, component, expert },
        out_features: shape.0,
        in_features: shape.1,
        tensor: format!("layers.{layer}.{component}"),
        dtype: "F32".into(),
    }
}

/// A map of one metric `s` whose cells are given as (layer, component, expert, score), all 2 x 3.
pub(crate) fn map_of(info: MetricInfo, layers: u32, scores: &[(u32, Component, Option<u32>, Score)]) -> Map {
    let cells = scores.iter().map(|(l, c, e, _)| cell(*l, *c, *e, (2, 3))).collect();
    let scores = scores.iter().map(|(_, _, _, s)| s.clone()).collect();
    Map {
        grid: Grid { layers, cells, missing: Vec::new() },
        columns: vec![Column::new(info, scores)],
        ..Map::default()
    }
}

/// A map of one metric with `rows[layer][i]` at `components[i]`.
pub(crate) fn dense(info: MetricInfo, components: &[Component], rows: &[&[f64]]) -> Map {
    let scores: Vec<_> = rows
        .iter()
        .zip(0u32..)
        .flat_map(|(row, l)| components.iter().zip(*row).map(move |(c, v)| (l, *c, None, Score::from_value(*v))))
        .collect();
    map_of(info, u32::try_from(rows.len()).unwrap(), &scores)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{0,12}",
        Just("<script>alert(1)</script> | `x` \" , ' \\ \r\n\t\u{0}\u{1b}[31m \u{202e}".to_owned()),
        any::<String>().prop_map(|s| s.chars().take(20).collect()),
    ]
}

fn finite() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    prop_oneof![NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE, -1.0..1.0f64]
}

fn score() -> impl Strategy<Value = Score> {
    let status = prop_oneof![Just(Status::Undefined), Just(Status::NotMeasured), Just(Status::NotApplicable)];
    prop_oneof![
        3 => finite().prop_map(Score::from_value),
        1 => (finite(), finite(), finite()).prop_map(|(v, a, b)| Score::from_value(v).with_interval(a.min(b), a.max(b))),
        1 => (finite(), text()).prop_map(|(v, r)| Score::from_value(v).with_caveat(r)),
        1 => (status, text()).prop_map(|(s, r)| Score::missing(s, r)),
    ]
}

fn metric_info(at: usize) -> impl Strategy<Value = MetricInfo> {
    let meaning =
        prop_oneof![Just(Meaning::Structure), Just(Meaning::Used), Just(Meaning::Fragile), Just(Meaning::Changed)];
    let direction = prop_oneof![Just(Direction::High), Just(Direction::Low), Just(Direction::Neutral)];
    let scope = prop_oneof![
        Just(Scope::Map),
        Just(Scope::Column),
        Just(Scope::Input),
        Just(Scope::Silence),
        Just(Scope::Layer)
    ];
    let additivity = prop_oneof![Just(Additivity::Additive), Just(Additivity::NonNegative), Just(Additivity::Signed)];
    (vec(text(), 6), meaning, direction, scope, additivity, option::of(finite()), any::<bool>()).prop_map(
        move |(t, meaning, direction, scope, additivity, middle, proxy)| MetricInfo {
            id: format!("m{at}{}", t[0]).into(),
            title: t[1].clone().into(),
            summary: t[2].clone().into(),
            unit: t[3].clone().into(),
            family: t[4].clone().into(),
            meaning,
            direction,
            scope,
            additivity,
            middle,
            proxy,
            caveat: t[5].clone().into(),
        },
    )
}

fn grid() -> impl Strategy<Value = Grid> {
    let place = (0..3u32, proptest::sample::subsequence(vec![0u32, 1, 5], 0..=3), any::<bool>());
    // Per layer and component: no cell, a dense one, or experts.
    (1..5usize)
        .prop_flat_map(move |layers| {
            (
                vec(vec(place.clone(), 7), layers),
                proptest::sample::subsequence(Component::ALL.to_vec(), 0..3),
                text(),
                1..5000u64,
                1..5000u64,
            )
        })
        .prop_map(|(rows, gone, reason, out, width)| {
            let mut cells = Vec::new();
            for (row, layer) in rows.iter().zip(0u32..) {
                for ((kind, experts, wide), component) in row.iter().zip(Component::ALL) {
                    if gone.contains(&component) {
                        continue;
                    }
                    let shape = if *wide { (out, width) } else { (width, out) };
                    match kind {
                        0 => {}
                        1 => cells.push(cell(layer, component, None, shape)),
                        _ => cells.extend(experts.iter().map(|e| cell(layer, component, Some(*e), shape))),
                    }
                }
            }
            let missing =
                gone.into_iter().map(|component| MissingColumn { component, reason: reason.clone() }).collect();
            Grid { layers: u32::try_from(rows.len()).unwrap(), cells, missing }
        })
}

fn provenance() -> impl Strategy<Value = Provenance> {
    (vec(text(), 8), option::of(text()), option::of(any::<u64>()), any::<u64>(), 0.0..1e9f64).prop_map(
        |(t, maybe, number, seed, seconds)| Provenance {
            model: t[0].clone(),
            model_digest: t[1].clone(),
            config_digest: maybe.clone(),
            family: t[2].clone(),
            format: t[3].clone(),
            text: maybe.clone(),
            text_digest: maybe.clone(),
            text_passages: maybe.clone(),
            loss: maybe.clone(),
            draws: number,
            sequences: number,
            tokens: number,
            seed,
            group: number,
            version: t[4].clone(),
            command: t[5].clone(),
            started: t[6].clone(),
            seconds,
            peak_rss_bytes: number,
            dims: number.map(|n| (t[7].clone(), n)).into_iter().collect(),
            against: maybe.map(|text| Against {
                model: text.clone(),
                model_digest: t[1].clone(),
                config_digest: number.map(|_| text.clone()),
                format: t[3].clone(),
                cast: number.map(|_| "bf16".to_owned()),
                notes: vec![text],
            }),
        },
    )
}

fn beside() -> impl Strategy<Value = Beside> {
    let row = (option::of(0..10_000u32), text(), score());
    let row = row.prop_map(|(layer, name, score)| BesideRow { layer, tensor: name.clone(), name, score });
    (vec(text(), 3), vec(row, 0..4)).prop_map(|(t, rows)| Beside {
        id: "beside".to_owned(),
        title: t[0].clone(),
        summary: t[1].clone(),
        unit: t[2].clone(),
        rows,
    })
}

fn names() -> impl Strategy<Value = Names> {
    (option::of(text()), option::of(text())).prop_map(|(gguf, hugging_face)| Names { gguf, hugging_face })
}

/// What a checkpoint of so many cells holds.
fn inventory(cells: usize) -> impl Strategy<Value = Inventory> {
    let other = (vec(text(), 3), vec(0..100u64, 0..3), names(), any::<u64>());
    let other = other.prop_map(|(t, shape, names, bytes)| OtherTensor {
        tensor: t[0].clone(),
        role: t[1].clone(),
        dtype: t[2].clone(),
        shape,
        bytes,
        names,
    });
    let header = (any::<u64>(), 0..12u32)
        .prop_map(|(metadata_bytes, power)| GgufHeader { metadata_bytes, alignment: 1 << power });
    (vec(names(), cells), vec(other, 0..3), option::of(header)).prop_map(|(cells, others, gguf)| Inventory {
        cells,
        others,
        gguf,
    })
}

/// Any map that satisfies `Map::validate`.
pub(crate) fn any_map() -> impl Strategy<Value = Map> {
    (provenance(), grid(), 0..3usize).prop_flat_map(|(provenance, grid, metrics)| {
        let count = grid.cells.len();
        let columns: Vec<_> = (0..metrics)
            .map(|at| (metric_info(at), vec(score(), count)).prop_map(|(info, scores)| Column::new(info, scores)))
            .collect();
        let inventory = option::of(inventory(count));
        (columns, vec(beside(), 0..2), inventory).prop_map(move |(columns, beside, inventory)| Map {
            provenance: provenance.clone(),
            grid: grid.clone(),
            columns,
            beside: beside.into_iter().take(1).collect(),
            sides: None,
            inventory: inventory.map(Box::new),
        })
    })
}
