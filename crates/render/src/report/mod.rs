//! The report in words: what a map says, as Markdown.
//!
//! Numbers become [`Claim`]s, claims become sentences, and no sentence is printed that is not a claim or fixed text, so
//! the report cannot contradict the table. It reads scores through the same [`View`] as the pictures.
//! Text from files is escaped: it shows as text.

mod between;
mod change;
mod claim;
mod comparison;
pub mod escape;
mod gather;
mod limits;
mod overview;
mod section;
mod sentence;
#[cfg(test)]
mod tests;
mod words;

use tomo_map::{Column, Comparison, Map, Normalisation, View};

pub use change::Change;
pub use claim::{Baseline, Between, Claim, Contrast, Limit};
pub use comparison::is_unchanged;
pub use section::Findings;

/// Everything the report states of metric `id`; `None` if the map does not hold it.
pub fn findings(map: &Map, id: &str) -> Option<Findings> {
    Some(Part::new(map, map.column(id)?)?.findings)
}

/// The scores of a column as measured.
fn measured(map: &Map, column: &Column) -> Option<View> {
    map.view(&column.info.id, Normalisation::by_id("raw")?).ok()
}

/// One metric with everything that is said of it.
struct Part {
    view: View,
    comparison: Option<Comparison>,
    findings: Findings,
}

impl Part {
    fn new(map: &Map, column: &Column) -> Option<Self> {
        let view = measured(map, column)?;
        let comparison = map.comparison(&column.info.id);
        let findings = section::findings(map, column, &view, comparison.as_ref());
        Some(Self { view, comparison, findings })
    }
}

/// The report on all metrics of a map, as Markdown.
pub fn markdown(map: &Map) -> String {
    let parts: Vec<Part> = map.columns.iter().filter_map(|column| Part::new(map, column)).collect();
    let mut text = overview::head(map);
    text.push_str(&comparison::head(map));
    text.push_str(&overview::missing_columns(map));
    if !parts.is_empty() {
        text.push_str(
            "## At a glance\n\nHighest and lowest columns are by median over layers; a dash means that two columns share \
             the place, or that there is nothing to compare.\n\n\
             | metric | highest column | lowest column | changes along depth | places without a score |\n\
             |:--|:--|:--|:--|--:|\n",
        );
        parts.iter().for_each(|part| text.push_str(&section::glance(&part.view, &part.findings)));
        text.push('\n');
    }
    let changes = change::claims(map);
    text.push_str(&change::section(map, &changes));
    for Part { view, comparison, findings } in &parts {
        text.push_str(&section::markdown(view, comparison.as_ref(), findings));
    }
    text.push_str(&comparison::beside(map));
    text.push_str(&overview::provenance(map));
    text.push_str(overview::READING);
    if !changes.is_empty() {
        text.push_str(change::READING);
    }
    if map.sides.is_some() {
        text.push_str(between::READING);
    }
    text
}
