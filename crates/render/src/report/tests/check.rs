//! Reads the printed report back and holds each line against the table.

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, Mutex};

use proptest::prelude::*;
use regex::{Captures, Regex};
use tomo_map::{Component, Map, Scope, Status};

use super::naive::{self, Table};
use super::samples;
use crate::report::markdown;

/// Holds a sentence, taken apart, against the table.
pub(super) type Check<'a> = fn(&mut Checker<'a>, &Captures<'_>, &str);

/// What was said about a column along depth: `Some(k)` for a step after `k` points, `None` for a trend.
type Shapes = BTreeMap<Component, Option<usize>>;

pub(super) struct Checker<'a> {
    pub(super) map: &'a Map,
    table: Table,
    shapes: Shapes,
    /// Columns about which something, or nothing, was said along depth.
    told: Vec<Component>,
    contrasts: Vec<f64>,
    leads: Vec<(Component, bool, u32, u32)>,
    outliers: usize,
    rows: usize,
    unscored: usize,
    /// What a difference was said to be between its maps.
    pub(super) between: super::between::Told,
}

pub(super) fn component(text: &str) -> Component {
    text.trim_matches('`').parse().unwrap()
}

/// A compiled expression; each is compiled once.
pub(super) fn regex(form: &str) -> Regex {
    static COMPILED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap();
    compiled.entry(form.to_owned()).or_insert_with(|| Regex::new(form).unwrap()).clone()
}

pub(super) fn columns(text: &str) -> Vec<Component> {
    text.replace(" and ", ", ").split(", ").map(component).collect()
}

/// Whether `text` is `value` correctly rounded to the digits it shows; never if either is not a number.
fn shows(text: &str, value: f64) -> bool {
    let read: f64 = text.parse().unwrap();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let decimals = mantissa.split_once('.').map_or(0, |(_, d)| d.len()) as i32;
    let unit = 10f64.powi(exponent.parse::<i32>().unwrap() - decimals);
    let digits = mantissa.replace(['.', '-'], "").trim_start_matches('0').len();
    let enough = digits >= 3 || text == "0";
    enough && (read - value).abs() <= unit * 0.5 * (1.0 + 1e-9) + 1e-9 * value.abs().max(1e-3 * unit)
}

#[track_caller]
pub(super) fn assert_shows(text: &str, value: f64, line: &str) {
    // A mean that is zero may be a rounding error away from it.
    let zero = text.parse::<f64>().unwrap().abs() < 1e-12 && value.abs() < 1e-12;
    assert!(zero || shows(text, value), "{text} does not show {value}: {line}");
}

impl<'a> Checker<'a> {
    fn points(&self, c: Component) -> (Vec<f64>, Vec<f64>) {
        let column = self.table.get(&c).cloned().unwrap_or_default();
        (column.keys().map(|l| f64::from(*l)).collect(), column.values().copied().collect())
    }

    fn values(&self, c: Component) -> Vec<f64> {
        self.points(c).1
    }

    fn all(&self) -> Vec<f64> {
        self.table.values().flat_map(|c| c.values().copied()).collect()
    }

    fn tests(&self) -> usize {
        let tested = |c: &&Component| {
            let v = self.values(**c);
            v.len() >= 8 && v.iter().any(|x| x != &v[0])
        };
        2 * self.table.keys().filter(tested).count()
    }

    /// Reads one bullet; every sentence must be of a known form and true.
    fn bullet(&mut self, line: &str) {
        const N: &str = r"(-?[0-9][-0-9.e]*)";
        const C: &str = r"(`[a-z.]+`)";
        let list = r"((?:`[a-z.]+`(?:, | and )?)+)";
        let forms: &[(String, Check<'a>)] = &[
            (format!(r"The highest score is {N} \((.+?)\), the lowest {N} \((.+?)\)\."), Self::ends),
            (format!(r"(All ([0-9]+) scores are|The only score is) {N}\."), Self::all_equal),
            (format!(r"By median, {C} is the highest column \({N}\) and {C} the lowest \({N}\)\."), Self::medians),
            (format!(r"{C} is the (highest|lowest) column throughout layers (\d+) to (\d+)\."), Self::lead),
            (format!(r"{C} lies above {C} in (\d+) of (\d+) layers \(Cliff's delta {N}, medians {N} and {N}\)\."), Self::contrast),
            (format!(r"{C} (rises|falls) after layer (\d+): the mean is {N} in layers? (\d+)(?: to (\d+))? and {N} in layers? (\d+)(?: to (\d+))? \(R² {N}, p = {N}\)\."), Self::step),
            (format!(r"{C} (rises|falls) steadily with depth: the fitted line goes from {N} in layer (\d+) to {N} in layer (\d+) \(R² {N}, p = {N}\)\."), Self::drift),
            (format!(r"No step and no steady trend passes the test in {list}\."), Self::no_change),
            (r"(.+) (has|have) the same score in every layer\.".to_owned(), Self::flat),
            (format!(r"Layer (\d+) stands out (high|low): the median robust z-score of its (\d+) cells is {N}\."), Self::layer),
            (format!(r"{C} in layer (\d+) stands out (high|low): {N} where the column's (median|level|trend) is {N} \(robust z {N}\)\."), Self::outlier),
            (r"(\d+) more cells? lies? as far out, with smaller z-scores\.".to_owned(), Self::more_outliers),
            (r"Its scores depend on a matrix's shape, so columns must not be compared with each other, and nothing here does\.".to_owned(),
                |s, _, l| assert_eq!(s.map.columns[0].info.scope, Scope::Column, "{l}")),
            (r"It is a proxy: what happens to the model's loss was not measured\.".to_owned(),
                |s, _, l| assert!(s.map.columns[0].info.proxy, "{l}")),
            (format!(r"There is no {C}: ungated\."), |s, c, l| {
                assert!(s.map.grid.missing.iter().any(|m| m.component == component(&c[1])), "{l}");
                assert!(!s.table.contains_key(&component(&c[1])), "{l}");
            }),
            (r"(\d+) of (\d+) cells? (has|have) no score \((.+?)\): (.+)\.".to_owned(), Self::unscored),
            (r"(\d+) cells? (?:has|have) no score for other reasons; `map.csv` gives them\.".to_owned(),
                |s, c, _| s.unscored += c[1].parse::<usize>().unwrap()),
            (format!(r"{list} shows? the mean over the experts of a layer \(up to (\d+) experts?\); `map.csv` has each\.(?: (\d+) experts? without a score (?:is|are) left out of it\.)?"), Self::experts),
            (r"There are no intervals: the scores are computed from the weights, not from a sample\.".to_owned(), |s, _, l| {
                assert!(!s.read_text() && s.intervals() == 0, "{l}");
            }),
            (r"There are no intervals, so how far a score depends on the text is not known\.".to_owned(), |s, _, l| {
                assert!(s.read_text() && s.intervals() == 0, "{l}");
            }),
            (r"(\d+) of (\d+) cells? (?:has|have) a 95 % interval; the statements above use the scores alone\.".to_owned(), |s, c, l| {
                assert_eq!((c[1].parse(), c[2].parse()), (Ok(s.intervals()), Ok(s.map.grid.cells.len())), "{l}");
            }),
            (r"With (\d+) layers?, steps, trends and outliers were not looked for: that takes at least 8\.".to_owned(), |s, c, l| {
                assert_eq!(c[1].parse::<u32>().unwrap(), s.map.grid.layers, "{l}");
                assert!(s.map.grid.layers < 8 && s.shapes.is_empty() && s.outliers == 0, "{l}");
            }),
            (format!(r"{list} (?:has|have) a score in fewer than 8 layers, too few to look for steps, trends and outliers\."), |s, c, l| {
                let short: Vec<_> = s.table.iter().filter(|(_, column)| column.len() < 8).map(|(c, _)| *c).collect();
                assert!(s.map.grid.layers >= 8 && columns(&c[1]) == short, "{l}");
            }),
            (r"No cell has a score, so there is nothing to say\.".to_owned(), |s, _, l| assert!(s.table.is_empty(), "{l}")),
            (r"Rescaling a norm changes it, not the function\.".to_owned(), |_, _, _| ()),
        ];
        let between = super::between::forms();
        let mut known = forms
            .iter()
            .chain(&between)
            .filter_map(|(form, check)| Some((regex(&format!("^{form}$")).captures(line)?, check)));
        let (captures, check) = known.next().unwrap_or_else(|| panic!("a sentence nothing checks: {line}"));
        assert!(known.next().is_none(), "two readings: {line}");
        check(self, &captures, line);
    }

    fn read_text(&self) -> bool {
        let sides = self.map.sides.iter().flat_map(|s| [&s.first.provenance, &s.second.provenance]);
        sides.chain([&self.map.provenance]).any(|p| p.text_digest.is_some())
    }

    fn intervals(&self) -> usize {
        self.map.columns[0].scores.iter().filter(|s| s.interval().is_some()).count()
    }

    fn comparable(&self) -> bool {
        self.map.columns[0].info.scope == Scope::Map
    }

    fn ends(&mut self, c: &Captures<'_>, line: &str) {
        assert!(self.comparable(), "{line}");
        let all = self.all();
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        for (text, place, value) in [(&c[1], &c[2], high), (&c[3], &c[4], low)] {
            assert_shows(text, value, line);
            let sharing = all.iter().filter(|v| **v == value).count();
            if let Some(n) = place.strip_prefix("in ").and_then(|p| p.strip_suffix(" places")) {
                assert_eq!(n.parse(), Ok(sharing), "{line}");
            } else {
                let (column, layer) = place.split_once(" in layer ").unwrap();
                assert_eq!((sharing, self.table[&component(column)][&layer.parse().unwrap()]), (1, value), "{line}");
            }
        }
    }

    fn all_equal(&mut self, c: &Captures<'_>, line: &str) {
        let all = self.all();
        assert!(self.comparable() && all.iter().all(|v| v == &all[0]), "{line}");
        assert_eq!(all.len(), c.get(2).map_or(1, |n| n.as_str().parse().unwrap()), "{line}");
        assert_shows(&c[3], all[0], line);
    }

    fn medians(&mut self, c: &Captures<'_>, line: &str) {
        assert!(self.comparable(), "{line}");
        let (high, low) = (component(&c[1]), component(&c[3]));
        let median = |c: Component| naive::median(&self.values(c));
        assert_shows(&c[2], median(high), line);
        assert_shows(&c[4], median(low), line);
        for other in self.table.keys() {
            assert!(*other == high || median(*other) < median(high), "{line}");
            assert!(*other == low || median(*other) > median(low), "{line}");
        }
    }

    /// The column that is strictly at the end of a layer, if there are two or more.
    fn leader(&self, layer: u32, above: bool) -> Option<Component> {
        let row: Vec<_> = self.table.iter().filter_map(|(c, column)| Some((*c, *column.get(&layer)?))).collect();
        let leads = |(c, v): &&(Component, f64)| row.iter().all(|(o, w)| o == c || if above { v > w } else { v < w });
        (row.len() > 1).then(|| row.iter().find(leads).map(|(c, _)| *c)).flatten()
    }

    fn lead(&mut self, c: &Captures<'_>, line: &str) {
        assert!(self.comparable(), "{line}");
        let (who, above) = (component(&c[1]), &c[2] == "highest");
        let (first, last): (u32, u32) = (c[3].parse().unwrap(), c[4].parse().unwrap());
        assert!((first..=last).all(|l| self.leader(l, above) == Some(who)), "{line}");
        self.leads.push((who, above, first, last));
    }

    fn contrast(&mut self, c: &Captures<'_>, line: &str) {
        assert!(self.comparable(), "{line}");
        let (a, b) = (component(&c[1]), component(&c[2]));
        let both: Vec<_> = self.table[&a].iter().filter_map(|(l, v)| Some((*v, *self.table[&b].get(l)?))).collect();
        let above = both.iter().filter(|(v, w)| v > w).count();
        assert_eq!((c[3].parse(), c[4].parse()), (Ok(above), Ok(both.len())), "{line}");
        let delta = naive::cliffs_delta(&self.values(a), &self.values(b));
        assert_shows(&c[5], delta, line);
        assert_shows(&c[6], naive::median(&self.values(a)), line);
        assert_shows(&c[7], naive::median(&self.values(b)), line);
        assert!(delta >= 0.474 && self.contrasts.last().is_none_or(|before| *before >= delta), "{line}");
        self.contrasts.push(delta);
    }

    fn evidence(&self, r2: &str, p: &str, true_r2: f64, as_high: usize, line: &str) {
        assert_shows(r2, true_r2, line);
        let p: f64 = p.parse().unwrap();
        let orders = p * 2000.0 / self.tests() as f64;
        assert!(p <= 0.01 && p > 0.0 && (orders - orders.round()).abs() <= 0.051 * orders, "{line}");
        assert!(as_high <= 12, "{as_high} of 400 orders do as well: {line}");
    }

    fn step(&mut self, c: &Captures<'_>, line: &str) {
        let who = component(&c[1]);
        let (x, values) = self.points(who);
        let last_before: u32 = c[3].parse().unwrap();
        let first = x.iter().filter(|l| **l <= f64::from(last_before)).count();
        let layer = |i: usize| c.get(i).map_or(f64::NAN, |m| m.as_str().parse().unwrap());
        assert_eq!((layer(5), layer(6), layer(8), layer(9)), (x[0], x[first - 1], x[first], x[x.len() - 1]), "{line}");
        let (before, after) = (naive::mean(&values[..first]), naive::mean(&values[first..]));
        assert_shows(&c[4], before, line);
        assert_shows(&c[7], after, line);
        assert_eq!(&c[2] == "rises", after > before, "{line}");
        let r2 = naive::split_r2(&values, first);
        assert!(r2 >= naive::best_split_r2(&values) - 1e-9, "a better place exists: {line}");
        let n = values.len() as f64;
        let line_r2 = naive::line(&x, &values).2;
        let worse = |r2: f64, k: f64| n * (1.0 - r2).max(1e-12).ln() + k * n.ln();
        assert!(worse(r2, 3.0) <= worse(line_r2, 2.0) + 1e-6, "a line describes it better: {line}");
        self.evidence(&c[10], &c[11], r2, naive::orders_as_high(&values, naive::best_split_r2), line);
        self.shapes.insert(who, Some(first));
        self.told.push(who);
    }

    fn drift(&mut self, c: &Captures<'_>, line: &str) {
        let who = component(&c[1]);
        let (x, values) = self.points(who);
        let (at, slope, r2) = naive::line(&x, &values);
        let ends = (x[0], x[x.len() - 1]);
        assert_eq!((c[4].parse(), c[6].parse()), (Ok(ends.0), Ok(ends.1)), "{line}");
        assert_shows(&c[3], at + slope * ends.0, line);
        assert_shows(&c[5], at + slope * ends.1, line);
        assert_eq!(&c[2] == "rises", slope > 0.0, "{line}");
        self.evidence(&c[7], &c[8], r2, naive::orders_as_high(&values, |v| naive::line(&x, v).2), line);
        self.shapes.insert(who, None);
        self.told.push(who);
    }

    fn no_change(&mut self, c: &Captures<'_>, line: &str) {
        for who in columns(&c[1]) {
            let values = self.values(who);
            assert!(values.len() >= 8 && values.iter().any(|v| v != &values[0]), "{line}");
            self.told.push(who);
        }
    }

    fn flat(&mut self, c: &Captures<'_>, line: &str) {
        for item in c[1].replace(" and ", ", ").split(", ") {
            let (who, value) = item.split_once(' ').unwrap();
            let values = self.values(component(who));
            assert!(values.len() > 1 && values.iter().all(|v| v == &values[0]), "{line}");
            assert_shows(value.trim_matches(['(', ')']), values[0], line);
            self.told.push(component(who));
        }
    }

    /// Expected value and robust z of each point of a column, given what was said about it along depth.
    fn expectations(&self, who: Component) -> Vec<(u32, f64, f64)> {
        let (x, values) = self.points(who);
        if values.len() < 8 {
            return Vec::new();
        }
        let expected: Vec<f64> = match self.shapes.get(&who) {
            None => vec![naive::median(&values); values.len()],
            Some(Some(first)) => {
                let (before, after) = values.split_at(*first);
                (0..values.len()).map(|i| if i < *first { naive::mean(before) } else { naive::mean(after) }).collect()
            }
            Some(None) => {
                let (at, slope, _) = naive::line(&x, &values);
                x.iter().map(|x| at + slope * x).collect()
            }
        };
        let largest = values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
        let residual = |(v, e): (&f64, &f64)| if (v - e).abs() <= 1e-12 * largest { 0.0 } else { v - e };
        let residuals: Vec<f64> = values.iter().zip(&expected).map(residual).collect();
        let z = naive::robust_z(&residuals);
        z.iter().enumerate().map(|(i, z)| (x[i] as u32, expected[i], *z)).collect()
    }

    fn layer(&mut self, c: &Captures<'_>, line: &str) {
        let layer: u32 = c[1].parse().unwrap();
        let z_of = |who: &Component| self.expectations(*who).iter().find(|e| e.0 == layer).map(|e| e.2);
        let row: Vec<f64> = self.table.keys().filter_map(z_of).collect();
        let z = naive::median(&row);
        assert_eq!(c[3].parse(), Ok(row.len()), "{line}");
        assert_shows(&c[4], z, line);
        assert!(z.abs() > 3.499 && (&c[2] == "high") == (z > 0.0), "{line}");
    }

    fn outlier(&mut self, c: &Captures<'_>, line: &str) {
        let (who, layer) = (component(&c[1]), c[2].parse::<u32>().unwrap());
        let (_, expected, z) = *self.expectations(who).iter().find(|e| e.0 == layer).unwrap();
        assert_shows(&c[4], self.table[&who][&layer], line);
        assert_shows(&c[6], expected, line);
        assert_shows(&c[7], z, line);
        let baseline = match self.shapes.get(&who) {
            None => "median",
            Some(Some(_)) => "level",
            Some(None) => "trend",
        };
        assert_eq!(&c[5], baseline, "{line}");
        assert!(z.abs() > 3.499 && (&c[3] == "high") == (z > 0.0), "{line}");
        self.outliers += 1;
    }

    fn more_outliers(&mut self, c: &Captures<'_>, _: &str) {
        self.outliers += c[1].parse::<usize>().unwrap();
    }

    fn unscored(&mut self, c: &Captures<'_>, line: &str) {
        let status = match &c[4] {
            "undefined" => Status::Undefined,
            "not measured" => Status::NotMeasured,
            "not applicable" => Status::NotApplicable,
            other => panic!("{other}: {line}"),
        };
        let scores = &self.map.columns[0].scores;
        let cells = scores.iter().filter(|s| s.status() == status && s.reason() == Some(&c[5])).count();
        assert_eq!((c[1].parse(), c[2].parse()), (Ok(cells), Ok(scores.len())), "{line}");
        assert_eq!(&c[3] == "has", cells == 1, "{line}");
        self.unscored += cells;
    }

    fn experts(&mut self, c: &Captures<'_>, line: &str) {
        let mut places: BTreeMap<_, (u32, u64)> = BTreeMap::new();
        for (cell, score) in self.map.grid.cells.iter().zip(&self.map.columns[0].scores) {
            if cell.id.expert.is_some() {
                let place = places.entry((cell.id.component, cell.id.layer)).or_default();
                if score.value().is_some() { place.0 += 1 } else { place.1 += 1 }
            }
        }
        places.retain(|_, place| place.0 > 0);
        let mut named: Vec<_> = places.keys().map(|(c, _)| *c).collect();
        named.dedup();
        assert_eq!(columns(&c[1]), named, "{line}");
        assert_eq!(c[2].parse(), Ok(places.values().map(|p| p.0).max().unwrap()), "{line}");
        let left_out = c.get(3).map_or(0, |n| n.as_str().parse().unwrap());
        assert_eq!(left_out, places.values().map(|p| p.1).sum::<u64>(), "{line}");
    }

    /// A row of the table of ranges.
    fn range(&mut self, cells: &[&str], line: &str) {
        let who = component(cells[0]);
        let values = self.values(who);
        assert_eq!(cells[1].parse(), Ok(values.len()), "{line}");
        assert_shows(cells[4], naive::median(&values), line);
        for (text, layer, better) in [(2, 3, f64::lt as fn(&f64, &f64) -> bool), (5, 6, f64::gt)] {
            let value = self.table[&who][&cells[layer].parse().unwrap()];
            assert_shows(cells[text], value, line);
            assert!(!values.iter().any(|v| better(v, &value)), "{line}");
        }
        self.rows += 1;
    }

    /// The metric's line in the overview, held against what the section said.
    fn glance(&self, cells: &[&str], line: &str) {
        let median = |c: &Component| naive::median(&self.values(*c));
        for (text, sign) in [(cells[1], 1.0), (cells[2], -1.0)] {
            match text {
                "-" => {}
                "not comparable" => assert!(!self.comparable(), "{line}"),
                who => assert!(
                    self.table
                        .keys()
                        .all(|c| c == &component(who) || sign * median(c) < sign * median(&component(who))),
                    "{line}"
                ),
            }
        }
        let short = regex(r"^(`[a-z.]+`) (rises|falls) (steadily|after (\d+))$");
        assert_eq!(cells[3] == "too few layers", self.map.grid.layers < 8 && !self.table.is_empty(), "{line}");
        let mut changes = 0;
        for change in cells[3].split("; ").filter(|c| !["-", "none found", "too few layers"].contains(c)) {
            let c = short.captures(change).unwrap_or_else(|| panic!("{line}"));
            let (x, values) = self.points(component(&c[1]));
            let rises = match self.shapes[&component(&c[1])] {
                Some(first) => {
                    assert_eq!(c[4].parse(), Ok(x[first - 1]), "{line}");
                    naive::mean(&values[first..]) > naive::mean(&values[..first])
                }
                None => naive::line(&x, &values).1 > 0.0,
            };
            assert_eq!(&c[2] == "rises", rises, "{line}");
            changes += 1;
        }
        assert_eq!(changes, self.shapes.len(), "{line}");
    }

    /// What must have been said.
    fn complete(&self, text: &str) {
        assert_eq!(self.rows, self.table.len(), "{text}");
        let mut told = self.told.clone();
        told.sort();
        let due = |c: &Component| {
            let v = self.values(*c);
            v.len() >= 8 || v.len() > 1 && v.iter().all(|x| x == &v[0])
        };
        let due: Vec<_> = self.table.keys().copied().filter(due).collect();
        assert_eq!(told, due, "each column is told once: {text}");
        let z: Vec<f64> = self.table.keys().flat_map(|c| self.expectations(*c)).map(|e| e.2.abs()).collect();
        let beyond = |bar: f64| z.iter().filter(|z| **z >= bar).count();
        assert!((beyond(3.5 + 1e-9)..=beyond(3.5 - 1e-9)).contains(&self.outliers), "{text}");
        let unscored = self.map.columns[0].scores.iter().filter(|s| s.value().is_none()).count();
        assert_eq!(self.unscored, unscored, "{text}");
        let all = self.all();
        if self.comparable() && all.iter().any(|v| v != &all[0]) && self.table.len() > 1 {
            assert_eq!(self.leads, self.runs(), "{text}");
        } else {
            assert!(self.leads.is_empty() && self.contrasts.is_empty(), "{text}");
        }
    }

    /// Every run of layers that one column leads and that is long enough to tell.
    fn runs(&self) -> Vec<(Component, bool, u32, u32)> {
        let layers = self.map.grid.layers;
        let mut runs = Vec::new();
        for above in [true, false] {
            for first in 0..layers {
                let Some(who) = self.leader(first, above) else { continue };
                let starts = first == 0 || self.leader(first - 1, above) != Some(who);
                let last = (first..layers).take_while(|l| self.leader(*l, above) == Some(who)).last().unwrap();
                let length = last - first + 1;
                if starts && length >= 3 && 4 * length >= layers {
                    runs.push((who, above, first, last));
                }
            }
        }
        runs
    }
}

/// Reads the report on a map of one metric back and checks every line that holds a number.
#[track_caller]
pub(super) fn check(map: &Map) -> String {
    let text = markdown(map);
    let mut checker = Checker {
        map,
        table: naive::table(map),
        shapes: Shapes::new(),
        told: Vec::new(),
        contrasts: Vec::new(),
        leads: Vec::new(),
        outliers: 0,
        rows: 0,
        unscored: 0,
        between: Default::default(),
    };
    let start = text.find("## A score").or_else(|| text.find("## Update density")).unwrap();
    let (overview, rest) = text.split_at(start);
    let section = rest.split("\n## How ").next().unwrap();
    let cells = |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect::<Vec<_>>();
    for line in section.lines() {
        if let Some(sentence) = line.strip_prefix("- ") {
            checker.bullet(sentence);
        } else if line.starts_with("| `L") {
            checker.mover(&cells(line), line);
        } else if line.starts_with("| `") {
            let cells = cells(line);
            checker.range(&cells.iter().map(String::as_str).collect::<Vec<_>>(), line);
        }
    }
    let glance = overview.lines().find(|l| l.starts_with("| `")).unwrap();
    let cells = cells(glance);
    checker.glance(&cells.iter().map(String::as_str).collect::<Vec<_>>(), glance);
    checker.complete(&text);
    checker.complete_between(&text);
    assert!(!regex(r"(?i)\b(nan|inf|-?0\.0+)\b").is_match(&text), "{text}");
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_sentence_contradicts_the_table(map in samples::any_map()) {
        check(&map);
    }
}
