//! What a map of changes compares, and what changed beside the grid.

use tomo_map::{Beside, Map};

use super::escape::{code, prose};
use super::words::{count, number, sentence};

/// Metrics that are 0 exactly where nothing changed.
const ZERO_IF_UNCHANGED: [&str; 3] = ["delta-relative", "update-density", "spectrum-drift"];

/// Most rows of a table beside the grid that are printed: four norms a layer of a very deep model.
const MOST_ROWS: usize = 1_000;

/// Whether a comparison found the same weights on both sides, in every cell that could be compared.
pub fn is_unchanged(map: &Map) -> bool {
    let mut telling = map.columns.iter().filter(|c| ZERO_IF_UNCHANGED.contains(&c.info.id.as_ref())).peekable();
    let known = |column: &tomo_map::Column| column.scores.iter().filter_map(tomo_map::Score::value).collect::<Vec<_>>();
    map.provenance.against.is_some()
        && telling.peek().is_some()
        && telling.all(|column| {
            let values = known(column);
            !values.is_empty() && values.iter().all(|v| *v == 0.0)
        })
}

/// What the model was compared with; nothing where it was not.
pub(super) fn head(map: &Map) -> String {
    let Some(against) = &map.provenance.against else { return String::new() };
    let mut text = format!("Compared with {}, as what it was before.", code(&against.model));
    for note in &against.notes {
        text.push_str(&format!(" {}", sentence(&prose(note))));
    }
    if is_unchanged(map) {
        text.push_str(" **The two are identical**: no weight of any cell that was compared differs.");
    }
    format!("{text}\n\n")
}

/// Tables of what is no cell.
pub(super) fn beside(map: &Map) -> String {
    map.beside.iter().map(table).collect()
}

fn table(beside: &Beside) -> String {
    let mut text = format!(
        "## {}\n\n{} Unit: {}.\n\n| layer | of | {} |\n|--:|:--|--:|\n",
        prose(&beside.title),
        sentence(&prose(&beside.summary)),
        prose(&beside.unit),
        code(&beside.id),
    );
    for row in beside.rows.iter().take(MOST_ROWS) {
        let layer = row.layer.map_or_else(String::new, |layer| layer.to_string());
        let value = match row.score.value() {
            Some(value) => number(value),
            None => prose(row.score.reason().unwrap_or("no reason was given")),
        };
        text.push_str(&format!("| {layer} | {} | {value} |\n", prose(&row.name)));
    }
    if beside.rows.len() > MOST_ROWS {
        let rest = count(beside.rows.len() - MOST_ROWS, "row is", "rows are");
        text.push_str(&format!("\n{rest} in `map.json` only.\n"));
    }
    text.push('\n');
    text
}
