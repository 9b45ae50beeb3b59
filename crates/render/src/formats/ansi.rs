//! `ansi`: the picture in a terminal.
//!
//! With colours (24-bit or 256) each cell is a coloured block and the colour bar lies beneath; without colours (`NO_COLOR`,
//! pipes, dumb terminals) the same grid is a plain table of numbers. Either fits the width it is told, from 40 columns
//! up; a deep model repeats its column labels so that they are in sight while scrolling. Cells without a value are
//! `////`, or `-` in the table.

use unicode_width::UnicodeWidthStr as _;

use super::{Format, Options, Writer};
use crate::colour::Rgb;
use crate::scene::{Bar, Scene};
use crate::{Picture, RenderError, number};

pub(super) static FORMAT: Format = Format {
    id: "ansi",
    extensions: &["ansi", "txt"],
    summary: "the picture in a terminal: true colour, 256 colours or a plain table",
    source: include_str!("ansi.rs"),
    writer: Writer::Picture(write),
};

/// How many colours a terminal shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ColourLevel {
    /// None: a plain table of numbers, no escape sequences.
    #[default]
    None,
    /// The 256-colour palette.
    Ansi256,
    /// 24-bit colour.
    True,
}

/// What the terminal can show; the caller finds out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terminal {
    /// Columns; at least 40 are used.
    pub width: usize,
    /// Colours.
    pub colours: ColourLevel,
}

impl Default for Terminal {
    fn default() -> Self {
        Self { width: 80, colours: ColourLevel::None }
    }
}

/// Width of the layer numbers and the space after them.
const GUTTER: usize = 5;
/// Column labels are repeated after this many layers: fewer than the rows of most terminals.
const REPEAT: usize = 32;

fn write(picture: &Picture<'_>, options: &Options) -> Result<Vec<u8>, RenderError> {
    let scene = Scene::from_picture(picture, options.style);
    let terminal = Terminal { width: options.terminal.width.max(40), ..options.terminal };
    let mut out = Lines { out: String::new(), width: terminal.width };
    let colours = terminal.colours;
    out.wrapped(&scene.title, if colours == ColourLevel::None { "" } else { "\x1b[1m" });
    for line in &scene.subtitle {
        out.wrapped(line, "");
    }
    out.line("");
    if colours == ColourLevel::None {
        table(&mut out, &scene)
    } else {
        blocks(&mut out, &scene, colours)
    }
    out.line("");
    if let Some(missing) = &scene.missing {
        let key = if colours == ColourLevel::None { "-" } else { "////" };
        out.wrapped(&format!("{key}  {missing}"), "");
    }
    for note in scene.foot(colours != ColourLevel::None) {
        out.wrapped(note, if colours == ColourLevel::None { "" } else { "\x1b[2m" });
    }
    Ok(out.out.into_bytes())
}

/// Lines as they come, none wider than `width`.
struct Lines {
    out: String,
    width: usize,
}

impl Lines {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// Breaks `text` at spaces (or where it must) and sets each line in `style`.
    fn wrapped(&mut self, text: &str, style: &str) {
        let reset = if style.is_empty() { "" } else { "\x1b[0m" };
        let mut line = String::new();
        for word in text.split(' ').filter(|w| !w.is_empty()) {
            if !line.is_empty() && line.width() + 1 + word.width() > self.width {
                self.line(&format!("{style}{line}{reset}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            for c in word.chars() {
                line.push(c);
                if line.width() > self.width {
                    line.pop();
                    self.line(&format!("{style}{line}{reset}"));
                    line = c.to_string();
                }
            }
        }
        self.line(&format!("{style}{line}{reset}"));
    }
}

fn cell_width(scene: &Scene, width: usize) -> usize {
    ((width - GUTTER) / scene.columns.len().max(1)).clamp(5, 10)
}

/// One or two lines: where cells are narrow, the part of the label that the neighbours share goes above.
/// Centred over blocks, to the right over numbers.
fn header(scene: &Scene, cell: usize, over_numbers: bool) -> Vec<String> {
    let put = |labels: Vec<String>| {
        let one = |l: &String| if over_numbers { format!("{l:>cell$}") } else { format!("{l:^cell$}") };
        let cells: String = labels.iter().map(one).collect();
        format!("{:GUTTER$}{cells}", "")
    };
    if scene.columns.iter().all(|c| c.width() < cell) {
        return vec![put(scene.columns.clone())];
    }
    let parts = scene.columns.iter().map(|c| c.split_once(' ').unwrap_or(("", c)));
    let (above, below): (Vec<&str>, Vec<&str>) = parts.unzip();
    vec![put(above.iter().map(|s| s.to_string()).collect()), put(below.iter().map(|s| s.to_string()).collect())]
}

fn blocks(out: &mut Lines, scene: &Scene, colours: ColourLevel) {
    let cell = cell_width(scene, out.width);
    let header = header(scene, cell, false);
    for (row, layer) in scene.rows.iter().enumerate() {
        if row % REPEAT == 0 {
            header.iter().for_each(|h| out.line(h));
        }
        let label = if scene.ticks.contains(&row) { layer.to_string() } else { String::new() };
        let mut line = format!("{label:>width$} ", width = GUTTER - 1);
        for column in 0..scene.columns.len() {
            match scene.cell(row, column).and_then(|c| c.colour) {
                Some(colour) => line.push_str(&format!("{}{:cell$}\x1b[0m", background(colour, colours), "")),
                None => line.push_str(&format!("\x1b[2m{}\x1b[0m", "/".repeat(cell))),
            }
        }
        out.line(&line);
    }
    header.iter().for_each(|h| out.line(h));
    if let Some(bar) = &scene.bar {
        out.line("");
        bar_lines(out, bar, cell * scene.columns.len(), colours);
    }
}

/// The bar, its ends and middle beneath, and what white means.
fn bar_lines(out: &mut Lines, bar: &Bar, width: usize, colours: ColourLevel) {
    let last = bar.colours.len().saturating_sub(1);
    let at = |i: usize| bar.colours.get(i * last / (width - 1).max(1)).copied().unwrap_or(Rgb(0, 0, 0));
    let blocks: String = (0..width).map(|i| format!("{} ", background(at(i), colours))).collect();
    out.line(&format!("{:GUTTER$}{blocks}\x1b[0m", ""));
    let (more, less) = (if bar.scale.above > 0 { "≥" } else { "" }, if bar.scale.below > 0 { "≤" } else { "" });
    let low = format!("{less}{}", number::short(bar.scale.low));
    let high = format!("{more}{}", number::short(bar.scale.high));
    let middle = bar.scale.low + (bar.scale.high - bar.scale.low) / 2.0;
    let middle = number::short(middle);
    let centre = (width.saturating_sub(middle.width())) / 2;
    let gap_left = centre.saturating_sub(low.width()).max(1);
    let gap_right = width.saturating_sub(low.width() + gap_left + middle.width() + high.width()).max(1);
    out.line(&format!("{:GUTTER$}{low}{:gap_left$}{middle}{:gap_right$}{high}", "", "", ""));
}

fn background(Rgb(r, g, b): Rgb, colours: ColourLevel) -> String {
    match colours {
        ColourLevel::True => format!("\x1b[48;2;{r};{g};{b}m"),
        _ => format!("\x1b[48;5;{}m", nearest_of_256(r, g, b)),
    }
}

/// The nearest entry of the 6 x 6 x 6 cube or the grey ramp; the first 16 entries are the user's own and are not used.
fn nearest_of_256(r: u8, g: u8, b: u8) -> u8 {
    const LEVELS: [i32; 6] = [0, 95, 135, 175, 215, 255];
    let colour = [r, g, b].map(i32::from);
    let distance = |c: [i32; 3]| c.iter().zip(colour).map(|(a, b)| (a - b) * (a - b)).sum::<i32>();
    let cube = (0..216u8).map(|i| (16 + i, [i / 36, i / 6 % 6, i % 6].map(|l| LEVELS[usize::from(l)])));
    let greys = (0..24u8).map(|i| (232 + i, [8 + 10 * i32::from(i); 3]));
    cube.chain(greys).min_by_key(|(_, c)| distance(*c)).map_or(16, |(i, _)| i)
}

fn table(out: &mut Lines, scene: &Scene) {
    let cell = cell_width(scene, out.width);
    let values: Vec<f64> = scene.cells.iter().filter_map(|c| c.value).collect();
    let fixed = number::Fixed::from_values(&values, cell - 1);
    if fixed.exponent != 0 {
        out.wrapped(&format!("numbers in units of 1e{}", fixed.exponent), "");
    }
    let header = header(scene, cell, true);
    for (row, layer) in scene.rows.iter().enumerate() {
        if row % REPEAT == 0 {
            header.iter().for_each(|h| out.line(h));
        }
        let cells = (0..scene.columns.len()).map(|column| {
            let value = scene.cell(row, column).and_then(|c| c.value);
            format!("{:>cell$}", value.map_or_else(|| "-".into(), |v| fixed.write(v)))
        });
        let line = format!("{layer:>width$} {}", cells.collect::<String>(), width = GUTTER - 1);
        out.line(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_colours() {
        assert_eq!(nearest_of_256(255, 255, 255), 231);
        assert_eq!(nearest_of_256(0, 0, 0), 16);
        assert_eq!(nearest_of_256(255, 0, 0), 196);
        assert_eq!(nearest_of_256(128, 128, 128), 244);
    }
}
