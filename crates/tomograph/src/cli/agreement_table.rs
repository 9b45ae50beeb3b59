//! An agreement on the terminal, as wide as that is.

use std::io::{self, Write};

use tomo_render::escape::plain;
use tomo_verify::{Agreement, Form, Kind, Row, Side};

use crate::agreement_file::{bare, claim, reliability, sorted, with_interval};

/// A column of the table.
struct Column {
    heading: String,
    entry: fn(&Form) -> String,
    /// Which columns are left out first on narrow terminals: the highest.
    rank: usize,
}

fn columns(top: usize) -> Vec<Column> {
    let column = |heading: &str, rank, entry| Column { heading: heading.to_owned(), entry, rank };
    vec![
        column("rho", 0, |f| bare(&f.rho)),
        column("95 %", 1, |f| with_interval(&f.rho).split_once(' ').map_or_else(String::new, |(_, i)| i.to_owned())),
        column("tau", 6, |f| bare(&f.kendall)),
        column("in columns", 2, |f| bare(&f.within_columns)),
        column("in layers", 5, |f| bare(&f.within_layers)),
        column(&format!("top {top}"), 4, |f| bare(&f.top_overlap)),
        column("given place", 3, |f| bare(&f.partial)),
    ]
}

/// Prints the table of one form.
pub(crate) fn print(found: &Agreement, form: fn(&Row) -> &Form, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let truth = &found.truth;
    let mut head = vec![format!("{} of {}: {} ({})", truth.metric, truth.model, truth.title, truth.unit)];
    if let (Some(text), Some(tokens), Some(sequences)) = (&truth.text, truth.tokens, truth.sequences) {
        head.push(format!("{} cells; {tokens} tokens in {sequences} sequences of {text}", truth.cells));
    }
    head.extend(reliability(found));
    wrapped(&head, width, out)?;
    writeln!(out)?;
    rows(found, form, width, out)?;
    writeln!(out)?;
    let mut below = legend(found);
    below.extend(found.left_out.iter().map(|l| format!("left out: {} of {}: {}", l.id, l.map, l.reason)));
    below.extend(found.notes.iter().map(|note| format!("note: {note}")));
    below.extend(claim(found));
    wrapped(&below, width, out)
}

fn wrapped(lines: &[String], width: usize, out: &mut dyn Write) -> io::Result<()> {
    for line in lines {
        for part in textwrap::wrap(&plain(line, 600), width.max(20)) {
            writeln!(out, "{part}")?;
        }
    }
    Ok(())
}

fn rows(found: &Agreement, form: fn(&Row) -> &Form, width: usize, out: &mut dyn Write) -> io::Result<()> {
    /// Names are cut to this only where the terminal is too narrow for name and correlation.
    const SHORTEST_NAME: usize = 12;
    let rows = sorted(found, form);
    let names: Vec<String> = rows.iter().map(|row| name(row)).collect();
    let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let entries: Vec<(Column, Vec<String>)> = columns(found.top)
        .into_iter()
        .map(|column| {
            let of_rows = rows.iter().map(|row| (column.entry)(form(row))).collect();
            (column, of_rows)
        })
        .collect();
    let wide = |(column, entries): &(Column, Vec<String>)| {
        entries.iter().map(String::len).max().unwrap_or(0).max(column.heading.len()) + 2
    };
    // The most telling columns that fit beside the names.
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|at| entries[*at].0.rank);
    let mut room = width.saturating_sub(longest.min(width / 2).max(SHORTEST_NAME));
    let mut shown = Vec::new();
    for at in order {
        if wide(&entries[at]) > room {
            break;
        }
        room -= wide(&entries[at]);
        shown.push(at);
    }
    shown.sort_unstable();
    let names_room = width.saturating_sub(shown.iter().map(|at| wide(&entries[*at])).sum()).min(longest);
    let mut line = |name: &str, entry: &dyn Fn(usize) -> String| -> io::Result<()> {
        write!(out, "{:names_room$}", plain(name, names_room))?;
        for at in &shown {
            let room = wide(&entries[*at]);
            write!(out, "{:>room$}", entry(*at))?;
        }
        writeln!(out)
    };
    line("", &|at| entries[at].0.heading.clone())?;
    for (row, name) in names.iter().enumerate() {
        line(name, &|at| entries[at].1[row].clone())?;
    }
    Ok(())
}

/// The id with marks that [`legend`] explains.
fn name(row: &Row) -> String {
    match row.kind {
        Kind::Control => return format!("({})", row.id),
        Kind::Measured => return format!("{} *", row.id),
        Kind::Metric | Kind::Proxy => {}
    }
    let side = if row.side == Side::Neutral { " ~" } else { "" };
    let columns = if row.by_column { " |" } else { "" };
    format!("{}{side}{columns}", row.id)
}

/// Whether a mark stands at a row.
type IsMarked = fn(&Row) -> bool;

fn legend(found: &Agreement) -> Vec<String> {
    let marks: [(&str, IsMarked); 3] = [
        ("*  measured in another way or on another text", |r| r.kind == Kind::Measured),
        ("~  takes no side: sorted by size, the sign is what was found here", |r| {
            is_metric(r) && r.side == Side::Neutral
        }),
        ("|  made for comparing within columns: see \"in columns\"", |r| is_metric(r) && r.by_column),
    ];
    let mut lines = vec![
        "( )  controls, which know nothing of the weights; \"given place\" is rho given (column-and-depth)".to_owned(),
    ];
    lines.extend(marks.iter().filter(|(_, has)| found.rows.iter().any(has)).map(|(text, _)| (*text).to_owned()));
    lines
}

fn is_metric(row: &Row) -> bool {
    matches!(row.kind, Kind::Metric | Kind::Proxy)
}
