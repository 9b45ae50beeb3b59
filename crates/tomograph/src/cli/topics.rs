//! Everything a registry holds, in one shape: what `list` prints and `explain` tells of.

use serde_json::{Value, json};
use tomo_map::manual;
use tomo_metrics::Kind;

/// One entry of a registry.
pub(crate) struct Topic {
    /// What `--metric`, `--format`, … take.
    pub id: String,
    /// "metric", "family", …
    pub kind: &'static str,
    /// Heading under which lists show it.
    pub group: &'static str,
    /// One sentence.
    pub summary: String,
    /// The whole page.
    pub manual: String,
    /// What a program may want to know beside it.
    pub details: Value,
}

/// Every entry of every registry, metrics by format too.
pub(crate) fn all() -> Vec<Topic> {
    let by_format = tomo_metrics::BY_FORMAT.iter().map(of_metric).collect();
    let all = [metrics(), by_format, families(), outputs(), normalisations(), quantizations(), edits(), clients()];
    all.into_iter().flatten().collect()
}

/// The metrics, and which of them have an `@null` form.
pub(crate) fn metrics() -> Vec<Topic> {
    tomo_metrics::METRICS.iter().map(|metric| of_metric(metric)).collect()
}

fn of_metric(metric: &tomo_metrics::Metric) -> Topic {
    let info = &metric.info;
    let has_null = matches!(metric.kind, Kind::Weights { null: Some(_), .. });
    let null = format!(
        "\n\n# Null form\n{}@null is this score relative to random matrices of the same shape and spread: (score - null) / null.",
        info.id
    );
    Topic {
        id: info.id.to_string(),
        kind: "metric",
        group: group_of(&info.family),
        summary: info.summary.to_string(),
        manual: manual(metric.source) + if has_null { &null } else { "" },
        details: json!({
            "title": info.title, "unit": info.unit, "family": info.family, "meaning": info.meaning,
            "direction": info.direction, "scope": info.scope, "proxy": info.proxy, "caveat": info.caveat,
            "null_form": has_null.then(|| format!("{}@null", info.id)),
        }),
    }
}

fn group_of(family: &str) -> &'static str {
    match family {
        "weights" => "weights: statistics of the entries",
        "spectrum" => "spectrum: singular values (most also as ID@null)",
        "error" => "error: what a number format would do to the weights",
        "delta" => "delta: what training changed (with --against)",
        _ => "other",
    }
}

/// The families of models.
pub(crate) fn families() -> Vec<Topic> {
    let topic = |family: &&tomo_model::Family| Topic {
        id: family.id.to_owned(),
        kind: "family",
        group: "families",
        summary: family.title.to_owned(),
        manual: manual(family.source),
        details: json!({ "model_types": family.model_types, "gguf_architectures": family.gguf_architectures }),
    };
    tomo_model::FAMILIES.iter().map(topic).collect()
}

/// What a map can be drawn as.
pub(crate) fn outputs() -> Vec<Topic> {
    let topic = |format: &&tomo_render::Format| Topic {
        id: format.id.to_owned(),
        kind: "output format",
        group: "output formats",
        summary: format.summary.to_owned(),
        manual: manual(format.source),
        details: json!({ "extensions": format.extensions }),
    };
    tomo_render::FORMATS.iter().map(topic).collect()
}

/// Ways to make scores comparable.
pub(crate) fn normalisations() -> Vec<Topic> {
    let topic = |normalisation: &&tomo_map::Normalisation| Topic {
        id: normalisation.id.to_owned(),
        kind: "normalisation",
        group: "normalisations",
        summary: normalisation.summary.to_owned(),
        manual: format!("{}\n\n{}", normalisation.summary, manual(normalisation.file)),
        details: json!({}),
    };
    tomo_map::NORMALISATIONS.iter().map(topic).collect()
}

/// Number formats of quantized weights.
pub(crate) fn quantizations() -> Vec<Topic> {
    let topic = |format: &&tomo_quant::Format| Topic {
        id: format.id.to_owned(),
        kind: "number format",
        group: "number formats",
        summary: format.title.to_owned(),
        manual: manual(format.source),
        details: json!({}),
    };
    tomo_quant::FORMATS.iter().map(topic).collect()
}

/// What can be done to a cell.
pub(crate) fn edits() -> Vec<Topic> {
    let topic = |edit: &&tomo_model::change::EditKind| Topic {
        id: edit.id.to_owned(),
        kind: "edit",
        group: "edits, as in --change L12.mlp.down=EDIT",
        summary: format!("{}: {}", edit.usage, edit.summary),
        manual: manual(edit.source),
        details: json!({ "usage": edit.usage }),
    };
    tomo_model::change::EDITS.iter().map(topic).collect()
}

/// Programs that act on plans.
pub(crate) fn clients() -> Vec<Topic> {
    let topic = |client: &&tomo_plan::Client| Topic {
        id: client.id.to_owned(),
        kind: "client",
        group: "clients, as in tomograph plan MAP --for CLIENT",
        summary: client.title.to_owned(),
        manual: manual(client.source),
        details: json!({ "kinds": client.kinds, "types": client.types, "usual": client.usual }),
    };
    tomo_plan::CLIENTS.iter().map(topic).collect()
}

/// Ids like `asked`, best first.
pub(crate) fn near(asked: &str) -> Vec<String> {
    tomo_map::near_names(asked, all().into_iter().map(|topic| topic.id))
}
