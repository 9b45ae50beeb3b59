//! The section of one metric.

use std::fmt::Write;

use tomo_map::{Column, Comparison, Direction, Map, Meaning, MetricInfo, View};

use super::claim::{Claim, Limit};
use super::escape::{code, prose};
use super::words::{column, number, sentence};
use super::{between, gather, limits, sentence};

/// Everything the report states of one metric.
#[derive(Clone, PartialEq, Debug)]
pub struct Findings {
    /// How the two maps of a difference compare.
    pub between: Vec<Claim>,
    /// How components compare.
    pub across: Vec<Claim>,
    /// How each column changes along depth.
    pub along: Vec<Claim>,
    /// Layers and cells that stand out.
    pub outliers: Vec<Claim>,
    /// What cannot be said.
    pub limits: Vec<Claim>,
}

/// Finds everything the report states of one metric, from the scores as measured (`view`).
pub(super) fn findings(map: &Map, of: &Column, view: &View, comparison: Option<&Comparison>) -> Findings {
    let (along, outliers) = gather::along(view, map.provenance.seed);
    let mut across = gather::across(view);
    across.extend(gather::total(map, of));
    let between = comparison.map(between::claims).unwrap_or_default();
    Findings { between, across, along, outliers, limits: limits::limits(map, of, view) }
}

/// The section in Markdown.
pub(super) fn markdown(view: &View, comparison: Option<&Comparison>, findings: &Findings) -> String {
    let info = &view.info;
    let mut text = format!("## {} ({})\n\n{}\n\n", prose(&info.title), code(&info.id), introduction(info));
    text.push_str(&table(view));
    text.push_str(&comparison.map(between::table).unwrap_or_default());
    for (title, claims) in [
        ("Between the maps", &findings.between),
        ("Between components", &findings.across),
        ("Along depth", &findings.along),
        ("What stands out", &findings.outliers),
        ("What cannot be said", &findings.limits),
    ] {
        if !claims.is_empty() {
            let _ = writeln!(text, "### {title}\n");
            claims.iter().for_each(|claim| text.push_str(&format!("- {}\n", sentence::of(claim))));
            text.push('\n');
        }
    }
    text
}

/// What the number is, its unit, which end matters and in which sense.
fn introduction(info: &MetricInfo) -> String {
    let end = match info.direction {
        Direction::High => "A high score marks an important cell.",
        Direction::Low => "A low score marks an important cell.",
        Direction::Neutral => "It describes; neither end marks an important cell.",
    };
    let meaning = match info.meaning {
        Meaning::Structure => "It speaks of the size or structure of the weights.",
        Meaning::Used => "It speaks of what the data use.",
        Meaning::Fragile => "It speaks of fragility: how the loss moves when the weights are disturbed.",
        Meaning::Changed => "It speaks of what training changed.",
    };
    let summary = sentence_of(&info.summary);
    let gap = if summary.is_empty() { "" } else { " " };
    format!("{summary}{gap}Unit: {}. {end} {meaning}", prose(&info.unit))
}

fn sentence_of(text: &str) -> String {
    sentence(&prose(text))
}

/// Each column's range; empty if nothing has a score.
fn table(view: &View) -> String {
    let profiles = view.profiles();
    if profiles.is_empty() {
        return String::new();
    }
    let mut text = "| column | layers | lowest | in layer | median | highest | in layer |\n\
                    |:--|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for p in profiles {
        let (lowest, highest) = (p.lowest, p.highest);
        let row = [
            column(p.component),
            p.points.len().to_string(),
            number(lowest.1),
            lowest.0.to_string(),
            number(p.median),
            number(highest.1),
            highest.0.to_string(),
        ];
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text.push('\n');
    text
}

/// The line of the overview for one metric: its highest and lowest column, and what changes along depth.
pub(super) fn glance(view: &View, findings: &Findings) -> String {
    let missing = limits::places_without_number(view);
    let medians = findings.across.iter().find_map(|claim| match claim {
        Claim::Medians { highest, lowest } => Some((column(highest.0), column(lowest.0))),
        _ => None,
    });
    let (highest, lowest) = match (medians, view.across_columns) {
        (Some(columns), _) => columns,
        (None, true) => ("-".to_owned(), "-".to_owned()),
        (None, false) => ("not comparable".to_owned(), "not comparable".to_owned()),
    };
    let changes: Vec<_> = findings.along.iter().filter_map(change_in_short).collect();
    let said = |test: fn(&Limit) -> bool| findings.limits.iter().any(|c| matches!(c, Claim::Limit(l) if test(l)));
    let changes = if said(|limit| matches!(limit, Limit::Nothing)) {
        "-".to_owned()
    } else if said(|limit| matches!(limit, Limit::FewLayers(_))) {
        "too few layers".to_owned()
    } else if changes.is_empty() {
        "none found".to_owned()
    } else {
        changes.join("; ")
    };
    format!("| {} | {highest} | {lowest} | {changes} | {missing} |\n", code(&view.info.id))
}

pub(super) fn change_in_short(claim: &Claim) -> Option<String> {
    let verb = |(a, b): (f64, f64)| if b > a { "rises" } else { "falls" };
    match claim {
        Claim::Step { component, before, levels, .. } => {
            Some(format!("{} {} after {}", column(*component), verb(*levels), before.1))
        }
        Claim::Drift { component, levels, .. } => Some(format!("{} {} steadily", column(*component), verb(*levels))),
        _ => None,
    }
}
