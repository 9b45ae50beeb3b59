//! What the measured costs of number formats share: their description.

use std::borrow::Cow;

use tomo_map::{Additivity, Direction, Meaning, MetricInfo, Scope};

use crate::{CausalEdit, Kind, Metric};

/// The registry entry of a `quant-kl-*`; `source` is the metric's own file, `format` the format's id.
pub(crate) const fn quant_kl(
    id: &'static str,
    title: &'static str,
    summary: &'static str,
    source: &'static str,
    format: &'static str,
) -> Metric {
    let info = MetricInfo {
        id: Cow::Borrowed(id),
        title: Cow::Borrowed(title),
        summary: Cow::Borrowed(summary),
        unit: Cow::Borrowed("nats per token"),
        family: Cow::Borrowed("causal"),
        meaning: Meaning::Fragile,
        direction: Direction::High,
        scope: Scope::Map,
        additivity: Additivity::Additive,
        middle: None,
        proxy: false,
        caveat: Cow::Borrowed("Of this cell alone, on this text; what cells do to each other is not in it."),
    };
    Metric { info, source, kind: Kind::Causal { edit: CausalEdit::Format { format } } }
}
