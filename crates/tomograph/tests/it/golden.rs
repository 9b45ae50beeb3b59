//! Golden values of a real model, made by `tools/reference/golden.py`, and comparisons of a map with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tomo_map::{CellId, Component, Map};

/// `fixtures/golden/<name>.json`.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) model_file: String,
    pub(crate) group: usize,
    cells: Vec<GoldenCell>,
    columns: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
struct GoldenCell {
    layer: u32,
    component: Component,
    out: u64,
    r#in: u64,
}

/// How one metric is held against one golden column.
pub(crate) struct Check {
    /// Id in the map.
    pub(crate) metric: &'static str,
    /// Column of the golden file.
    column: &'static str,
    /// Largest relative deviation.
    tolerance: f64,
    /// Added to the size that a deviation is relative to: the excess kurtosis of a normal sample is near 0, but it is the
    /// difference of a fourth moment and 3.
    offset: f64,
    /// Which cells may deviate, and why.
    excuse: Excuse,
}

/// Cells that two correct programs may score differently.
#[derive(Clone, Copy)]
enum Excuse {
    /// None.
    Never,
    /// Those with a singular value nearer to the threshold than the column's number and the error of a decomposition.
    AtThreshold(&'static str, f64),
    /// At most this share of cells, each printed with how far behind the runner-up tail is.
    Share(f64, &'static str),
}

pub(crate) const fn check(metric: &'static str, column: &'static str, tolerance: f64) -> Check {
    Check { metric, column, tolerance, offset: 0.0, excuse: Excuse::Never }
}

const fn at_threshold(metric: &'static str, column: &'static str, margin: &'static str) -> Check {
    Check { excuse: Excuse::AtThreshold(margin, 1e-6), ..check(metric, column, SPECTRAL) }
}

const LINEAR: f64 = 1e-5;
const SPECTRAL: f64 = 1e-4;
const POWER_LAW: f64 = 1e-3;

/// Every metric that the golden file knows.
pub(crate) const CHECKS: &[Check] = &[
    check("rms", "rms", LINEAR),
    check("mean-abs", "mean-abs", LINEAR),
    Check { offset: 3.0, ..check("kurtosis", "kurtosis", LINEAR) },
    check("outlier-share", "outlier-share:k=6", LINEAR),
    check("spectral-norm", "spectral-norm", SPECTRAL),
    check("stable-rank", "stable-rank", SPECTRAL),
    check("effective-rank", "effective-rank:sigma", SPECTRAL),
    check("participation-ratio", "participation-ratio", SPECTRAL),
    at_threshold("mp-excess", "mp-excess:count", "mp-excess:margin"),
    at_threshold("spectrum-snr", "spectrum-snr", "spectrum-snr:margin"),
    Check { excuse: Excuse::Share(0.05, "pl-alpha:runner-up-lag"), ..check("pl-alpha", "pl-alpha", POWER_LAW) },
    check("pl-alpha-hill", "pl-alpha-hill", SPECTRAL),
    check("err-int4", "err-int4", LINEAR),
    check("err-int3", "err-int3", LINEAR),
    check("err-int2", "err-int2", LINEAR),
    check("err-nf4", "err-nf4", LINEAR),
    check("err-q4_0", "err-q4_0", LINEAR),
    check("err-nvfp4", "err-nvfp4", LINEAR),
    check("err-mxfp4", "err-mxfp4", LINEAR),
    check("err-fp8", "err-fp8", LINEAR),
];

/// The folder `fixtures/golden`.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden")
}

impl Golden {
    /// Reads `fixtures/golden/<name>.json`.
    pub(crate) fn read(name: &str) -> Self {
        let path = folder().join(name).with_extension("json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let golden: Self = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for (name, values) in &golden.columns {
            assert_eq!(values.len(), golden.cells.len(), "golden column {name} is not parallel to the cells");
        }
        golden
    }

    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    fn id(&self, at: usize) -> CellId {
        let cell = &self.cells[at];
        CellId { layer: cell.layer, component: cell.component, expert: None }
    }

    fn column(&self, name: &str) -> &[f64] {
        self.columns.get(name).unwrap_or_else(|| panic!("the golden file has no column {name}"))
    }

    /// Fails unless the map has exactly the golden cells in the golden shapes.
    pub(crate) fn assert_same_cells(&self, map: &Map) {
        let ours: Vec<_> = map.grid.cells.iter().map(|c| (c.id, c.out_features, c.in_features)).collect();
        let mut theirs: Vec<_> = (0..self.len()).map(|i| (self.id(i), self.cells[i].out, self.cells[i].r#in)).collect();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "cells or shapes differ from the golden file's");
    }
}

/// What came of one check.
pub(crate) struct Verdict {
    /// Worst relative deviation among cells that have no excuse; infinite when a score is missing.
    pub(crate) worst: f64,
    /// Where.
    cell: String,
    /// Cells beyond the tolerance, one line each.
    pub(crate) beyond: Vec<String>,
    /// Of these, how many are excused.
    excused: usize,
    /// Whether the metric passes.
    pub(crate) passes: bool,
}

/// Holds one metric of the map against its golden column.
pub(crate) fn hold(check: &Check, golden: &Golden, map: &Map) -> Verdict {
    let mut verdict = Verdict { worst: 0.0, cell: String::from("-"), beyond: Vec::new(), excused: 0, passes: false };
    for (at, &expected) in golden.column(check.column).iter().enumerate() {
        let id = golden.id(at);
        let score = map.score(check.metric, id).and_then(tomo_map::Score::value);
        // A missing score and a NaN both count as infinitely far off: no comparison below may be false because of NaN.
        let found = score.unwrap_or(f64::NAN);
        let deviation = (found - expected).abs() / (expected.abs() + check.offset);
        let deviation = match deviation {
            // 0 / 0: both are exactly zero.
            d if d.is_nan() && found == expected => 0.0,
            d if d.is_nan() => f64::INFINITY,
            d => d,
        };
        let beyond = deviation > check.tolerance;
        let (excused, why) = check.excuse.applies(golden, at);
        if beyond {
            verdict.beyond.push(format!("{id}: found {found}, expected {expected}, off by {deviation:.2e}{why}"));
            verdict.excused += usize::from(excused);
        }
        if !(beyond && excused) && deviation > verdict.worst {
            (verdict.worst, verdict.cell) = (deviation, id.to_string());
        }
    }
    let unexcused = verdict.beyond.len() - verdict.excused;
    verdict.passes = match check.excuse {
        Excuse::Share(share, _) => verdict.worst.is_finite() && unexcused as f64 <= share * golden.len() as f64,
        Excuse::Never | Excuse::AtThreshold(..) => unexcused == 0,
    };
    verdict
}

impl Excuse {
    /// Whether cell `at` may deviate, and what to print beside it.
    fn applies(self, golden: &Golden, at: usize) -> (bool, String) {
        match self {
            Self::Never => (false, String::new()),
            Self::AtThreshold(column, near) => {
                let margin = golden.column(column)[at];
                (margin < near, format!("; nearest singular value is {margin:.1e} from the threshold"))
            }
            Self::Share(_, column) => (false, format!("; runner-up tail fits {:.1e} worse", golden.column(column)[at])),
        }
    }
}

/// The verdicts as a table, with every cell beyond its tolerance below it.
pub(crate) fn table(verdicts: &[(&Check, Verdict)]) -> String {
    let mut text =
        format!("{:20} {:>10} {:>10}  {:16} {:>6} {:>7}\n", "metric", "worst", "allowed", "cell", "beyond", "excused");
    for (check, v) in verdicts {
        let mark = if v.passes { "" } else { "  FAILS" };
        text += &format!(
            "{:20} {:>10.2e} {:>10.0e}  {:16} {:>6} {:>7}{mark}\n",
            check.metric,
            v.worst,
            check.tolerance,
            v.cell,
            v.beyond.len(),
            v.excused,
        );
    }
    for (check, v) in verdicts {
        for line in v.beyond.iter().take(12) {
            text += &format!("{}: {line}\n", check.metric);
        }
    }
    text
}
