//! What the report says of two maps, held against their scores.

use proptest::prelude::*;
use regex::Captures;
use tomo_map::{CellId, Component, Direction, Map, Scope, Score};

use super::check::{Check, Checker, assert_shows, check, columns, component, regex};
use super::samples::{any_map, dense, info, provenance, wobble};
use super::{naive, samples};
use crate::report::markdown;

/// What was said, to know whether all was.
#[derive(Default)]
pub(super) struct Told {
    movers: Vec<CellId>,
    tendency: bool,
    order: bool,
    inside: bool,
    columns: Vec<Component>,
    clear: bool,
    same: bool,
}

/// A cell's scores in both maps and their difference.
struct Pair {
    id: CellId,
    first: f64,
    second: f64,
    difference: f64,
    interval: Option<(f64, f64)>,
}

fn pairs(map: &Map) -> Vec<Pair> {
    let Some(sides) = map.sides.as_deref() else { return Vec::new() };
    let scores = [&sides.first.columns[0], &sides.second.columns[0], &map.columns[0]].map(|c| c.scores.as_slice());
    map.grid
        .cells
        .iter()
        .enumerate()
        .filter_map(|(at, cell)| {
            let [first, second, difference] = scores.map(|s| s[at].value());
            let interval = scores[2][at].interval();
            Some(Pair { id: cell.id, first: first?, second: second?, difference: difference?, interval })
        })
        .collect()
}

fn number(text: &str) -> usize {
    text.replace(',', "").parse().unwrap()
}

fn rho(pairs: &[&Pair]) -> Option<f64> {
    spearman(&pairs.iter().map(|p| (p.first, p.second)).collect::<Vec<_>>())
}

/// Spearman's rho with nothing shared: Pearson's of ranks counted one by one.
pub(super) fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    let rank = |value: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        let of = |p: &(f64, f64)| {
            let below = pairs.iter().filter(|q| value(q) < value(p)).count() as f64;
            let tied = pairs.iter().filter(|q| value(q) == value(p)).count() as f64;
            below + (tied + 1.0) / 2.0
        };
        pairs.iter().map(of).collect()
    };
    let (a, b) = (rank(|p| p.0), rank(|p| p.1));
    let (mean_a, mean_b) = (naive::mean(&a), naive::mean(&b));
    let sum = |x: &[f64], mx: f64, y: &[f64], my: f64| x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
    let r = sum(&a, mean_a, &b, mean_b) / (sum(&a, mean_a, &a, mean_a) * sum(&b, mean_b, &b, mean_b)).sqrt();
    (pairs.len() > 1 && r.is_finite()).then_some(r)
}

/// Both tails of a fair coin, coin by coin.
fn sign_test(higher: usize, lower: usize) -> f64 {
    let n = higher + lower;
    let mut probability = 0.5f64.powi(n as i32);
    let mut tail = 0.0;
    for up in 0..=higher.min(lower) {
        tail += probability;
        probability *= (n - up) as f64 / (up + 1) as f64;
    }
    if n == 0 { 1.0 } else { (2.0 * tail).min(1.0) }
}

fn counts<'a>(pairs: impl Iterator<Item = &'a Pair>) -> (usize, usize, usize) {
    pairs.fold((0, 0, 0), |(up, down, same), p| match p.difference {
        d if d > 0.0 => (up + 1, down, same),
        d if d < 0.0 => (up, down + 1, same),
        _ => (up, down, same + 1),
    })
}

/// Sentences about two maps.
pub(super) fn forms<'a>() -> Vec<(String, Check<'a>)> {
    const N: &str = r"(-?[0-9][-0-9.e]*)";
    const I: &str = r"([0-9][0-9,]*)";
    let list = r"((?:`[a-z.]+`(?:, | and )?)+)";
    vec![
        (format!(r"Both maps hold the same scores, to the last bit, in {I} cells?\."), |s, c, l| {
            let pairs = pairs(s.map);
            assert!(pairs.iter().all(|p| p.first == p.second) && number(&c[1]) == pairs.len(), "{l}");
            s.between.same = true;
        }),
        (format!(r"Of {I} cells?, {I} (is|are) higher in the second map, {I} lower and {I} equal\."), |s, c, l| {
            let pairs = pairs(s.map);
            assert_eq!(number(&c[1]), pairs.len(), "{l}");
            assert_eq!((number(&c[2]), number(&c[4]), number(&c[5])), counts(pairs.iter()), "{l}");
            s.between.tendency = true;
        }),
        (
            format!(
                r"Spearman's rank correlation between the maps is {N} over {I} cells(?:, 95 % interval {N} to {N})?\."
            ),
            |s, c, l| {
                assert_ne!(s.map.columns[0].info.scope, Scope::Column, "{l}");
                let pairs = pairs(s.map);
                let rho = rho(&pairs.iter().collect::<Vec<_>>()).unwrap();
                assert_shows(&c[1], rho, l);
                assert_eq!(number(&c[2]), pairs.len(), "{l}");
                if let (Some(low), Some(high)) = (c.get(3), c.get(4)) {
                    let [low, high] = [low, high].map(|m| m.as_str().parse::<f64>().unwrap());
                    assert!(-1.0 <= low && low <= rho + 0.0051 && rho - 0.0051 <= high && high <= 1.0, "{l}");
                }
                s.between.order = true;
            },
        ),
        (
            format!(
                r"(Inside columns it|Spearman's rank correlation between the maps inside columns) is {N} in the mean of (\d)\."
            ),
            |s, c, l| {
                let pairs = pairs(s.map);
                let here = |c| pairs.iter().filter(|p| p.id.component == c).collect::<Vec<_>>();
                let all: Vec<f64> = Component::ALL.into_iter().filter_map(|c| rho(&here(c))).collect();
                assert_shows(&c[2], naive::mean(&all), l);
                assert_eq!(number(&c[3]), all.len(), "{l}");
                assert_eq!(c[1].starts_with("Inside"), s.between.order, "{l}");
                s.between.inside = true;
            },
        ),
        (
            format!(r"(`[a-z.]+`) is (higher|lower) in the second map in {I} of {I} cells \(sign test, p = {N}\)\."),
            |s, c, l| s.column(c, l),
        ),
        (format!(r"No tendency to either side passes the sign test in {list}\."), |s, c, l| {
            for who in columns(&c[1]) {
                assert!(s.corrected(who).unwrap() > 0.0099, "{l}");
                s.between.columns.push(who);
            }
        }),
        (
            format!(
                r"The 95 % interval of the difference (?:leave|leaves) zero out in {I} of {I} cells?; about {N} would by chance\."
            ),
            |s, c, l| {
                let intervals: Vec<_> = pairs(s.map).iter().filter_map(|p| p.interval).collect();
                let clear = intervals.iter().filter(|(low, high)| *low > 0.0 || *high < 0.0).count();
                assert_eq!((number(&c[1]), number(&c[2])), (clear, intervals.len()), "{l}");
                assert_shows(&c[3], intervals.len() as f64 / 20.0, l);
                s.between.clear = true;
            },
        ),
    ]
}

impl Checker<'_> {
    /// Corrected p of a column; `None` if it has no cell with both scores.
    fn corrected(&self, who: Component) -> Option<f64> {
        let pairs = pairs(self.map);
        let columns = Component::ALL.into_iter().filter(|c| pairs.iter().any(|p| p.id.component == *c)).count();
        let here = || pairs.iter().filter(|p| p.id.component == who);
        let (higher, lower, _) = counts(here());
        here().next().map(|_| (sign_test(higher, lower) * columns as f64).min(1.0))
    }

    fn column(&mut self, c: &Captures<'_>, line: &str) {
        let who = component(&c[1]);
        let pairs = pairs(self.map);
        let (higher, lower, equal) = counts(pairs.iter().filter(|p| p.id.component == who));
        let moved = if &c[2] == "higher" { higher } else { lower };
        assert!(moved == higher.max(lower), "{line}");
        assert_eq!((number(&c[3]), number(&c[4])), (moved, higher + lower + equal), "{line}");
        let p = self.corrected(who).unwrap();
        let shown: f64 = c[5].parse().unwrap();
        assert!(p <= 0.0101 && (shown - p).abs() <= 0.051 * p, "{p}: {line}");
        self.between.columns.push(who);
    }

    /// A row of the table of cells that moved most.
    pub(super) fn mover(&mut self, cells: &[String], line: &str) {
        let pairs = pairs(self.map);
        let name = cells[0].trim_matches('`');
        let pair = pairs.iter().find(|p| p.id.to_string() == name).unwrap_or_else(|| panic!("{line}"));
        let value = |text: &str| text.split(" [").next().unwrap().to_owned();
        let sides = self.map.sides.as_deref().unwrap();
        assert_shows(&value(&cells[1]), pair.first, line);
        assert_shows(&value(&cells[2]), pair.second, line);
        assert_shows(&value(&cells[3]), pair.difference, line);
        assert_eq!(cells[3].contains('['), pair.interval.is_some(), "{line}");
        let by_column = self.map.columns[0].info.scope == Scope::Column;
        let group: Vec<&Pair> = pairs.iter().filter(|p| !by_column || p.id.component == pair.id.component).collect();
        let low = sides.second.columns[0].info.direction == Direction::Low;
        let rank = |value: fn(&Pair) -> f64| {
            let better = |p: &&&Pair| if low { value(p) < value(pair) } else { value(p) > value(pair) };
            1 + group.iter().filter(better).count()
        };
        let ranks = (cells[4].parse().unwrap(), cells[5].parse().unwrap(), cells[6].parse().unwrap());
        assert_eq!(ranks, (rank(|p| p.first), rank(|p| p.second), group.len()), "{line}");
        self.between.movers.push(pair.id);
    }

    /// What must have been said of two maps, and nothing of one.
    pub(super) fn complete_between(&self, text: &str) {
        let pairs = pairs(self.map);
        let told = &self.between;
        let moved = pairs.iter().filter(|p| p.difference != 0.0).count();
        assert_eq!(told.movers.len(), moved.min(10), "{text}");
        assert_eq!(told.same, !pairs.is_empty() && moved == 0, "{text}");
        assert_eq!(told.tendency, moved > 0, "{text}");
        assert_eq!(told.clear, moved > 0 && pairs.iter().any(|p| p.interval.is_some()), "{text}");
        if moved == 0 {
            assert!(told.columns.is_empty() && !told.order && !told.inside, "{text}");
            return;
        }
        let mut columns = told.columns.clone();
        columns.sort();
        let due: Vec<_> = Component::ALL.into_iter().filter(|c| pairs.iter().any(|p| p.id.component == *c)).collect();
        assert_eq!(columns, due, "each column is told once: {text}");
        let by_column = self.map.columns[0].info.scope == Scope::Column;
        assert_eq!(told.order, !by_column && rho(&pairs.iter().collect::<Vec<_>>()).is_some(), "{text}");
        self.farthest_first(&pairs, by_column, text);
    }

    /// No cell that is not in the table moved farther than one that is.
    fn farthest_first(&self, pairs: &[Pair], by_column: bool, text: &str) {
        let scale = |c: Component| {
            let here = pairs.iter().filter(|p| p.id.component == c);
            let sizes: Vec<f64> = here.flat_map(|p| [p.first.abs(), p.second.abs()]).collect();
            let median = naive::median(&sizes);
            if by_column && median > 0.0 { median } else { 1.0 }
        };
        let distance = |p: &Pair| p.difference.abs() / scale(p.id.component);
        let in_table = |p: &&Pair| self.between.movers.contains(&p.id);
        let nearest = pairs.iter().filter(in_table).map(distance).fold(f64::INFINITY, f64::min);
        let farthest = pairs.iter().filter(|p| !in_table(p)).map(distance).fold(0.0, f64::max);
        assert!(farthest <= nearest * (1.0 + 1e-12), "{farthest} beside {nearest}: {text}");
    }
}

/// The same cells with other scores, by a rule: none moves, all do, some do, one column does.
fn second_of(first: &Map, rule: u8) -> Map {
    let mut second = first.clone();
    let cells = first.grid.cells.iter().map(|c| c.id);
    for ((id, score), at) in cells.zip(&mut second.columns[0].scores).zip(0u32..) {
        let Some(value) = score.value() else { continue };
        let noise = wobble(at, id.component);
        let moved = match rule {
            0 => value,
            1 => value * (1.0 + 0.5 * noise),
            2 if at % 3 == 0 => value - 0.25 * noise,
            3 if id.component == Component::MlpUp => value.abs() * 2.0 + 1e-9,
            4 => -value,
            _ => value,
        };
        let spread = score.interval().map(|(low, high)| high - low);
        *score = Score::from_value(moved);
        if let Some(spread) = spread {
            *score = Score::from_value(moved).with_interval(moved - spread / 4.0, moved + spread / 3.0);
        }
    }
    second
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_sentence_contradicts_either_map(first in any_map(), rule in 0..6u8) {
        let second = second_of(&first, rule);
        check(&Map::difference(&first, &second, &[], false).unwrap());
    }
}

/// Two tunings of the figure's model: v of the second is higher throughout, one cell of down far lower.
fn two_runs() -> Map {
    let base = samples::figure();
    let mut tuned = base.clone();
    for (cell, score) in base.grid.cells.iter().zip(&mut tuned.columns[0].scores) {
        let (layer, component) = (cell.id.layer, cell.id.component);
        let moved = match (layer, component) {
            (_, Component::AttnV) => 0.004,
            (9, Component::MlpDown) => -0.03,
            _ => 0.0002 * wobble(layer + 100, component),
        };
        *score = Score::from_value(score.value().unwrap() + moved);
    }
    let name = |map: Map, model: &str| {
        let digest = format!("blake3:{}", model.len());
        Map { provenance: tomo_map::Provenance { model: model.into(), model_digest: digest, ..provenance() }, ..map }
    };
    Map::difference(&name(base, "runs/first"), &name(tuned, "runs/a-second"), &[], false).unwrap()
}

#[test]
fn what_was_changed_between_two_maps_is_found() {
    let text = check(&two_runs());
    for sentence in [
        "# Difference of two maps: `a-second minus first`",
        "| model | `runs/first` | `runs/a-second` |",
        "`attn.v` is higher in the second map in 28 of 28 cells (sign test, p = 5.2e-8).",
        "No tendency to either side passes the sign test in `attn.q`, `attn.k`, `attn.o`, `mlp.up`, `mlp.down` and `mlp.gate`.",
        "| `L9.mlp.down` |",
        "`mlp.down` in layer 9 stands out low:",
        "By median, `attn.v` is the highest column (0.00400)",
    ] {
        assert!(text.contains(sentence), "does not say {sentence:?}:\n{text}");
    }
    assert!(
        regex(r"`L9\.mlp\.down` \| 0\.13\d+ \| 0\.10\d+ \| -0\.0\d+ \| \d+ \| 196 \| 196 \|").is_match(&text),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn the_same_map_twice_is_told_in_a_sentence() {
    let map = dense(10, &[(info("s", "A score"), &|l, c| Some(wobble(l, c)))]);
    let text = check(&Map::difference(&map, &map, &[], false).unwrap());
    assert!(text.contains("Both maps are of the same model, text, options and version."), "{text}");
    assert!(text.contains("Both maps hold the same scores, to the last bit, in 70 cells."), "{text}");
    assert!(!text.contains("Spearman's rank correlation between"), "{text}");
}

#[test]
fn a_difference_in_model_and_text_cannot_be_put_down_to_either() {
    let map = dense(1, &[(info("s", "A score"), &|l, c| Some(wobble(l, c)))]);
    let mut other = map.clone();
    other.provenance.model_digest = "blake3:0".into();
    let warning = "cannot be put down to either alone";
    assert!(!markdown(&Map::difference(&map, &other, &[], false).unwrap()).contains(warning));
    other.provenance.text_digest = Some("blake3:1".into());
    assert!(markdown(&Map::difference(&map, &other, &[], false).unwrap()).contains(warning));
}
