//! An agreement as JSON, CSV and Markdown.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::{Value, json};
use tomo_map::{Score, significant};
use tomo_render::escape::plain;
use tomo_render::report::escape::{code, prose};
use tomo_verify::{Agreement, Form, Kind, Row, Side};

/// Schema of the JSON.
pub const SCHEMA: &str = "tomograph.agreement/1";

/// The sentence that sums a table up: the best metric that is neither measured itself nor a control, with what bounds it. `None`
/// where no metric has a correlation.
pub fn claim(found: &Agreement) -> Option<String> {
    let is_metric = |row: &&Row| matches!(row.kind, Kind::Metric | Kind::Proxy) && row.side != Side::Neutral;
    let best = found.rows.iter().find(|row| is_metric(row) && row.raw.rho.value().is_some())?;
    let truth = &found.truth;
    let ceiling = match truth.reliability.and_then(|r| r.ceiling) {
        Some(ceiling) => format!("ceiling {}", number(ceiling)),
        None => "ceiling not known".to_owned(),
    };
    let place = found.rows.iter().find(|row| row.id == "column-and-depth" && row.kind == Kind::Control);
    let place = place
        .and_then(|row| row.raw.rho.value())
        .map_or_else(String::new, |rho| format!("; the place of a cell alone gives {}", number(rho)));
    let on = match (&truth.text, truth.tokens) {
        (Some(text), Some(tokens)) => format!(", measured on {}, {tokens} tokens", plain(text, 120)),
        _ => String::new(),
    };
    Some(format!("{}: rho = {} with {} ({ceiling}){on}{place}", best.id, with_interval(&best.raw.rho), truth.metric))
}

/// A number of a table.
pub(crate) fn number(value: f64) -> String {
    format!("{value:.3}")
}

/// A correlation as tables show it: `0.985 [0.970, 0.991]`, or a dash.
pub(crate) fn with_interval(score: &Score) -> String {
    let Some(value) = score.value() else { return "-".to_owned() };
    match score.interval() {
        Some((low, high)) => format!("{} [{}, {}]", number(value), number(low), number(high)),
        None => number(value),
    }
}

/// The same without its interval.
pub(crate) fn bare(score: &Score) -> String {
    score.value().map_or_else(|| "-".to_owned(), number)
}

/// Rows in the order of one of their forms.
pub(crate) fn sorted(found: &Agreement, form: fn(&Row) -> &Form) -> Vec<&Row> {
    let mut rows: Vec<&Row> = found.rows.iter().collect();
    rows.sort_by(|a, b| {
        let strength = |row: &Row| row.strength(form(row)).unwrap_or(f64::NEG_INFINITY);
        strength(b).total_cmp(&strength(a))
    });
    rows
}

/// Everything, as one object.
///
/// # Errors
/// Never for an [`Agreement`] that [`agree`](tomo_verify::agree) returned.
pub fn to_json(found: &Agreement) -> serde_json::Result<Value> {
    let mut whole = serde_json::to_value(found)?;
    if let Value::Object(fields) = &mut whole {
        fields.insert("schema".to_owned(), json!(SCHEMA));
        fields.insert("claim".to_owned(), json!(claim(found)));
    }
    Ok(whole)
}

/// Tidy: one line per row, form and statistic.
///
/// # Errors
/// When `out` fails.
pub fn write_csv(found: &Agreement, out: impl Write) -> csv::Result<()> {
    let mut out = csv::Writer::from_writer(out);
    out.write_record([
        "truth",
        "id",
        "map",
        "kind",
        "side",
        "cells",
        "form",
        "statistic",
        "value",
        "low",
        "high",
        "status",
        "reason",
    ])?;
    for row in &found.rows {
        for (form_name, form) in [("raw", &row.raw), ("per-parameter", &row.per_parameter)] {
            for (statistic, score) in statistics(form) {
                let text = |n: Option<f64>| n.map_or_else(String::new, |n| n.to_string());
                let (low, high) = score.interval().unzip();
                let fields: [&str; 13] = [
                    &found.truth.metric,
                    &row.id,
                    &row.map,
                    kind(row.kind),
                    side(row.side),
                    &row.cells.to_string(),
                    form_name,
                    statistic,
                    &text(score.value()),
                    &text(low),
                    &text(high),
                    if score.value().is_some() { "ok" } else { "undefined" },
                    score.reason().unwrap_or_default(),
                ];
                out.write_record(fields)?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn statistics(form: &Form) -> [(&'static str, &Score); 7] {
    [
        ("rho", &form.rho),
        ("kendall", &form.kendall),
        ("within-columns", &form.within_columns),
        ("within-layers", &form.within_layers),
        ("top-overlap", &form.top_overlap),
        ("partial", &form.partial),
        ("over-control", &form.over_control),
    ]
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Metric => "metric",
        Kind::Proxy => "proxy",
        Kind::Measured => "measured",
        Kind::Control => "control",
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::High => "high",
        Side::Low => "low",
        Side::Neutral => "neither",
    }
}

/// The table for people, with what its columns are.
pub fn to_markdown(found: &Agreement) -> String {
    let truth = &found.truth;
    let mut text = format!("# Agreement with {}\n\n", code(&truth.metric));
    if let Some(claim) = claim(found) {
        let _ = writeln!(text, "**{}.**\n", prose(&claim));
    }
    let _ = writeln!(text, "{}", facts(found));
    text.push_str("\n## Scores against costs\n\n");
    text.push_str(&table(found, |row| &row.raw));
    text.push_str(
        "\n## The same per weight\n\nCosts over the number of weights, and scores too where they are amounts of the whole matrix. \
         Two amounts divided by one size look alike whatever they are: see what random amounts reach.\n\n",
    );
    text.push_str(&table(found, |row| &row.per_parameter));
    if !found.left_out.is_empty() {
        text.push_str("\n## Left out\n\n");
        for left in &found.left_out {
            let _ = writeln!(text, "- {} of {}: {}", code(&left.id), code(&left.map), prose(&left.reason));
        }
    }
    text.push_str(READING);
    text
}

fn facts(found: &Agreement) -> String {
    let truth = &found.truth;
    let mut lines = vec![format!(
        "Ground truth: {} ({}), {} cells of {}.",
        prose(&truth.title),
        prose(&truth.unit),
        truth.cells,
        code(&truth.model)
    )];
    if let (Some(text), Some(tokens), Some(sequences)) = (&truth.text, truth.tokens, truth.sequences) {
        lines.push(format!("Text: {}; {tokens} tokens in {sequences} sequences.", prose(text)));
    }
    if let Some(reliability) = reliability(found) {
        lines.push(format!("{}.", prose(&reliability)));
    }
    lines.extend(found.notes.iter().map(|note| format!("Note: {}.", prose(note))));
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

/// How far the costs would come out the same again, in words; `None` where single sequences were not kept.
pub(crate) fn reliability(found: &Agreement) -> Option<String> {
    let of = found.truth.reliability?;
    let mut text = format!(
        "Halves of {} sequences agree to {}, so all of them to {} with others",
        of.sequences,
        number(of.half),
        number(of.whole)
    );
    if let Some(ceiling) = of.ceiling {
        let _ = write!(text, "; no metric can be expected above {}", number(ceiling));
    }
    if let Some(share) = of.in_own_decile {
        let percent = significant(share * 100.0, 2);
        let _ = write!(text, "; {percent} % of the cells keep their tenth of the order in 95 % of resamples");
    }
    Some(text)
}

fn table(found: &Agreement, form: fn(&Row) -> &Form) -> String {
    let mut text = format!(
        "| | | rho | tau | in columns | in layers | top {} | given place | over place |\n|:--|:--|:--|--:|:--|--:|--:|:--|:--|\n",
        found.top
    );
    for row in sorted(found, form) {
        let form = form(row);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            code(&row.id),
            what(row),
            with_interval(&form.rho),
            bare(&form.kendall),
            with_interval(&form.within_columns),
            bare(&form.within_layers),
            bare(&form.top_overlap),
            with_interval(&form.partial),
            with_interval(&form.over_control)
        );
    }
    text
}

/// What a row is, in a few words.
fn what(row: &Row) -> String {
    let mut words = vec![kind(row.kind)];
    match row.side {
        Side::Neutral if row.kind != Kind::Control => words.push("takes no side"),
        Side::Low => words.push("low is important"),
        _ => {}
    }
    if row.by_column {
        words.push("comparable in columns only");
    }
    words.join(", ")
}

const READING: &str = "\n## How to read it\n\n\
- **rho**: Spearman's rank correlation with the costs over all cells; positive where the metric is right about which end is \
important. In brackets 95 % intervals over resampled cells, and over resampled sequences of the ground truth where it was kept by sequence.\n\
- **tau**: Kendall's tau-b. **in columns**, **in layers**: Spearman's inside each, averaged.\n\
- **top**: share of the costliest cells, a tenth of all, that are among as many highest scores.\n\
- **given place**: rho given the control `column-and-depth`: what the score knows beyond where the cell is. **over place**: rho \
minus that of this control; a metric that is not above 0 here says less than the place.\n\
- Controls know nothing of the weights: random orders (mean of five), the number of weights, the layer, the column's mean rank of cost, and \
`column-and-depth`, column means and a cubic in depth fitted to the ranks of the costs of every other layer and read off between.\n\
- Metrics that take no side are sorted by the size of rho; its sign is what was found here.\n";
