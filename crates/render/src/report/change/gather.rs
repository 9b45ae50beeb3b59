use tomo_map::stats::median;
use tomo_map::{Cell, Column, Component, Map, RankCorrelation, Score};

use super::rank::random_effective_rank;
use super::{Change, DENSITIES, FAMILY, SIZE, findings, measured};
use crate::report::claim::Claim;

/// Share of a column's change from which rescaling is told of it, and of a density's ranks from which 1 / rms is blamed.
const MOSTLY: f64 = 0.5;
/// Share of the full rank up to which a numerical rank is low.
const QUARTER: f64 = 0.25;

/// Everything that can be said of what changed; empty for a map that compares no checkpoints, or two that are identical.
pub(in crate::report) fn claims(map: &Map) -> Vec<Change> {
    if !map.columns.iter().any(|c| c.info.family == FAMILY) || map.sides.is_some() {
        return Vec::new();
    }
    let mut claims = Vec::new();
    let touched = touched(map);
    let (same, of) = (touched.iter().filter(|(_, t)| !t).count(), touched.len());
    if of > 0 && same == of {
        return Vec::new();
    }
    if same > 0 {
        claims.push(Change::Untouched { cells: same, of, columns: untouched_columns(&touched) });
    }
    claims.extend(spread(map));
    claims.extend(scaled(map));
    claims.extend(misleads(map));
    claims.extend(numerical_rank(map));
    claims.extend(effective_rank(map));
    claims.extend(by_columns_and_depth(map));
    claims.extend(size(map));
    claims
}

/// The scores of a metric, if the map holds it.
fn scores<'a>(map: &'a Map, id: &str) -> Option<impl Iterator<Item = (&'a Cell, &'a Score)>> {
    Some(map.grid.cells.iter().zip(&map.column(id)?.scores))
}

/// Cells with a value under each of `ids`.
fn values<'a, const N: usize>(map: &'a Map, ids: [&str; N]) -> Vec<(&'a Cell, [f64; N])> {
    let columns: Vec<&Column> = ids.iter().filter_map(|id| map.column(id)).collect();
    let Ok(columns) = <[&Column; N]>::try_from(columns) else { return Vec::new() };
    let at = |(at, cell): (usize, &'a Cell)| {
        let mut row = [0.0; N];
        for (value, column) in row.iter_mut().zip(columns) {
            *value = column.scores.get(at)?.value()?;
        }
        Some((cell, row))
    };
    map.grid.cells.iter().enumerate().filter_map(at).collect()
}

/// Cells that were compared, and whether anything in them changed.
fn touched(map: &Map) -> Vec<(Component, bool)> {
    let ids = ["delta-relative", "update-density"];
    let Some(scores) = ids.iter().find_map(|id| scores(map, id)) else { return Vec::new() };
    scores.filter_map(|(cell, score)| Some((cell.id.component, score.value()? != 0.0))).collect()
}

fn untouched_columns(touched: &[(Component, bool)]) -> Vec<Component> {
    let here = |c: Component| touched.iter().filter(move |(component, _)| *component == c);
    Component::ALL.into_iter().filter(|c| here(*c).next().is_some() && here(*c).all(|(_, t)| !t)).collect()
}

/// ||dW||² of each cell.
fn energies(map: &Map) -> Vec<(&Cell, f64)> {
    let with = values(map, ["delta-relative", SIZE]);
    with.into_iter().map(|(cell, [relative, rms])| (cell, (relative * rms).powi(2) * cell.numel() as f64)).collect()
}

fn spread(map: &Map) -> Vec<Change> {
    let mut cells: Vec<(f64, f64)> = energies(map).into_iter().map(|(cell, e)| (e, cell.numel() as f64)).collect();
    let (change, weights) = cells.iter().fold((0.0, 0.0), |(e, w), cell| (e + cell.0, w + cell.1));
    if cells.len() < 2 || !(change > 0.0 && change.is_finite()) {
        return Vec::new();
    }
    cells.iter_mut().for_each(|cell| *cell = (cell.0 / change, cell.1 / weights));
    let even_over = 1.0 / cells.iter().map(|(e, w)| e * e / w).sum::<f64>();
    cells.sort_by(|a, b| (b.0 / b.1).total_cmp(&(a.0 / a.1)));
    let tenth = cells.len().div_ceil(10);
    let (change, weights) = cells[..tenth].iter().fold((0.0, 0.0), |(e, w), cell| (e + cell.0, w + cell.1));
    vec![
        Change::Spread { cells: cells.len(), even_over: even_over.min(1.0) },
        Change::Most { cells: tenth, change, weights },
    ]
}

/// (c - 1)² ||W||² is the part of ||dW||² along W, where c is the scale that fits best.
fn scaled(map: &Map) -> Option<Change> {
    let cells = values(map, ["delta-relative", "delta-scale", SIZE]);
    let share = |only: Option<Component>| {
        let here = cells.iter().filter(|(cell, _)| only.is_none_or(|c| cell.id.component == c));
        let (along, all) = here.fold((0.0, 0.0), |(along, all), (cell, [relative, scale, rms])| {
            let size = rms * rms * cell.numel() as f64;
            (along + scale * scale * size, all + relative * relative * size)
        });
        (all > 0.0 && all.is_finite()).then(|| (along / all).min(1.0))
    };
    let columns = Component::ALL.into_iter().filter_map(|c| Some((c, share(Some(c))?)));
    Some(Change::Scaled { share: share(None)?, columns: columns.filter(|(_, share)| *share >= MOSTLY).collect() })
}

/// The column with the highest median of a metric, if there is one alone.
fn highest_column(map: &Map, id: &str) -> Option<Component> {
    let mut medians: Vec<(f64, Component)> =
        measured(map, map.column(id)?)?.profiles().iter().map(|p| (p.median, p.component)).collect();
    medians.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (highest, second) = (medians.first()?, medians.get(1)?);
    (highest.0 > second.0).then_some(highest.1)
}

fn misleads(map: &Map) -> Option<Change> {
    let (relative, direction) = (highest_column(map, "delta-relative")?, highest_column(map, "delta-direction")?);
    (relative != direction).then_some(Change::Misleads { relative, direction })
}

fn numerical_rank(map: &Map) -> Option<Change> {
    let mut ranks = values(map, ["delta-rank"]);
    // Where nothing changed there is nothing to have a rank.
    ranks.retain(|(_, [rank])| *rank > 0.0);
    let of = ranks.len();
    let count = |test: fn(f64) -> bool| ranks.iter().filter(|(_, [rank])| test(*rank)).count();
    (of > 0).then(|| Change::Rank { full: count(|r| r >= 1.0), low: count(|r| r <= QUARTER), of })
}

fn effective_rank(map: &Map) -> Option<Change> {
    let cells = values(map, ["delta-effective-rank"]);
    let share = |(cell, [rank]): &(&Cell, [f64; 1])| {
        let full = cell.out_features.min(cell.in_features) as f64;
        rank / full / random_effective_rank(cell.out_features, cell.in_features)
    };
    let shares: Vec<f64> = cells.iter().map(share).collect();
    let range = shares.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), s| (a.min(*s), b.max(*s)));
    Some(Change::EffectiveRank { median: median(&shares)?, range, cells: shares.len() })
}

fn by_columns_and_depth(map: &Map) -> Vec<Change> {
    let mut told = Vec::new();
    for id in ["delta-direction", "update-density"] {
        let Some(found) = findings(map, id) else { continue };
        let metric = id.to_owned();
        let columns = found.across.into_iter().filter(|c| matches!(c, Claim::Medians { .. } | Claim::Leads { .. }));
        told.extend(columns.map(|claim| Change::By { metric: metric.clone(), claim: Box::new(claim) }));
        let changes: Vec<Claim> =
            found.along.into_iter().filter(|c| matches!(c, Claim::Step { .. } | Claim::Drift { .. })).collect();
        if !changes.is_empty() {
            told.push(Change::Depth { metric, changes });
        }
    }
    told
}

/// Densities against 1 / rms, and why bf16 makes them go together.
fn size(map: &Map) -> Vec<Change> {
    let mut told = Vec::new();
    for id in DENSITIES {
        let (densities, inverse): (Vec<f64>, Vec<f64>) = values(map, [id, SIZE])
            .into_iter()
            .filter(|(_, [_, rms])| *rms > 0.0)
            .map(|(_, [density, rms])| (density, 1.0 / rms))
            .unzip();
        if let Some(order) = RankCorrelation::of(&densities, &inverse, map.provenance.seed) {
            told.push(Change::Size { metric: id.to_owned(), order });
        }
    }
    let bf16 = map.grid.cells.iter().filter(|c| c.dtype == "BF16").count();
    let follows = |change: &Change| match change {
        Change::Size { order, .. } => {
            order.rho.powi(2) >= MOSTLY && order.rho > 0.0 && order.interval.is_some_and(|(low, _)| low > 0.0)
        }
        _ => false,
    };
    if told.iter().any(follows) && 2 * bf16 > map.grid.cells.len() {
        told.push(Change::Absorbs);
    }
    told
}
