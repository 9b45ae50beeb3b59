//! What the report says of a difference: how the two maps compare, metric by metric.

use std::fmt::Write;

use tomo_map::{Comparison, Sides, significant};

use super::claim::{Between, Claim};
use super::escape::{code, prose};
use super::words::{columns, count, grouped, list, number, pair, sentence};

/// A tendency of a column is stated if its corrected p-value is at most this.
const LEVEL: f64 = 0.01;
/// Most cells in the table of those that moved most.
const MOST_MOVERS: usize = 10;

/// Claims about one metric; empty where the map is no difference.
pub(super) fn claims(comparison: &Comparison) -> Vec<Claim> {
    let all = comparison.all;
    let mut found = Vec::new();
    if all.cells() == 0 {
        return Vec::new();
    }
    if all.equal == all.cells() {
        found.push(Between::Same { cells: all.cells() });
        return found.into_iter().map(Claim::Between).collect();
    }
    found.push(Between::Tendency(all));
    found.extend(comparison.over_cells.map(Between::Order));
    let also = comparison.over_cells.is_some();
    found.extend(comparison.inside_columns.map(|(mean, columns)| Between::OrderInside { mean, columns, also }));
    let tests = comparison.columns.len() as f64;
    let tested =
        comparison.columns.iter().map(|(component, tendency)| (*component, *tendency, (tendency.p() * tests).min(1.0)));
    let (told, quiet): (Vec<_>, Vec<_>) = tested.partition(|(_, _, p)| *p <= LEVEL);
    found.extend(told.into_iter().map(|(component, tendency, p_corrected)| Between::Column {
        component,
        tendency,
        p_corrected,
    }));
    if !quiet.is_empty() {
        found.push(Between::NoColumn(quiet.into_iter().map(|(component, ..)| component).collect()));
    }
    let (of, clear) = comparison.with_interval;
    if of > 0 {
        found.push(Between::Clear { clear, of });
    }
    found.into_iter().map(Claim::Between).collect()
}

/// The sentence that states a claim.
pub(super) fn of(claim: &Between) -> String {
    match claim {
        Between::Same { cells } => {
            format!("Both maps hold the same scores, to the last bit, in {}.", count(*cells, "cell", "cells"))
        }
        Between::Tendency(t) => format!(
            "Of {}, {} higher in the second map, {} lower and {} equal.",
            count(t.cells(), "cell", "cells"),
            if t.higher == 1 { "1 is".to_owned() } else { format!("{} are", grouped(t.higher as u64)) },
            grouped(t.lower as u64),
            grouped(t.equal as u64)
        ),
        Between::Order(order) => {
            let interval = order
                .interval
                .map_or(String::new(), |(low, high)| format!(", 95 % interval {} to {}", number(low), number(high)));
            let cells = count(order.cells, "cell", "cells");
            format!("Spearman's rank correlation between the maps is {} over {cells}{interval}.", number(order.rho))
        }
        Between::OrderInside { mean, columns, also } => {
            let subject =
                if *also { "Inside columns it" } else { "Spearman's rank correlation between the maps inside columns" };
            format!("{subject} is {} in the mean of {columns}.", number(*mean))
        }
        Between::Column { component, tendency, p_corrected } => {
            let (way, moved) =
                if tendency.higher > tendency.lower { ("higher", tendency.higher) } else { ("lower", tendency.lower) };
            format!(
                "{} is {way} in the second map in {moved} of {} (sign test, p = {}).",
                columns(&[*component]),
                count(tendency.cells(), "cell", "cells"),
                significant(*p_corrected, 2)
            )
        }
        Between::NoColumn(quiet) => format!("No tendency to either side passes the sign test in {}.", columns(quiet)),
        Between::Clear { clear, of } => {
            let leave = if *clear == 1 { "leaves" } else { "leave" };
            format!(
                "The 95 % interval of the difference {leave} zero out in {clear} of {}; about {} would by chance.",
                count(*of, "cell", "cells"),
                number(0.05 * *of as f64)
            )
        }
    }
}

/// The cells that moved most, with what both maps say of them; empty if none moved.
pub(super) fn table(comparison: &Comparison) -> String {
    let movers = &comparison.movers;
    if movers.cells.is_empty() {
        return String::new();
    }
    let shown = movers.cells.len().min(MOST_MOVERS);
    let by = if movers.by_column {
        ", in units of the median size of its column's scores; ranks are within the column"
    } else {
        ""
    };
    let which =
        if shown == 1 { "The cell that moved".to_owned() } else { format!("The {shown} cells that moved most{by}") };
    let mut text = format!(
        "{which}:\n\n| cell | first | second | difference | rank before | rank after | of |\n|:--|--:|--:|--:|--:|--:|--:|\n"
    );
    for mover in movers.cells.iter().take(shown) {
        let (first, second) = pair(mover.first.value, mover.second.value);
        let with = |value: String, interval: Option<(f64, f64)>| match interval {
            Some((low, high)) => format!("{value} [{}, {}]", number(low), number(high)),
            None => value,
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} | {} |",
            mover.id,
            with(first, mover.first.interval),
            with(second, mover.second.interval),
            with(number(mover.difference), mover.interval),
            mover.first.rank,
            mover.second.rank,
            mover.of
        );
    }
    text.push('\n');
    text
}

/// In what the two maps are not alike, and what was not compared.
pub(super) fn unlike(sides: &Sides) -> String {
    let unlike = sides.unlike();
    let mut text = String::new();
    if unlike.is_empty() {
        text.push_str("Both maps are of the same model, text, options and version.\n\n");
    } else {
        text.push_str("In what the maps are not alike:\n\n| | first | second |\n|:--|:--|:--|\n");
        let known = |text: &str| if text.is_empty() { "none".to_owned() } else { code(text) };
        for row in unlike {
            let _ = writeln!(text, "| {} | {} | {} |", row.what, known(&row.first), known(&row.second));
        }
        text.push('\n');
    }
    if !sides.same_model() && !sides.same_text() {
        text.push_str(
            "Model and text both differ, so what metrics of the text say cannot be put down to either alone.\n\n",
        );
    }
    if !sides.left_out.is_empty() {
        const MOST: usize = 20;
        let mut told: Vec<String> = sides.left_out.iter().take(MOST).map(|t| prose(t)).collect();
        if sides.left_out.len() > MOST {
            told.push(count(sides.left_out.len() - MOST, "other", "others"));
        }
        text.push_str(&sentence(&format!("Not compared, or only in part: {}", list(&told))));
        text.push_str("\n\n");
    }
    text
}

/// What the statements of differences rest on.
pub(super) const READING: &str = "\
- Differences are second minus first. Where both scores have a 95 % interval the difference has one, made from the two
  as if they were independent (Newcombe); of two models on one text it is rather too wide than too narrow.
- The rank correlation is Spearman's; its interval comes from resampling cells. A column tends to one side if the sign
  test says so at p of at most 0.01, times the number of columns.
- Ranks count from 1, the most important score by the metric's own direction; the highest, if it takes no side.
";
