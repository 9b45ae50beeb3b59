//! `html`: one self-contained page with every metric of the map, to explore and to send around.
//!
//! Works offline and from `file://`: style, script, numbers and the written report are inside, nothing is fetched, and the
//! page's own policy forbids it to. Choose metric and normalisation; hover or walk with the arrow keys for a cell's value,
//! rank, shape and type; click a column or a layer for its profile. Every view is also a table that screen readers can read.
//! Follows the system's dark mode and prints the view that is open.

mod data;
mod markdown;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tomo_map::Map;

use super::{Format, Options, Writer};
use crate::picture::model_name;
use crate::{RenderError, escape, report};

pub(super) static FORMAT: Format = Format {
    id: "html",
    extensions: &["html", "htm"],
    summary: "one page with every metric, to explore offline",
    source: include_str!("mod.rs"),
    writer: Writer::Document(write),
};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

fn write(map: &Map, options: &Options) -> Result<Vec<u8>, RenderError> {
    let data = data::from_map(map, options.style)?;
    let json = serde_json::to_string(&data).map_err(|e| RenderError::library("writing the page's data", e))?;
    let name = model_name(&map.provenance);
    // The first column that exists is as good as any for the one line that describes the map's size.
    let subtitle = format!(
        "{} · {} layers · {} matrices · {} metrics",
        escape::plain(&map.provenance.family, 40),
        map.grid.layers,
        map.grid.cells.len(),
        map.columns.len()
    );
    let fill = |slot: &str| match slot {
        "policy" => policy(),
        "generator" => escape::xml(&format!("tomograph {}", escape::plain(&map.provenance.version, 40))),
        "title" => escape::xml(&format!("Map of {name}")),
        "subtitle" => escape::xml(&subtitle),
        "style" => STYLE.to_owned(),
        "report" => markdown::to_html(&report::markdown(map)),
        "data" => escape::script_json(&json),
        "script" => SCRIPT.to_owned(),
        _ => String::new(),
    };
    Ok(filled(PAGE, fill).into_bytes())
}

/// `template` with each `{{slot}}` replaced; what is put in is not searched for slots again.
fn filled(template: &str, fill: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((slot, after)) = after.split_once("}}") else { break };
        out.push_str(before);
        out.push_str(&fill(slot));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Only our own style and script may act, known by their digests; nothing may be fetched from anywhere.
fn policy() -> String {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(SCRIPT),
        digest(STYLE)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_filled_once() {
        let fill = |s: &str| if s == "a" { "{{b}}".to_owned() } else { format!("<{s}>") };
        assert_eq!(filled("1 {{a}} 2 {{b}} 3", fill), "1 {{b}} 2 <b> 3");
        assert_eq!(filled("no {{ end", |_| String::new()), "no {{ end");
    }

    #[test]
    fn style_and_script_cannot_end_their_elements_early() {
        for source in [STYLE, SCRIPT] {
            assert!(!source.contains("</") && !source.contains("<!--"), "would end or change the element it stands in");
        }
    }
}
