//! What the metrics of number formats share: their descriptions.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{GradientFormula, Kind, Metric};

/// The registry entry of a `quant-taylor-*`; `source` is the metric's own file, `format` the format's id.
pub(crate) const fn quant_taylor(
    id: &'static str,
    title: &'static str,
    summary: &'static str,
    source: &'static str,
    format: &'static str,
) -> Metric {
    let info = info(
        id,
        title,
        summary,
        "(nats per token)^2",
        "It ranks cells; it is not nats. Errors of output entries are taken as independent.",
    );
    Metric { info, source, kind: Kind::Gradients { formula: GradientFormula::OutputError { format } } }
}

/// The registry entry of a `predicted-kl-*`.
pub(crate) const fn predicted_kl(
    id: &'static str,
    title: &'static str,
    summary: &'static str,
    source: &'static str,
    format: &'static str,
) -> Metric {
    let info = info(
        id,
        title,
        summary,
        "nats per token",
        "Predicted to second order, of this cell alone; not measured. Noise falls with the draws.",
    );
    Metric { info, source, kind: Kind::Gradients { formula: GradientFormula::PredictedKl { format } } }
}

const fn info(
    id: &'static str,
    title: &'static str,
    summary: &'static str,
    unit: &'static str,
    caveat: &'static str,
) -> MetricInfo {
    MetricInfo {
        id: Cow::Borrowed(id),
        title: Cow::Borrowed(title),
        summary: Cow::Borrowed(summary),
        unit: Cow::Borrowed(unit),
        family: Cow::Borrowed("gradients"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Additive,
        middle: None,
        proxy: true,
        caveat: Cow::Borrowed(caveat),
    }
}
