use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use serde_json::{Value, json};
use tomo_map::{Comparison, Map, Mover, RankCorrelation, Sides, significant, significant_apart};
use tomo_render::escape::plain;

use super::{Context, Exit};
use crate::cli::files::read_map;
use crate::cli::output::Look;
use crate::cli::table::Table;

/// Compare two maps of one grid: two models, two texts, two releases
///
/// Takes the first map from the second, cell by cell and metric by metric, and says in what the two are not alike, whether
/// they put the cells in one order, and which cells moved most. What the maps are of may differ (that is the question); their
/// layers and matrices may not, unless --force.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The map to start from: a map.json, or the folder that holds it
    #[arg(value_name = "MAP")]
    first: PathBuf,

    /// The map that is held against it
    #[arg(value_name = "MAP")]
    second: PathBuf,

    /// Metrics, separated by commas [default: all that both maps hold]
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    metric: Vec<String>,

    /// Compare what both maps have of cells, where layers or shapes are not the same
    #[arg(long)]
    force: bool,

    /// Cells that moved most, for each metric with --json, else for the one that is drawn
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Folder for the results: diff.json, diff.csv, report.html, report.md and one picture per metric
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,

    #[command(flatten)]
    look: Look,
}

impl Args {
    pub(super) fn run(self, context: &mut Context<'_>) -> anyhow::Result<Exit> {
        let (started, clock) = (SystemTime::now(), Instant::now());
        let (first, second) = (read_map(&self.first)?, read_map(&self.second)?);
        let mut map = Map::difference(&first, &second, &self.metric, self.force).map_err(|e| self.explained(e))?;
        drop((first, second));
        map.provenance.version = env!("CARGO_PKG_VERSION").to_owned();
        map.provenance.command.clone_from(&context.typed);
        map.provenance.started = humantime::format_rfc3339_seconds(started).to_string();
        map.provenance.seconds = clock.elapsed().as_secs_f64();
        let compared: Vec<Comparison> = map.columns.iter().filter_map(|c| map.comparison(&c.info.id)).collect();
        if let Some(folder) = &self.out {
            self.look.write_all(&map, folder, "diff")?;
        }
        if self.json {
            let json = serde_json::to_string_pretty(&as_json(&map, &compared, self.top))?;
            writeln!(context.streams.out, "{json}")?;
            return Ok(Exit::Success);
        }
        self.print(&map, &compared, context)?;
        if let Some(folder) = &self.out {
            written(folder, context)?;
        }
        Ok(Exit::Success)
    }

    /// Which files the error speaks of, and what may help.
    fn explained(&self, error: tomo_map::DifferenceError) -> anyhow::Error {
        use tomo_map::DifferenceError::{NoSharedCell, OtherGrid};
        let hint = match error {
            OtherGrid { .. } => "; --force compares the cells that both have",
            NoSharedCell => "; are they maps of models of one kind?",
            _ => "",
        };
        // Names of metrics come from the files.
        let hinted = anyhow::anyhow!("{}", plain(&format!("{error}{hint}"), 2000));
        hinted.context(format!("cannot compare {} with {}", self.first.display(), self.second.display()))
    }

    fn print(&self, map: &Map, compared: &[Comparison], context: &mut Context<'_>) -> anyhow::Result<()> {
        let width = context.streams.terminal.width.max(40);
        if let Some(sides) = map.sides.as_deref() {
            head(map, sides, width, &mut context.streams.out)?;
        }
        overview(compared).print(width, &mut context.streams.out)?;
        let Some((column, shown)) = map.columns.first().zip(compared.first()) else { return Ok(()) };
        writeln!(context.streams.out)?;
        self.look.print(map, Some(&column.info.id), context)?;
        movers(shown, self.top, width, &mut context.streams.out)?;
        Ok(())
    }
}

/// What is taken from what, and in what the two are not alike.
fn head(map: &Map, sides: &Sides, width: usize, out: &mut dyn Write) -> io::Result<()> {
    wrapped(&plain(&map.provenance.model, 200), width, out)?;
    let unlike = sides.unlike();
    if unlike.is_empty() {
        wrapped("both maps are of the same model, text, options and version", width, out)?;
    }
    let named = unlike.iter().map(|u| u.what.chars().count()).max().unwrap_or(0);
    for row in &unlike {
        let shown = |text: &str| if text.is_empty() { "none".to_owned() } else { plain(text, 120) };
        wrapped(&format!("  {:named$}  {} -> {}", row.what, shown(&row.first), shown(&row.second)), width, out)?;
    }
    if !sides.same_model() && !sides.same_text() {
        wrapped(
            "model and text both differ: what metrics of the text say cannot be put down to either alone",
            width,
            out,
        )?;
    }
    for text in sides.left_out.iter().take(10) {
        wrapped(&format!("not compared, or only in part: {}", plain(text, 200)), width, out)?;
    }
    writeln!(out)
}

/// Lines no wider than `width`, those after the first indented.
fn wrapped(text: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let options = textwrap::Options::new(width).subsequent_indent("  ");
    textwrap::wrap(text, options).iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// A line per metric.
fn overview(compared: &[Comparison]) -> Table {
    let mut table = Table::new(&["metric", "rank correlation", "in columns", "moved most", "higher", "lower", "equal"]);
    for c in compared {
        let farthest = c.movers.cells.first().map_or_else(|| "-".to_owned(), |m| m.id.to_string());
        table.row(vec![
            plain(&c.metric, 40),
            c.over_cells.map_or_else(|| "-".to_owned(), correlation),
            c.inside_columns.map_or_else(|| "-".to_owned(), |(mean, _)| format!("{mean:.3}")),
            farthest,
            c.all.higher.to_string(),
            c.all.lower.to_string(),
            c.all.equal.to_string(),
        ]);
    }
    table
}

fn correlation(of: RankCorrelation) -> String {
    let interval = of.interval.map_or_else(String::new, |(low, high)| format!(" [{low:.3}, {high:.3}]"));
    format!("{:.3}{interval}", of.rho)
}

fn movers(of: &Comparison, top: usize, width: usize, out: &mut dyn Write) -> io::Result<()> {
    if of.movers.cells.is_empty() || top == 0 {
        return Ok(());
    }
    let where_ranked =
        if of.movers.by_column { ", for the size of their column's scores; ranks within the column" } else { "" };
    writeln!(out)?;
    wrapped(&format!("cells that moved most{where_ranked}:"), width, out)?;
    let mut table = Table::new(&["cell", "difference", "first", "second", "rank", "95 % interval of the difference"]);
    for mover in of.movers.cells.iter().take(top) {
        let apart = significant_apart(&[mover.first.value, mover.second.value], 3);
        let interval = mover
            .interval
            .map_or_else(String::new, |(low, high)| format!("{} to {}", significant(low, 3), significant(high, 3)));
        let mut cells = vec![mover.id.to_string(), significant(mover.difference, 3)];
        cells.extend(apart);
        cells.push(format!("{} -> {} of {}", mover.first.rank, mover.second.rank, mover.of));
        cells.push(interval);
        table.row(cells);
    }
    table.print(width, out)
}

fn written(folder: &Path, context: &mut Context<'_>) -> io::Result<()> {
    let out = &mut context.streams.out;
    writeln!(out)?;
    for (name, what) in [
        ("report.html", "everything, to point at and click"),
        ("report.md", "in words"),
        ("diff.json", "the numbers; tomograph show draws them again"),
    ] {
        writeln!(out, "  {}  {what}", folder.join(name).display())?;
    }
    Ok(())
}

fn as_json(map: &Map, compared: &[Comparison], top: usize) -> Value {
    let sides = map.sides.as_deref();
    let unlike = sides.map(Sides::unlike).unwrap_or_default();
    let metrics = compared.iter().map(|c| {
        let correlation = c.over_cells.map(|r| json!({ "rho": r.rho, "interval": r.interval, "cells": r.cells }));
        let inside = c.inside_columns.map(|(mean, columns)| json!({ "mean_rho": mean, "columns": columns }));
        let columns = c.columns.iter().map(|(component, t)| {
            json!({ "component": component, "higher": t.higher, "lower": t.lower, "equal": t.equal, "sign_test_p": t.p() })
        });
        json!({
            "metric": c.metric,
            "cells": c.all.cells(),
            "higher": c.all.higher,
            "lower": c.all.lower,
            "equal": c.all.equal,
            "rank_correlation": correlation,
            "inside_columns": inside,
            "columns": columns.collect::<Vec<_>>(),
            "with_interval": c.with_interval.0,
            "interval_leaves_zero_out": c.with_interval.1,
            "moved_most": c.movers.cells.iter().take(top).map(mover_json).collect::<Vec<_>>(),
        })
    });
    json!({
        "difference": map.provenance.model,
        "unlike": unlike.iter().map(|u| json!({ "what": u.what, "first": u.first, "second": u.second })).collect::<Vec<_>>(),
        "left_out": sides.map(|s| s.left_out.clone()).unwrap_or_default(),
        "metrics": metrics.collect::<Vec<_>>(),
    })
}

fn mover_json(mover: &Mover) -> Value {
    let side = |s: &tomo_map::RankedScore| json!({ "value": s.value, "interval": s.interval, "rank": s.rank });
    json!({
        "layer": mover.id.layer,
        "component": mover.id.component,
        "expert": mover.id.expert,
        "difference": mover.difference,
        "interval": mover.interval,
        "first": side(&mover.first),
        "second": side(&mover.second),
        "ranked": mover.of,
    })
}
