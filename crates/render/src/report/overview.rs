//! The head of the report: which model, what was measured, how.

use std::collections::BTreeMap;

use tomo_map::{Map, Provenance};

use super::between;
use super::escape::{code, prose};
use super::words::{count, grouped, list, number, sentence};

/// Storage types that are named; a file has a handful.
const MOST_TYPES: usize = 6;

/// Title and first paragraph.
pub(super) fn head(map: &Map) -> String {
    let (grid, provenance) = (&map.grid, &map.provenance);
    let weights: u64 = grid.cells.iter().fold(0, |sum, cell| sum.saturating_add(cell.numel()));
    let layers = count(grid.layers as usize, "layer", "layers");
    let matrices = count(grid.cells.len(), "weight matrix", "weight matrices");
    let metrics = count(map.columns.len(), "metric", "metrics");
    let verb = if map.columns.len() == 1 { "was" } else { "were" };
    let family = if provenance.family.is_empty() { "A".to_owned() } else { format!("A {}", code(&provenance.family)) };
    let stored = stored_as(map);
    let weights = count(usize::try_from(weights).unwrap_or(usize::MAX), "weight", "weights");
    let (kind, done, rest) = match map.sides.as_deref() {
        None => ("Map of", "computed on each cell", String::new()),
        Some(sides) => {
            ("Difference of two maps:", "compared cell by cell, second map minus first", between::unlike(sides))
        }
    };
    format!(
        "# {kind} {}\n\n{family} model of {layers}: {matrices} with {weights}{stored}. {metrics} {verb} {done}, a \
         cell being one projection of one layer.\n\n{rest}",
        code(&provenance.model),
    )
}

/// `, stored as Q4_1 (180 matrices) and Q6_K (30)`.
fn stored_as(map: &Map) -> String {
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    map.grid.cells.iter().for_each(|cell| *types.entry(&cell.dtype).or_default() += 1);
    let mut types: Vec<_> = types.into_iter().collect();
    types.sort_by_key(|(_, cells)| std::cmp::Reverse(*cells));
    let kinds = types.len();
    let mut named: Vec<_> = types
        .into_iter()
        .take(MOST_TYPES)
        .map(|(name, cells)| if kinds == 1 { code(name) } else { format!("{} ({cells})", code(name)) })
        .collect();
    if kinds > MOST_TYPES {
        named.push(count(kinds - MOST_TYPES, "other type", "other types"));
    }
    if named.is_empty() { String::new() } else { format!(", stored as {}", list(&named)) }
}

/// How to make the map again; of a difference, how both its sides were made.
pub(super) fn provenance(map: &Map) -> String {
    let own = rows(&map.provenance);
    let Some(sides) = map.sides.as_deref() else {
        let known = own.into_iter().filter_map(|(name, value)| Some(format!("| {name} | {} |\n", value?)));
        return format!("## How it was measured\n\n| | |\n|:--|:--|\n{}\n", known.collect::<String>());
    };
    let both = rows(&sides.first.provenance).into_iter().zip(rows(&sides.second.provenance));
    let both = both.filter(|(a, b)| a.1.is_some() || b.1.is_some());
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let rows: String = both.map(|((name, a), (_, b))| format!("| {name} | {} | {} |\n", shown(a), shown(b))).collect();
    format!("## How both were measured\n\n| | first | second |\n|:--|:--|:--|\n{rows}\n")
}

/// What is known of how a map was made.
fn rows(p: &Provenance) -> Vec<(&'static str, Option<String>)> {
    let known = |text: &str| (!text.is_empty()).then(|| code(text));
    vec![
        ("command", known(&p.command)),
        ("tomograph", known(&p.version)),
        ("started", known(&p.started)),
        ("took", Some(format!("{} s", number(p.seconds)))),
        ("peak memory", p.peak_rss_bytes.map(|bytes| format!("{} MB", number(bytes as f64 / 1e6)))),
        ("checkpoint", known(&p.format)),
        ("model digest", known(&p.model_digest)),
        ("configuration digest", p.config_digest.as_deref().and_then(known)),
        ("compared with", p.against.as_ref().and_then(|a| known(&a.model))),
        ("its checkpoint", p.against.as_ref().and_then(|a| known(&a.format))),
        ("its digest", p.against.as_ref().and_then(|a| known(&a.model_digest))),
        ("both rounded to", p.against.as_ref().and_then(|a| known(a.cast.as_deref()?))),
        ("text", p.text.as_deref().and_then(known)),
        ("digest of its token ids", p.text_digest.as_deref().and_then(known)),
        ("tokens", p.tokens.map(grouped)),
        ("sequences", p.sequences.map(grouped)),
        ("loss of", p.loss.as_deref().and_then(known)),
        ("draws of labels", p.draws.map(grouped)),
        ("group size of integer formats", p.group.map(grouped)),
        ("seed", Some(p.seed.to_string())),
    ]
}

/// Columns the family does not have.
pub(super) fn missing_columns(map: &Map) -> String {
    let lines: String = map
        .grid
        .missing
        .iter()
        .map(|m| format!("There is no {} column: {} ", code(m.component.id()), sentence(&prose(&m.reason))))
        .collect();
    if lines.is_empty() { lines } else { format!("{}\n\n", lines.trim_end()) }
}

/// What the tests and effect sizes in the sections are.
pub(super) const READING: &str = "\
## How to read the statements

Every statement is computed from the scores of the map, and numbers are rounded to three significant digits or more.

- A step is the best fit of two means to a column; a steady trend is the best straight line. Whichever describes the
  column better for its number of parameters (Bayesian information criterion) is tested: p is the share of 2,000 orders
  of the layers, the real one and 1,999 random ones, in which the same kind of fit explains at least as much, times the
  number of fits made for the metric. It is stated if p is at most 0.01. R² is the share of the variance explained.
- Cliff's delta takes all pairs of a cell of one column and a cell of the other: the share in which the first is higher
  minus the share in which it is lower. 1 is every pair, 0 is no tendency; contrasts from 0.474 up are stated, the
  strongest three.
- A robust z-score is the distance from what the column leads one to expect (its median, or the step or trend found in
  it) in robust standard deviations. Beyond 3.5 a cell stands out; a layer does if the median over its cells is.
- Neighbouring layers resemble each other, and the tests do not know that: they show that depth matters, not why.
";
