//! The sentences in and around a picture. Everything from a map is cleaned on its way in.

use tomo_map::{Direction, MetricInfo, Place, Sides, View};

use crate::colour::Scale;
use crate::picture::{Picture, model_name};
use crate::{escape, number};

/// Longest sentence taken from a map.
const SENTENCE: usize = 400;

/// Metric and unit.
pub(crate) fn title(view: &View) -> String {
    format!("{} ({})", escape::plain(&view.info.title, 80), escape::plain(&view.unit, 60))
}

/// Model and size of the map; normalisation, text and interval.
pub(crate) fn subtitle(picture: &Picture<'_>) -> Vec<String> {
    let (view, p) = (picture.view, picture.provenance());
    let places = view.iter().filter(|(layer, c, _)| !picture.matrices(*layer, *c).is_empty()).count();
    let matrices = picture.map.grid.cells.len();
    let columns = view.components().len();
    let mut size = format!("{} layers × {columns} components, {places} cells", view.layers);
    if matrices > places {
        size.push_str(&format!(" of {matrices} matrices"));
    }
    // Scores of weights alone owe nothing to the text that other metrics of the map were measured on.
    let reads_text =
        ["activations", "gradients", "causal"].contains(&view.info.family.as_ref()) || view.info.id.ends_with("@x");
    let text = match (&p.text, p.tokens) {
        _ if view.info.family == "delta" => {
            p.against.as_ref().map_or_else(String::new, |base| format!("against: {}", escape::plain(&base.model, 120)))
        }
        (Some(text), _) if reads_text => format!("text: {}", escape::plain(text, 120)),
        (None, Some(tokens)) => format!("{tokens} tokens of text"),
        _ => String::new(),
    };
    let measured = view.iter().any(|(_, _, place)| place.reading().is_some_and(|r| r.interval.is_some()));
    let interval = if measured { "95 % intervals in the table" } else { "" };
    let normalisation = format!("shown: {}", escape::plain(view.normalisation_title, 160));
    vec![joined(&[&model_name(p), &escape::plain(&p.family, 40), &size]), joined(&[&normalisation, &text, interval])]
}

fn joined(parts: &[&str]) -> String {
    parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(" · ")
}

/// Why cells are hatched; `None` if none is.
pub(crate) fn missing(view: &View) -> Option<String> {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for (_, _, place) in view.iter() {
        let Place::Missing { reason, .. } = place else { continue };
        match reasons.iter_mut().find(|r| r.0 == reason) {
            Some(known) => known.1 += 1,
            None => reasons.push((reason, 1)),
        }
    }
    reasons.sort_by_key(|r| std::cmp::Reverse(r.1));
    let cells = |n: usize| if n == 1 { "1 cell".to_owned() } else { format!("{n} cells") };
    let mut named: Vec<String> =
        reasons.iter().take(3).map(|(why, n)| format!("{} ({})", escape::plain(why, 160), cells(*n))).collect();
    let rest: usize = reasons.iter().skip(3).map(|r| r.1).sum();
    if rest > 0 {
        named.push(format!("other reasons ({})", cells(rest)));
    }
    (!named.is_empty()).then(|| format!("no value: {}", named.join("; ")))
}

/// What the reader must know, most important first.
pub(crate) fn notes(picture: &Picture<'_>) -> Vec<String> {
    let (view, m) = (picture.view, &picture.view.info);
    let mut notes = vec![joined_sentences(&[&m.summary, reading_direction(m)])];
    if m.proxy {
        notes.push("A proxy: it stands in for damage that was not measured.".into());
    }
    if !m.caveat.is_empty() {
        notes.push(format!("Caveat: {}", sentence(&m.caveat)));
    }
    notes.extend(view.notes.iter().map(|n| capitalised(&sentence(n))));
    notes.extend(picture.map.sides.as_deref().map(unlike));
    notes.retain(|n| !n.is_empty());
    notes
}

/// In what the two maps of a difference are not alike.
fn unlike(sides: &Sides) -> String {
    const MOST: usize = 4;
    let unlike = sides.unlike();
    let shown = |text: &str| if text.is_empty() { "none".to_owned() } else { escape::plain(text, 60) };
    let named = unlike.iter().filter(|u| !u.what.contains("digest")).take(MOST);
    let named: Vec<String> =
        named.map(|u| format!("{} {} and {}", u.what, shown(&u.first), shown(&u.second))).collect();
    match (named.is_empty(), unlike.is_empty()) {
        (_, true) => "Both maps are of the same model, text, options and version.".to_owned(),
        (true, false) => "Both maps go by the same names, but their digests differ.".to_owned(),
        (false, false) => format!("First and second: {}.", named.join("; ")),
    }
}

fn reading_direction(info: &MetricInfo) -> &'static str {
    match info.direction {
        Direction::High => "High marks the important cell",
        Direction::Low => "Low marks the important cell",
        Direction::Neutral => "It describes; neither end marks importance",
    }
}

/// What the colours span, how many numbers lie beyond, and what white is.
pub(crate) fn colours(view: &View, scale: &Scale) -> String {
    let (lowest, highest) = view.extent().unwrap_or_default();
    let n = number::short;
    let beyond = scale.below + scale.above;
    let mut words = if beyond > 0 {
        let cells = if beyond == 1 { "1 cell beyond has".into() } else { format!("{beyond} cells beyond have") };
        format!(
            "Colours span {} to {}; {cells} the end colours, being outside the 2nd to 98th percentile (all numbers: {} to {}).",
            n(scale.low),
            n(scale.high),
            n(lowest),
            n(highest)
        )
    } else {
        format!("Colours span all numbers, {} to {}.", n(lowest), n(highest))
    };
    if let Some(middle) = scale.middle {
        if scale.natural {
            words.push_str(&format!(" White is the natural middle, {}.", n(middle)));
        } else {
            words.push_str(&format!(" White is the median, {}; each side spans its own range.", n(middle)));
        }
    }
    words
}

/// What it takes to know this model and scan again.
pub(crate) fn provenance(picture: &Picture<'_>) -> String {
    let p = picture.provenance();
    let digest = escape::plain(&p.model_digest, 200);
    // Digests may be written `algorithm:hex`; a short stretch of the hex tells models apart in print.
    let digest: String = digest.rsplit(':').next().unwrap_or_default().chars().take(12).collect();
    let digest = if digest.is_empty() { String::new() } else { format!("model digest {digest}") };
    let group = p.group.map_or_else(String::new, |g| format!("group size {g}"));
    let version =
        if p.version.is_empty() { String::new() } else { format!("tomograph {}", escape::plain(&p.version, 40)) };
    joined(&[&digest, &group, &format!("seed {}", p.seed), &version])
}

fn joined_sentences(parts: &[&str]) -> String {
    parts.iter().map(|p| sentence(p)).filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
}

fn sentence(text: &str) -> String {
    let text = escape::plain(text.trim(), SENTENCE);
    if text.is_empty() || text.ends_with(['.', '!', '?', '…']) { text } else { format!("{text}.") }
}

/// The same text with a capital first letter.
pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
