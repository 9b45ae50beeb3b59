//! From a view's numbers to claims.

use tomo_map::stats::{Shape, ShapeTest, cliffs_delta, median, robust_z};
use tomo_map::{Additivity, Column, Component, Map, Meaning, Profile, RankedPlace, View};

use super::claim::{Baseline, Claim, Contrast};

/// Robust z-score beyond which a cell or a layer is said to stand out (Iglewicz & Hoaglin 1993).
const FAR: f64 = 3.5;
/// Fewest layers for statistics along depth.
pub(super) const MIN_LAYERS: usize = 8;
/// Cliff's delta from which a contrast is worth a sentence: "large" by Romano et al. 2006.
const LARGE: f64 = 0.474;
/// Relative differences this small are the arithmetic's, not the model's.
const ROUNDING: f64 = 1e-12;
/// Most contrasts and most outliers that get a sentence.
const MOST_CONTRASTS: usize = 3;
const MOST_OUTLIERS: usize = 5;

/// A column with what was found along depth.
struct Fitted {
    profile: Profile,
    /// A shape that passed its test.
    shape: Option<ShapeTest>,
    /// Robust z-score of each point around its baseline; empty if too few layers or no spread.
    z: Vec<f64>,
}

/// Claims about how components compare; empty where they may not be compared.
pub(super) fn across(view: &View) -> Vec<Claim> {
    let profiles = view.profiles();
    let mut claims = Vec::new();
    if !view.across_columns {
        return claims;
    }
    claims.extend(ends(view));
    if profiles.len() < 2 || matches!(claims.first(), Some(Claim::AllEqual { .. })) {
        return claims;
    }
    claims.extend(medians(&profiles));
    claims.extend(leads(view, true));
    claims.extend(leads(view, false));
    claims.extend(contrasts(&profiles).into_iter().map(Claim::Contrast));
    claims
}

/// What the scores come to, where they are losses that add up.
pub(super) fn total(map: &Map, column: &Column) -> Option<Claim> {
    const HIGHEST: usize = 5;
    let info = &column.info;
    if info.additivity != Additivity::Additive || info.meaning != Meaning::Fragile || info.unit != "nats per token" {
        return None;
    }
    let scored = map.grid.cells.iter().zip(&column.scores).filter_map(|(cell, score)| Some((cell.id, score.value()?)));
    let mut scored: Vec<_> = scored.collect();
    let sum: f64 = scored.iter().map(|(_, value)| value).sum();
    if scored.len() < 2 || !sum.is_finite() || sum <= 0.0 {
        return None;
    }
    let cells = scored.len();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scored.truncate(HIGHEST.min(cells - 1));
    let share = scored.iter().map(|(_, value)| value).sum::<f64>() / sum;
    let highest = scored.into_iter().map(|(id, _)| id).collect();
    Some(Claim::Total { sum, unit: info.unit.to_string(), cells, highest, share })
}

/// Claims about each column along depth, then claims about layers and cells that stand out.
pub(super) fn along(view: &View, seed: u64) -> (Vec<Claim>, Vec<Claim>) {
    let profiles = view.profiles();
    let tested = profiles.iter().filter(|p| p.points.len() >= MIN_LAYERS && !p.is_constant()).count();
    let columns = u32::try_from(tested).unwrap_or(u32::MAX);
    let fitted: Vec<_> = profiles.into_iter().map(|p| fit(p, columns, seed)).collect();
    let mut depth: Vec<_> = fitted.iter().filter_map(change).collect();
    let quiet = |f: &&Fitted| f.shape.is_none() && !f.profile.is_constant() && f.profile.points.len() >= MIN_LAYERS;
    let unchanged: Vec<_> = fitted.iter().filter(quiet).map(|f| f.profile.component).collect();
    if !unchanged.is_empty() {
        depth.push(Claim::NoChange(unchanged));
    }
    let flat = |f: &&Fitted| f.profile.is_constant() && f.profile.points.len() > 1;
    let flat: Vec<_> = fitted.iter().filter(flat).map(|f| (f.profile.component, f.profile.median)).collect();
    if !flat.is_empty() {
        depth.push(Claim::Flat(flat));
    }
    (depth, outliers(view, &fitted))
}

fn fit(profile: Profile, columns: u32, seed: u64) -> Fitted {
    let shape = ShapeTest::fit(&profile.points, columns, seed).filter(ShapeTest::passes);
    let z = if profile.points.len() < MIN_LAYERS {
        Vec::new()
    } else {
        // Halved, so that the distance of two finite numbers stays finite; z-scores do not notice.
        let rounding = ROUNDING * profile.highest.1.abs().max(profile.lowest.1.abs()) / 2.0;
        let residual = |(at, point): (usize, &(u32, f64))| {
            let difference = point.1 / 2.0 - expected(&profile, shape.as_ref(), at).0 / 2.0;
            if difference.abs() <= rounding { 0.0 } else { difference }
        };
        let residuals: Vec<f64> = profile.points.iter().enumerate().map(residual).collect();
        robust_z(&residuals).unwrap_or_default()
    };
    Fitted { profile, shape, z }
}

/// What the column leads one to expect at its point `at`.
fn expected(profile: &Profile, shape: Option<&ShapeTest>, at: usize) -> (f64, Baseline) {
    match shape.map(|s| s.shape) {
        None => (profile.median, Baseline::Median),
        Some(Shape::Step(split)) => (if at < split.first { split.before } else { split.after }, Baseline::Step),
        Some(Shape::Drift(line)) => {
            let position = |i: usize| profile.points.get(i).map_or(0.0, |p| f64::from(p.0));
            let (first, last) = (position(0), position(profile.points.len() - 1));
            let share = (position(at) - first) / (last - first);
            (line.start * (1.0 - share) + line.end * share, Baseline::Line)
        }
    }
}

fn ends(view: &View) -> Option<Claim> {
    let ranking = view.ranking();
    let mut places = ranking.places;
    if ranking.lowest_first {
        places.reverse();
    }
    let sharing = |end: &RankedPlace| places.iter().filter(|p| p.value == end.value).count();
    let (high, low) = (*places.first()?, *places.last()?);
    if high.value == low.value {
        return Some(Claim::AllEqual { value: high.value, places: places.len() });
    }
    Some(Claim::Ends { highest: (high, sharing(&high)), lowest: (low, sharing(&low)) })
}

/// Silent if two columns share the highest or the lowest median.
fn medians(profiles: &[Profile]) -> Option<Claim> {
    let mut by_median: Vec<_> = profiles.iter().map(|p| (p.component, p.median)).collect();
    by_median.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (highest, second) = (*by_median.first()?, *by_median.get(1)?);
    let (lowest, last_but_one) = (*by_median.last()?, *by_median.get(by_median.len() - 2)?);
    (highest.1 > second.1 && lowest.1 < last_but_one.1).then_some(Claim::Medians { highest, lowest })
}

/// Runs of consecutive layers in which one column is strictly above (or below) all others: those of at least three
/// layers and a quarter of the map.
fn leads(view: &View, above: bool) -> Vec<Claim> {
    let leader = |layer: u32| {
        let mut row = view.row(layer);
        row.sort_by(|a, b| if above { b.1.total_cmp(&a.1) } else { a.1.total_cmp(&b.1) });
        let (first, second) = (row.first()?, row.get(1)?);
        (first.1 != second.1).then_some(first.0)
    };
    let mut claims = Vec::new();
    let mut run: Option<(Component, u32)> = None;
    for layer in 0..=view.layers {
        let here = if layer < view.layers { leader(layer) } else { None };
        if let Some((component, first)) = run.filter(|(component, _)| here != Some(*component)) {
            let length = layer - first;
            if length >= 3 && length >= view.layers.div_ceil(4) {
                claims.push(Claim::Leads { component, above, first, last: layer - 1 });
            }
        }
        run = here.map(|component| run.filter(|(c, _)| *c == component).unwrap_or((component, layer)));
    }
    claims
}

/// The strongest contrasts, by Cliff's delta and, among equal ones, by the distance of the medians.
fn contrasts(profiles: &[Profile]) -> Vec<Contrast> {
    let mut found = Vec::new();
    for (at, a) in profiles.iter().enumerate() {
        for b in &profiles[at + 1..] {
            let Some(delta) = cliffs_delta(&a.values(), &b.values()) else { continue };
            let (higher, lower) = if delta >= 0.0 { (a, b) } else { (b, a) };
            let shared: Vec<(f64, f64)> = higher
                .points
                .iter()
                .filter_map(|(layer, v)| Some((*v, lower.points.iter().find(|p| p.0 == *layer)?.1)))
                .collect();
            found.push(Contrast {
                higher: higher.component,
                lower: lower.component,
                delta: delta.abs(),
                above: shared.iter().filter(|(h, l)| h > l).count(),
                layers: shared.len(),
                medians: (higher.median, lower.median),
            });
        }
    }
    let distance = |c: &Contrast| c.medians.0 / 2.0 - c.medians.1 / 2.0;
    found.sort_by(|a, b| b.delta.total_cmp(&a.delta).then(distance(b).total_cmp(&distance(a))));
    found.retain(|c| c.delta >= LARGE && c.layers >= 3 && c.medians.0 > c.medians.1);
    found.truncate(MOST_CONTRASTS);
    found
}

fn change(fitted: &Fitted) -> Option<Claim> {
    let test = fitted.shape.as_ref()?;
    let component = fitted.profile.component;
    let layer = |at: usize| fitted.profile.points.get(at).map(|p| p.0);
    let last = fitted.profile.points.len() - 1;
    let (levels, evidence) = (test.shape.levels(), test.evidence);
    Some(match test.shape {
        Shape::Step(split) => Claim::Step {
            component,
            before: (layer(0)?, layer(split.first - 1)?),
            after: (layer(split.first)?, layer(last)?),
            levels,
            evidence,
        },
        Shape::Drift(_) => Claim::Drift { component, layers: (layer(0)?, layer(last)?), levels, evidence },
    })
}

/// Layers whose cells lean the same way, then the cells farthest from what their column leads one to expect.
fn outliers(view: &View, fitted: &[Fitted]) -> Vec<Claim> {
    let mut claims = Vec::new();
    for layer in 0..view.layers {
        let z_of = |f: &Fitted| {
            let at = f.profile.points.iter().position(|p| p.0 == layer)?;
            f.z.get(at).copied()
        };
        let row: Vec<f64> = fitted.iter().filter_map(z_of).collect();
        if let Some(z) = median(&row).filter(|z| row.len() >= 2 && z.abs() >= FAR) {
            claims.push(Claim::Layer { layer, z, columns: row.len() });
        }
    }
    let mut far: Vec<_> = fitted
        .iter()
        .flat_map(|f| f.z.iter().enumerate().filter(|(_, z)| z.abs() >= FAR).map(move |(at, z)| (f, at, *z)))
        .collect();
    far.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
    for (f, at, z) in far.iter().take(MOST_OUTLIERS) {
        let (layer, value) = f.profile.points[*at];
        let (expected, baseline) = expected(&f.profile, f.shape.as_ref(), *at);
        let component = f.profile.component;
        claims.push(Claim::Outlier { layer, component, value, expected, baseline, z: *z });
    }
    if far.len() > MOST_OUTLIERS {
        claims.push(Claim::MoreOutliers(far.len() - MOST_OUTLIERS));
    }
    claims
}
