//! The report in words: what a map says, as Markdown.
//!
//! Numbers become [`Claim`]s, claims become sentences, and no sentence is printed that is not a claim or fixed text, so
//! the report cannot contradict the table. It reads scores through the same [`View`] as the pictures.
//! Text from files is escaped: it shows as text.

mod claim;
mod comparison;
mod escape;
mod gather;
mod limits;
mod overview;
mod section;
mod sentence;
#[cfg(test)]
mod tests;
mod words;

use tomo_map::{Column, Map, Normalisation, View};

pub use claim::{Baseline, Claim, Contrast, Limit};
pub use comparison::is_unchanged;
pub use section::Findings;

/// Everything the report states of metric `id`; `None` if the map does not hold it.
pub fn findings(map: &Map, id: &str) -> Option<Findings> {
    let column = map.column(id)?;
    Some(section::findings(map, column, &measured(map, column)?))
}

/// The scores of a column as measured.
fn measured(map: &Map, column: &Column) -> Option<View> {
    map.view(&column.info.id, Normalisation::by_id("raw")?).ok()
}

/// The report on all metrics of a map, as Markdown.
pub fn markdown(map: &Map) -> String {
    let views = map.columns.iter().filter_map(|column| Some((column, measured(map, column)?)));
    let parts: Vec<_> = views.map(|(column, view)| (section::findings(map, column, &view), view)).collect();
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
        parts.iter().for_each(|(findings, view)| text.push_str(&section::glance(view, findings)));
        text.push('\n');
    }
    parts.iter().for_each(|(findings, view)| text.push_str(&section::markdown(view, findings)));
    text.push_str(&comparison::beside(map));
    text.push_str(&overview::provenance(map));
    text.push_str(overview::READING);
    text
}
