use tomo_map::{Component, Direction};

use crate::colour::{Palette, Ramp, Rgb, Scale, Span};
use crate::view::View;
use crate::{escape, number};

/// Where layer 0 is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Origin {
    /// At the bottom, as the residual stream is usually drawn flowing upwards.
    #[default]
    Bottom,
    /// At the top, as tables are read.
    Top,
}

impl Origin {
    /// The word on the command line.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Bottom => "bottom",
            Self::Top => "top",
        }
    }
}

/// What a reader may choose about a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Style {
    /// Where layer 0 is.
    pub origin: Origin,
    /// The colours.
    pub palette: Palette,
    /// What the colours span.
    pub span: Span,
}

/// A picture with everything decided but its measures: what is drawn, in which order, in which colour, in which words.
///
/// Every text in it is clean (see [`crate::escape::plain`]) and is not yet escaped for any format.
#[derive(Clone, PartialEq, Debug)]
pub struct Scene {
    /// Metric and unit.
    pub title: String,
    /// Model, size of the map, normalisation, text.
    pub subtitle: Vec<String>,
    /// Name of the vertical axis.
    pub row_axis: String,
    /// Name of the horizontal axis.
    pub column_axis: String,
    /// Labels of the columns, left to right.
    pub columns: Vec<String>,
    /// Layer of each row, from the top of the picture to its bottom.
    pub rows: Vec<u32>,
    /// Which rows are labelled, as indices into `rows`.
    pub ticks: Vec<usize>,
    /// Cells, row by row from the top, left to right.
    pub cells: Vec<Cell>,
    /// The colour bar; `None` when no cell has a value.
    pub bar: Option<Bar>,
    /// What hatched cells are; `None` when there are none.
    pub missing: Option<String>,
    /// What the reader must know, most important first.
    pub notes: Vec<String>,
}

/// One cell of a scene.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// The number, if there is one.
    pub value: Option<f64>,
    /// Its colour; `None` means hatched.
    pub colour: Option<Rgb>,
    /// Step of the colour table, for outputs that carry the table.
    pub step: Option<usize>,
}

/// The colour bar.
#[derive(Clone, PartialEq, Debug)]
pub struct Bar {
    /// Number to colour.
    pub scale: Scale,
    /// Colours from the low end to the high end, evenly spaced in value.
    pub colours: Vec<Rgb>,
    /// Numbers at the bar: position from 0 (low end) to 1 (high end), and label.
    pub ticks: Vec<(f64, String)>,
    /// Position and meaning of the white, e.g. "white = median 0.141".
    pub middle: Option<(f64, String)>,
    /// Metric and unit.
    pub label: String,
}

/// Colours in which a bar is drawn.
const BAR_COLOURS: usize = 96;

impl Scene {
    /// Lays out `view`.
    pub fn from_view(view: &View, style: Style) -> Self {
        let values: Vec<f64> = view.values().collect();
        let scale = Scale::from_values(&values, view.normalisation.middle, style.palette, style.span);
        let table = scale.as_ref().map(|s| s.ramp.table()).unwrap_or_default();
        let mut rows: Vec<u32> = (0..view.layers).collect();
        if style.origin == Origin::Bottom {
            rows.reverse();
        }
        let cells = rows.iter().flat_map(|layer| Component::ALL.map(|c| (*layer, c)));
        let cells = cells.map(|(layer, c)| {
            let value = view.entry(layer, c).and_then(|e| e.value.as_ref().ok().copied());
            let step = value.and_then(|v| Some(scale.as_ref()?.step(v)));
            Cell { value, step, colour: step.and_then(|s| table.get(s).copied()) }
        });
        let cells = cells.collect();
        Self {
            title: title(view),
            subtitle: subtitle(view),
            row_axis: "layer".into(),
            column_axis: "component".into(),
            columns: Component::ALL.map(Component::label).to_vec(),
            ticks: ticks(&rows),
            rows,
            cells,
            bar: scale.map(|s| bar(view, s, &table)),
            missing: missing(view),
            notes: notes(view, style),
        }
    }

    /// The cell of a row (counted from the top) and column.
    pub fn cell(&self, row: usize, column: usize) -> Option<&Cell> {
        self.cells.get(row * self.columns.len() + column)
    }
}

fn unit_of(view: &View) -> String {
    escape::plain(&view.normalisation.unit, 60)
}

fn title(view: &View) -> String {
    format!("{} ({})", escape::plain(&view.metric.title, 80), unit_of(view))
}

fn subtitle(view: &View) -> Vec<String> {
    let p = &view.provenance;
    let matrices: u64 = view.entries.iter().map(|e| u64::from(e.matrices)).sum();
    let cells = view.entries.iter().filter(|e| e.matrices > 0).count();
    let mut size = format!("{} layers x {} components, {cells} cells", view.layers, Component::ALL.len());
    if matrices > cells as u64 {
        size.push_str(&format!(" of {matrices} matrices"));
    }
    let mut lines = vec![join(&[view.model_name(), escape::plain(&p.family, 40), size])];
    let tokens = p.tokens.map_or_else(String::new, |t| format!("{t} tokens"));
    let interval = if view.entries.iter().any(|e| e.interval.is_some()) { "95 % intervals in the data" } else { "" };
    lines.push(join(&[escape::plain(&view.normalisation.words, 160), tokens, interval.into()]));
    lines
}

fn join(parts: &[String]) -> String {
    parts.iter().filter(|p| !p.is_empty()).cloned().collect::<Vec<_>>().join(" · ")
}

/// Every layer up to 8; above that every 3rd or 4th (whichever meets the last one better) and the last.
fn ticks(rows: &[u32]) -> Vec<usize> {
    let Some(last) = rows.iter().max().copied() else { return Vec::new() };
    let step = match last {
        0..8 => 1,
        _ if last % 3 == 0 => 3,
        _ if last % 4 == 0 => 4,
        _ if last % 3 == 2 => 3,
        _ => 4,
    };
    // A tick right beside the last one would be printed over it.
    let labelled = |layer: u32| layer == last || (layer % step == 0 && (last - layer) * 2 >= step);
    (0..rows.len()).filter(|i| labelled(rows[*i])).collect()
}

fn bar(view: &View, scale: Scale, table: &[Rgb]) -> Bar {
    let (low, high) = (scale.low, scale.high);
    let at = |v: f64| if high > low { (v - low) / (high - low) } else { 0.5 };
    let colours = (0..BAR_COLOURS).map(|i| low + (high - low) * i as f64 / (BAR_COLOURS - 1) as f64);
    let colours = colours.filter_map(|v| table.get(scale.step(v)).copied()).collect();
    let mut ticks: Vec<(f64, String)> = number::ticks(low, high, 5).into_iter().map(|(v, l)| (at(v), l)).collect();
    // Beyond the ends of a clipped bar there are more numbers, and its ends must say so.
    if let (true, Some(first)) = (scale.below > 0, ticks.first_mut().filter(|t| t.0 < 0.02)) {
        first.1.insert(0, '≤');
    }
    if let (true, Some(last)) = (scale.above > 0, ticks.last_mut().filter(|t| t.0 > 0.98)) {
        last.1.insert(0, '≥');
    }
    let middle = scale.middle.map(|m| {
        let what = if view.normalisation.middle.is_some() { "the natural middle" } else { "the median" };
        (at(m), format!("white = {what}, {}", number::significant(m, 3)))
    });
    Bar { colours, ticks, middle, label: title(view), scale }
}

fn missing(view: &View) -> Option<String> {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for entry in &view.entries {
        let Err(reason) = &entry.value else { continue };
        match reasons.iter_mut().find(|r| r.0 == reason) {
            Some(known) => known.1 += 1,
            None => reasons.push((reason, 1)),
        }
    }
    let all: usize = reasons.iter().map(|r| r.1).sum();
    let (why, of_them) = reasons.iter().max_by_key(|r| r.1)?;
    let rest =
        if reasons.len() > 1 { format!(" ({of_them} of them; other reasons in the table)") } else { String::new() };
    Some(format!("no value, {} cell{}: {}{rest}", all, if all == 1 { "" } else { "s" }, escape::plain(why, 160)))
}

fn notes(view: &View, style: Style) -> Vec<String> {
    let m = &view.metric;
    let mut notes = vec![sentence(&escape::plain(&m.summary, 400))];
    let way = match m.direction {
        Direction::High => "High marks the important cell.",
        Direction::Low => "Low marks the important cell.",
        Direction::Neutral => "It describes; neither end marks importance.",
    };
    if let Some(first) = notes.first_mut() {
        *first = format!("{first} {way}").trim().to_owned();
    }
    if m.proxy {
        notes.push("A proxy: it stands in for damage that was not measured.".into());
    }
    if !m.caveat.is_empty() {
        notes.push(format!("Caveat: {}", sentence(&escape::plain(&m.caveat, 400))));
    }
    if !view.normalisation.across_columns {
        notes.push("Compare cells within one column only: the number depends on the shape of the matrix.".into());
    }
    let values: Vec<f64> = view.values().collect();
    if let Some(s) = Scale::from_values(&values, view.normalisation.middle, style.palette, style.span) {
        notes.push(colours_in_words(view, &s, &values));
    }
    if view.entries.iter().any(|e| e.matrices > 1) {
        notes.push("Experts: a cell shows the mean over its experts; the table has one row per expert.".into());
    }
    notes.extend(view.notes.iter().map(|n| escape::plain(n, 400)));
    notes.push(provenance_in_words(view));
    notes
}

fn colours_in_words(view: &View, scale: &Scale, values: &[f64]) -> String {
    let (lowest, highest) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    let n = |v| number::significant(v, 4);
    let mut words = if scale.below + scale.above > 0 {
        format!(
            "Colours span the 2nd to 98th percentile, {} to {}; {} cells beyond are drawn in the end colours (extremes {} and {}).",
            n(scale.low),
            n(scale.high),
            scale.below + scale.above,
            n(lowest),
            n(highest)
        )
    } else {
        format!("Colours span all numbers, {} to {}.", n(lowest), n(highest))
    };
    match (scale.ramp, scale.middle) {
        (Ramp::Diverging, Some(m)) if view.normalisation.middle.is_some() => {
            words.push_str(&format!(" White is {}, the natural middle.", n(m)));
        }
        (Ramp::Diverging, Some(m)) => words.push_str(&format!(" White is the median, {}.", n(m))),
        _ => {}
    }
    words
}

fn provenance_in_words(view: &View) -> String {
    let p = &view.provenance;
    let digest = escape::plain(&p.model_digest, 200);
    // Digests may be written `algorithm:hex`; a short stretch of the hex tells models apart in print.
    let digest: String = digest.rsplit(':').next().unwrap_or_default().chars().take(12).collect();
    let digest = if digest.is_empty() { String::new() } else { format!("model digest {digest}") };
    let group = p.group.map_or_else(String::new, |g| format!("group {g}"));
    join(&[digest, format!("seed {}", p.seed), group, format!("tomograph {}", escape::plain(&p.version, 40))])
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_have_the_first_and_the_last_layer_and_steps_of_three_or_four() {
        for layers in 1..200u32 {
            let rows: Vec<u32> = (0..layers).rev().collect();
            let at: Vec<u32> = ticks(&rows).into_iter().map(|i| rows[i]).rev().collect();
            assert_eq!((at.first(), at.last()), (Some(&0), Some(&(layers - 1))));
            let gaps: Vec<u32> = at.windows(2).map(|w| w[1] - w[0]).collect();
            let (inner, last) = gaps.split_at(gaps.len().saturating_sub(1));
            if layers > 8 {
                assert!(inner.iter().all(|g| (3..=4).contains(g)), "{layers}: {at:?}");
                assert!(last.iter().all(|g| (2..=5).contains(g)), "{layers}: {at:?}");
            }
        }
    }
}
