//! The metrics of number formats, for every format there is.
//!
//! The usual formats have their own files in the catalogue and are part of families. All others (every type of GGUF, integers of 5 to 8
//! bits, symmetric ones) have the same four metrics, made here of the catalogue's entries for int4; they are asked for by id.

use std::sync::LazyLock;

use tomo_map::MetricInfo;
use tomo_quant::{FORMATS, Format};

use crate::{CausalEdit, GradientFormula, Kind, METRICS, Metric};

/// One of the four metrics that every number format has.
struct Pattern {
    /// What stands before the format's id.
    prefix: &'static str,
    /// What stands before its title.
    title: &'static str,
    /// Whether the title stands before.
    title_first: bool,
    /// One sentence; `{}` stands for the format's title.
    summary: &'static str,
    /// The manual.
    source: &'static str,
    kind: fn(&'static str) -> Kind,
}

/// The catalogue's entry that descriptions are taken from.
const LIKE: &str = "int4";

static PATTERNS: [Pattern; 4] = [
    Pattern {
        prefix: "err-",
        title: " error",
        title_first: true,
        summary: "Relative error of the weights stored as {}.",
        source: include_str!("err.rs"),
        kind: |format| Kind::Error { format },
    },
    Pattern {
        prefix: "quant-taylor-",
        title: "Quantization Taylor ",
        title_first: false,
        summary: "Gradient times the error in the cell's output when it is stored as {}, squared and summed.",
        source: include_str!("quant_taylor.rs"),
        kind: |format| Kind::Gradients { formula: GradientFormula::OutputError { format } },
    },
    Pattern {
        prefix: "predicted-kl-",
        title: "Predicted KL ",
        title_first: false,
        summary: "Divergence from the model's own predictions if the cell is stored as {}, predicted to second order.",
        source: include_str!("predicted_kl.rs"),
        kind: |format| Kind::Gradients { formula: GradientFormula::PredictedKl { format } },
    },
    Pattern {
        prefix: "quant-kl-",
        title: "Quantization KL ",
        title_first: false,
        summary: "Divergence from the model's own predictions when the cell is stored as {}, measured.",
        source: include_str!("quant_kl.rs"),
        kind: |format| Kind::Causal { edit: CausalEdit::Format { format } },
    },
];

/// The metrics of formats that have no file in the catalogue, in the order of formats.
pub static BY_FORMAT: LazyLock<Vec<Metric>> = LazyLock::new(|| {
    let of = |pattern: &'static Pattern| FORMATS.iter().filter_map(|format| pattern.of(format));
    PATTERNS.iter().flat_map(of).collect()
});

impl Pattern {
    /// The metric of a format; `None` where the catalogue has it.
    fn of(&self, format: &'static Format) -> Option<Metric> {
        let id = format!("{}{}", self.prefix, format.id);
        let like = format!("{}{LIKE}", self.prefix);
        let like = METRICS.iter().find(|metric| metric.info.id == like)?;
        if METRICS.iter().any(|metric| metric.info.id == id) {
            return None;
        }
        let title = match self.title_first {
            true => format!("{}{}", format.title, self.title),
            false => format!("{}{}", self.title, format.title),
        };
        let info = MetricInfo {
            id: id.into(),
            title: title.into(),
            summary: self.summary.replace("{}", format.title).into(),
            ..like.info.clone()
        };
        Some(Metric { info, source: self.source, kind: (self.kind)(format.id) })
    }
}
