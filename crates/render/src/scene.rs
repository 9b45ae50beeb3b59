use tomo_map::Component;

use crate::colour::{Palette, Rgb, Scale, Span};
use crate::{Picture, number, words};

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
    /// What the colours span; `None` when no cell has a value.
    pub colours: Option<String>,
    /// Digest, seed and version behind the numbers.
    pub provenance: String,
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
    /// Position of the white, for a diverging scale.
    pub middle: Option<f64>,
    /// Metric and unit.
    pub label: String,
}

/// Colours in which a bar is drawn.
const BAR_COLOURS: usize = 96;

impl Scene {
    /// Lays out a picture.
    pub fn from_picture(picture: &Picture<'_>, style: Style) -> Self {
        let view = picture.view;
        let values: Vec<f64> = view.values().map(|(_, _, v)| v).collect();
        let scale = Scale::from_values(&values, view.middle, style.palette, style.span);
        let table = scale.as_ref().map(|s| s.ramp.table()).unwrap_or_default();
        let mut rows: Vec<u32> = (0..view.layers).collect();
        if style.origin == Origin::Bottom {
            rows.reverse();
        }
        let cells = rows.iter().flat_map(|layer| Component::ALL.map(|c| (*layer, c)));
        let cells = cells.map(|(layer, c)| {
            let value = view.at(layer, c).and_then(tomo_map::Place::value);
            let step = value.and_then(|v| Some(scale.as_ref()?.step(v)));
            Cell { value, step, colour: step.and_then(|s| table.get(s).copied()) }
        });
        Self {
            title: words::title(view),
            subtitle: words::subtitle(picture),
            row_axis: "layer".into(),
            column_axis: "component".into(),
            columns: Component::ALL.map(Component::label).to_vec(),
            ticks: ticks(&rows),
            cells: cells.collect(),
            missing: words::missing(view),
            notes: words::notes(picture),
            colours: scale.as_ref().map(|s| words::colours(view, s)),
            bar: scale.map(|s| bar(words::title(view), s, &table)),
            provenance: words::provenance(picture),
            rows,
        }
    }

    /// The lines at the foot of a picture, most important first; those about colours only where there are colours.
    pub fn foot(&self, coloured: bool) -> impl Iterator<Item = &str> {
        let colours = self.colours.iter().filter(move |_| coloured);
        self.notes.iter().chain(colours).chain([&self.provenance]).map(String::as_str).filter(|l| !l.is_empty())
    }

    /// The cell of a row (counted from the top) and column.
    pub fn cell(&self, row: usize, column: usize) -> Option<&Cell> {
        self.cells.get(row * self.columns.len() + column)
    }
}

/// The layers that are labelled in a picture of `layers` layers, from 0.
pub(crate) fn labelled_layers(layers: u32) -> Vec<u32> {
    let rows: Vec<u32> = (0..layers).collect();
    ticks(&rows).into_iter().filter_map(|at| rows.get(at).copied()).collect()
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
    let labelled = |layer: u32| layer == last || (layer.is_multiple_of(step) && (last - layer) * 2 >= step);
    (0..rows.len()).filter(|i| labelled(rows[*i])).collect()
}

fn bar(label: String, scale: Scale, table: &[Rgb]) -> Bar {
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
    let middle = scale.middle.map(at);
    Bar { colours, ticks, middle, label, scale }
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
