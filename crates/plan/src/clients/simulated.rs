//! No program but this one: formats that it simulates itself.
//!
//! # Files
//! `changes.txt`: one `--change CELL=FORMAT` per line.
//!
//! # Command
//! `xargs tomograph measure MODEL --text FILE < changes.txt` measures what all of it costs together.
//!
//! # Bytes
//! Of integers: columns x bits, 16 bits of scale per group and, where there are zero points, as many bits as a weight per group; a
//! last short group counts as a full one. Rows are added up in bits and rounded up to bytes once. Of `fp8` 8 bits per weight, of
//! `nvfp4` 4 and 8 for every 16. The original counts as what its bits say.
//!
//! # Traps
//! No file is written and nothing runs faster: this shows what a format would cost before a program for it is chosen.
//!
//! # Source
//! `tomograph list edits`, `tomograph list quantizations`.

use super::dry_run::{Matcher, Rule, Subject, Wins, dry_run};
use super::modules::{mismatch, stored, text_of};
use super::{Client, Dialect, Fuse, Recipe};
use crate::{Kind, Plan, PlanError, Stored};

pub(super) static CLIENT: Client = Client {
    id: "simulated",
    title: "simulated here",
    source: include_str!("simulated.rs"),
    kinds: &[Kind::Bits],
    types: &[
        "int2-sym:g128",
        "int2:g128",
        "int2-sym:g64",
        "int2:g64",
        "int2-sym:g32",
        "int2:g32",
        "int3-sym:g128",
        "int3:g128",
        "int3-sym:g64",
        "int3:g64",
        "int3-sym:g32",
        "int3:g32",
        "int4-sym:g128",
        "int4:g128",
        "int4-sym:g64",
        "int4:g64",
        "nvfp4",
        "int4-sym:g32",
        "int4:g32",
        "int5-sym:g128",
        "int5:g128",
        "int5-sym:g64",
        "int5:g64",
        "int5-sym:g32",
        "int5:g32",
        "int6-sym:g128",
        "int6:g128",
        "int6-sym:g64",
        "int6:g64",
        "int6-sym:g32",
        "int6:g32",
        "int7-sym:g128",
        "int7:g128",
        "int7-sym:g64",
        "int7:g64",
        "int7-sym:g32",
        "int7:g32",
        "fp8",
        "int8-sym:g128",
        "int8:g128",
        "int8-sym:g64",
        "int8:g64",
        "int8-sym:g32",
        "int8:g32",
        "original",
    ],
    usual: &["int2:g64", "int3:g64", "int4:g64", "int5:g64", "int6:g64", "int8:g64"],
    dialect: Dialect::HuggingFace,
    fuse: Fuse::Free,
    fits: |_, _| true,
    bytes: |stored, rows, columns| stored.bytes(rows, columns),
    write,
    check,
};

const FILE: &str = "changes.txt";

fn write(plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    let changed = plan.stored().filter(|(_, stored)| !matches!(stored, Stored::Original { .. }));
    let text = changed.map(|(cell, stored)| format!("--change {}={stored}\n", cell.id)).collect();
    let usage = format!("xargs tomograph measure MODEL --text FILE < {FILE}");
    Ok(vec![Recipe { name: FILE.to_owned(), usage, text }])
}

fn check(plan: &Plan, files: &[Recipe]) -> Result<(), PlanError> {
    let failed = |reason: String| mismatch(&CLIENT, FILE, reason);
    let rule = |line: &str| {
        let change = line.strip_prefix("--change ").and_then(|change| change.split_once('='));
        let (cell, format) = change.ok_or_else(|| format!("{line:?} is no change"))?;
        Ok(Rule { pattern: line.to_owned(), matcher: Matcher::Whole(cell.to_owned()), says: format.to_owned() })
    };
    let lines = text_of(&CLIENT, files, FILE)?.lines();
    let rules = lines.map(rule).collect::<Result<Vec<Rule>, String>>().map_err(failed)?;
    let wants = |choice| stored(choice).filter(|s| !matches!(s, Stored::Original { .. })).map(|s| s.to_string());
    let subject = |cell: &crate::Decision| Subject {
        name: cell.id.to_string(),
        what: "a cell".to_owned(),
        wants: wants(cell.choice),
    };
    let subjects: Vec<Subject> = plan.cells.iter().map(subject).collect();
    dry_run(&rules, Wins::First, &subjects).map_err(failed)
}
