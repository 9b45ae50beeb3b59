use tomo_map::{Column, Map};

use crate::PlanError;

/// Most cells that an error names.
const NAMED: usize = 3;

/// The score of a cell, or an error that names all cells without one.
pub(crate) fn value(map: &Map, column: &Column, cell: usize) -> Result<f64, PlanError> {
    match column.scores.get(cell).and_then(|score| score.value()) {
        Some(value) => Ok(value),
        None => Err(unusable(map, column, |at| column.scores.get(at).and_then(|score| score.value()).is_none())),
    }
}

/// An error that names the cells of a column for which `is_wrong`.
pub(crate) fn unusable(map: &Map, column: &Column, is_wrong: impl Fn(usize) -> bool) -> PlanError {
    let cells = (0..map.grid.cells.len()).filter(|at| is_wrong(*at));
    let mut named: Vec<String> = Vec::new();
    let mut more = 0;
    for at in cells {
        if named.len() == NAMED {
            more += 1;
            continue;
        }
        let score = column.scores.get(at);
        let reason = match score.and_then(|score| score.value()) {
            Some(value) => value.to_string(),
            None => score.and_then(|score| score.reason()).unwrap_or("no score").to_owned(),
        };
        named.push(format!("{} ({reason})", map.grid.cells[at].id));
    }
    if more > 0 {
        named.push(format!("{more} more"));
    }
    PlanError::Scores {
        column: column.info.id.to_string(),
        cells: named.join(", "),
        hint: format!("measure them: {}", command(map, &[column.info.id.as_ref()])),
    }
}

/// The command that makes a map with these metrics.
pub(crate) fn command(map: &Map, metrics: &[&str]) -> String {
    let plain = |id: &str| id.starts_with("err-") && !id.ends_with("@x");
    let text = if metrics.iter().all(|id| plain(id)) { "" } else { " --text FILE" };
    let integers = metrics.iter().any(|id| id.contains("-int"));
    let group = map.provenance.group.filter(|_| integers).map_or(String::new(), |group| format!(" --group {group}"));
    format!("tomograph map {} --metric {}{text}{group}", word(&map.provenance.model), metrics.join(","))
}

/// A word as a shell takes it.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@+".contains(c);
    match text {
        "" => "MODEL".to_owned(),
        text if text.chars().all(plain) => text.to_owned(),
        text if text.chars().any(char::is_control) => "MODEL".to_owned(),
        text => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
