//! From what the user typed to metrics.

use std::borrow::Cow;
use std::fmt;

use tomo_map::{Additivity, MetricInfo, Scope, near_names};

use crate::{BY_FORMAT, CausalEdit, Kind, METRICS, Metric};

/// Which form of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Form {
    /// The metric as it is.
    Plain,
    /// `@null`: relative to random matrices of the cell's shape, `(score - null) / null`.
    Null,
    /// `@x`: weighted by the mean square of each input column.
    Weighted,
}

impl Form {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Null, Self::Weighted];

    /// What follows the metric's id.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Null => "@null",
            Self::Weighted => "@x",
        }
    }

    /// The form that the end of `name` asks for, and what is before it.
    fn of_name(name: &str) -> (&str, Self) {
        let stripped = |form: Self| name.strip_suffix(form.suffix()).map(|plain| (plain, form));
        stripped(Self::Null).or_else(|| stripped(Self::Weighted)).unwrap_or((name, Self::Plain))
    }
}

impl Metric {
    /// Whether the metric has a form.
    pub fn has(&self, form: Form) -> bool {
        match form {
            Form::Plain => true,
            Form::Null => matches!(self.kind, Kind::Weights { null: Some(_), .. }),
            Form::Weighted => matches!(self.kind, Kind::Error { .. }),
        }
    }
}

/// A metric to compute, in one of its forms.
#[derive(Clone, Copy)]
pub struct Selected {
    /// The registry's entry.
    pub metric: &'static Metric,
    /// Which form of it.
    pub form: Form,
}

impl Selected {
    /// `stable-rank`, `stable-rank@null`, `err-int4@x`.
    pub fn id(&self) -> String {
        format!("{}{}", self.metric.info.id, self.form.suffix())
    }

    /// Whether it takes a pass over a text (or an imatrix); if not, the weights are enough.
    pub fn reads_activations(&self) -> bool {
        self.form == Form::Weighted || matches!(self.metric.kind, Kind::Activations { .. })
    }

    /// Whether it takes a reverse pass over a text.
    pub fn reads_gradients(&self) -> bool {
        matches!(self.metric.kind, Kind::Gradients { .. })
    }

    /// Whether it takes passes of changed models over a text.
    pub fn is_causal(&self) -> bool {
        matches!(self.metric.kind, Kind::Causal { .. })
    }

    /// Whether it compares with another checkpoint.
    pub fn reads_base(&self) -> bool {
        matches!(self.metric.kind, Kind::Delta { .. })
    }

    /// Whether it puts cells of another checkpoint into the model.
    pub fn patches(&self) -> bool {
        matches!(self.metric.kind, Kind::Causal { edit: CausalEdit::Patch })
    }

    /// Whether the weights alone are not enough.
    pub fn reads_text(&self) -> bool {
        self.reads_activations() || self.reads_gradients() || self.is_causal()
    }

    /// Its description. Of an `@null` form: derived from the plain metric's, centred on 0, comparable over the whole map.
    pub fn info(&self) -> MetricInfo {
        let plain = self.metric.info.clone();
        match self.form {
            Form::Plain => plain,
            Form::Null => MetricInfo {
                id: self.id().into(),
                title: format!("{} relative to random", plain.title).into(),
                summary: format!(
                    "{}: difference from random matrices of the same shape and size, relative",
                    plain.title
                )
                .into(),
                unit: "relative difference".into(),
                scope: Scope::Map,
                additivity: Additivity::Signed,
                middle: Some(0.0),
                ..plain
            },
            Form::Weighted => MetricInfo {
                id: self.id().into(),
                title: format!("{} on the text", plain.title).into(),
                summary: weighted_summary(&plain),
                caveat: "The error of the cell's own output if inputs were uncorrelated, not the damage to the model."
                    .into(),
                ..plain
            },
        }
    }
}

fn weighted_summary(plain: &MetricInfo) -> Cow<'static, str> {
    let summary = plain.summary.trim_end_matches('.');
    format!("{summary}; each input column counts by its mean square on the text.").into()
}

impl fmt::Debug for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

impl PartialEq for Selected {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form && self.metric.info.id == other.metric.info.id
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
        let (plain, form) = Form::of_name(&self.name);
        let is_known = !plain.is_empty() && names_of(plain).next().is_some();
        match form {
            Form::Null if is_known => write!(f, "{plain:?} has no form relative to random matrices"),
            Form::Weighted if is_known => {
                write!(f, "{plain:?} has no form weighted by activations; the err-* metrics do")
            }
            _ if self.near.is_empty() => f.write_str("expected ids or families, separated by commas, or `all`"),
            _ => write!(f, "did you mean {}?", self.near.join(" or ")),
        }
    }
}

impl std::error::Error for UnknownMetric {}

/// The metrics that `spec` names: a comma-separated list of ids, families (`weights`, `spectrum`, `error`, `delta`,
/// `activations`, `gradients`, `causal`) and `all`.
///
/// `all` is every metric as it is that needs the weights alone; what training changed is `delta` (a second checkpoint); what
/// the text says is `activations` (a forward pass) and `gradients` (a reverse pass; one more for `ig`, and one for each draw
/// of `predicted-kl-*`), so everything that takes no more than a few passes is `all,activations,error@x,gradients`. `causal`
/// runs a changed model for every cell; it is best asked for by id. A family is all of its metrics, but for those of number
/// formats that are asked for by id alone ([`BY_FORMAT`](crate::BY_FORMAT): `quant-kl-q6_k`). A name followed by
/// `@null` means the forms relative to random matrices, one followed by `@x`
/// the quantization errors weighted by activations (`err-int4@x`, `error@x`). The answer is in the registry's order, a
/// plain form before the others, each once.
///
/// # Errors
/// A name that stands for nothing, with the known names most like it.
pub fn select(spec: &str) -> Result<Vec<Selected>, UnknownMetric> {
    let mut chosen = Vec::new();
    for name in spec.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let (plain, form) = Form::of_name(name);
        let before = chosen.len();
        chosen.extend(names_of(plain).filter(|m| m.has(form)).map(|metric| Selected { metric, form }));
        if chosen.len() == before {
            return Err(UnknownMetric { name: name.to_owned(), near: near_names(name, known_names()) });
        }
    }
    if chosen.is_empty() {
        return Err(UnknownMetric { name: spec.to_owned(), near: Vec::new() });
    }
    Ok(every_form().filter(|form| chosen.contains(form)).collect())
}

/// `chosen` with the metrics without which one of them would mislead: `delta-relative` brings the two parts it is made of.
pub fn with_companions(mut chosen: Vec<Selected>) -> Vec<Selected> {
    if chosen.iter().any(|s| s.metric.info.id == "delta-relative") {
        for metric in
            METRICS.iter().copied().filter(|m| ["delta-scale", "delta-direction"].contains(&m.info.id.as_ref()))
        {
            let companion = Selected { metric, form: Form::Plain };
            if !chosen.contains(&companion) {
                chosen.push(companion);
            }
        }
        let order: Vec<Selected> = every_form().collect();
        chosen.sort_by_key(|s| order.iter().position(|form| form == s));
    }
    chosen
}

/// Metrics that a name without suffix stands for.
fn names_of(name: &str) -> impl Iterator<Item = &'static Metric> {
    let weights_alone = |m: &Metric| matches!(m.kind, Kind::Weights { .. } | Kind::Error { .. });
    let means = move |m: &Metric| (name == "all" && weights_alone(m)) || m.info.id == name || m.info.family == name;
    let by_format = BY_FORMAT.iter().filter(move |m| m.info.id == name);
    METRICS.iter().copied().filter(move |m| means(m)).chain(by_format)
}

/// Every metric in every form, whether it has it or not, in the order of tables.
fn every_form() -> impl Iterator<Item = Selected> {
    let metrics = METRICS.iter().copied().chain(BY_FORMAT.iter());
    metrics.flat_map(|metric| Form::ALL.map(|form| Selected { metric, form }))
}

/// What can be selected.
fn known_names() -> impl Iterator<Item = String> {
    let ids = every_form().filter(|form| form.metric.has(form.form)).map(|form| form.id());
    let families = METRICS.iter().map(|m| m.info.family.to_string());
    ids.chain(families)
}
