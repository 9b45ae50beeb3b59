//! From what the user typed to metrics.

use std::fmt;

use tomo_map::{Additivity, MetricInfo, Scope};

use crate::{Kind, METRICS, Metric};

/// The suffix of a metric's form relative to random matrices.
const NULL: &str = "@null";
/// How alike (Jaro-Winkler) a known name must be to an unknown one to be suggested.
const NEAR: f64 = 0.8;

/// A metric to compute: as it is, or relative to random matrices of the cell's shape.
#[derive(Clone, Copy)]
pub struct Selected {
    /// The registry's entry.
    pub metric: &'static Metric,
    /// Whether the `@null` form is meant: `(score - null) / null`.
    pub null: bool,
}

impl Selected {
    /// `stable-rank` or `stable-rank@null`.
    pub fn id(&self) -> String {
        format!("{}{}", self.metric.info.id, if self.null { NULL } else { "" })
    }

    /// Its description. Of an `@null` form: derived from the plain metric's, centred on 0, comparable over the whole map.
    pub fn info(&self) -> MetricInfo {
        let plain = self.metric.info.clone();
        if !self.null {
            return plain;
        }
        MetricInfo {
            id: self.id().into(),
            title: format!("{} relative to random", plain.title).into(),
            summary: format!("{}: difference from random matrices of the same shape and size, relative", plain.title)
                .into(),
            unit: "relative difference".into(),
            scope: Scope::Map,
            additivity: Additivity::Signed,
            middle: Some(0.0),
            ..plain
        }
    }
}

impl fmt::Debug for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

impl PartialEq for Selected {
    fn eq(&self, other: &Self) -> bool {
        self.null == other.null && self.metric.info.id == other.metric.info.id
    }
}

impl Eq for Selected {}

/// A name that is no metric, family or form of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownMetric {
    /// What was asked for.
    pub name: String,
    /// Known names like it, the most alike first.
    pub near: Vec<String>,
}

impl fmt::Display for UnknownMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown metric {:?}: ", self.name)?;
        match self.name.strip_suffix(NULL) {
            Some(plain) if !plain.is_empty() && names_of(plain).next().is_some() => {
                write!(f, "{plain:?} has no form relative to random matrices")
            }
            _ if self.near.is_empty() => f.write_str("expected ids or families, separated by commas, or `all`"),
            _ => write!(f, "did you mean {}?", self.near.join(" or ")),
        }
    }
}

impl std::error::Error for UnknownMetric {}

/// The metrics that `spec` names: a comma-separated list of ids, families (`weights`, `spectrum`, `error`) and `all` (every
/// metric as it is); each followed by `@null` for the forms relative to random matrices. The answer is in the registry's
/// order, a plain form before its `@null` form, each once.
///
/// # Errors
/// A name that stands for nothing, with the known names most like it.
pub fn select(spec: &str) -> Result<Vec<Selected>, UnknownMetric> {
    let mut chosen = Vec::new();
    for name in spec.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let (plain, null) = name.strip_suffix(NULL).map_or((name, false), |plain| (plain, true));
        let before = chosen.len();
        chosen.extend(names_of(plain).filter(|m| !null || has_null(m)).map(|metric| Selected { metric, null }));
        if chosen.len() == before {
            return Err(UnknownMetric { name: name.to_owned(), near: near_names(name, known_names()) });
        }
    }
    if chosen.is_empty() {
        return Err(UnknownMetric { name: spec.to_owned(), near: Vec::new() });
    }
    let forms = METRICS.iter().flat_map(|metric| [false, true].map(|null| Selected { metric, null }));
    Ok(forms.filter(|form| chosen.contains(form)).collect())
}

/// Metrics that a name without suffix stands for.
fn names_of(name: &str) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().copied().filter(move |m| name == "all" || m.info.id == name || m.info.family == name)
}

fn has_null(metric: &Metric) -> bool {
    let Kind::Weights { null, .. } = metric.kind;
    null.is_some()
}

/// What can be selected.
fn known_names() -> impl Iterator<Item = String> {
    let ids = METRICS.iter().map(|m| m.info.id.to_string());
    let nulls = METRICS.iter().filter(|m| has_null(m)).map(|m| format!("{}{NULL}", m.info.id));
    let families = METRICS.iter().map(|m| m.info.family.to_string());
    ids.chain(nulls).chain(families)
}

/// Up to three of the `known` names that are most like `name`, for "did you mean"; none if none is close.
pub fn near_names(name: &str, known: impl Iterator<Item = String>) -> Vec<String> {
    let mut alike: Vec<(f64, String)> = known
        .map(|known| (strsim::jaro_winkler(name, &known), known))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    alike.dedup_by(|a, b| a.1 == b.1);
    alike.into_iter().take(3).map(|(_, known)| known).collect()
}
