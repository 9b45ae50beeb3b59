use crate::colour::Rgb;
use crate::escape;
use crate::font::{self, Weight};
use crate::scene::{Bar, Scene};

/// A box in pixels at 1x, origin at the top left.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl Rect {
    /// Whether two boxes share an area.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }
}

/// Which point of a text its position is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// Its left end.
    Start,
    /// Its centre.
    Middle,
    /// Its right end.
    End,
}

/// A line of text.
#[derive(Clone, PartialEq, Debug)]
pub struct Text {
    /// What it says; clean, not escaped.
    pub text: String,
    /// Anchor point, on the baseline.
    pub x: f64,
    /// Baseline.
    pub y: f64,
    /// Font size in pixels.
    pub size: f64,
    /// Regular or bold.
    pub weight: Weight,
    /// Which point `x` is.
    pub anchor: Anchor,
    /// Turned a quarter to the left around the anchor point.
    pub upwards: bool,
    /// Colour.
    pub colour: Rgb,
}

impl Text {
    /// A line of regular text in ink.
    fn new(text: &str, (x, y): (f64, f64), size: f64, anchor: Anchor) -> Self {
        Self { text: text.to_owned(), x, y, size, anchor, weight: Weight::Regular, upwards: false, colour: INK }
    }

    /// The left end of the baseline as set, before turning.
    pub fn start(&self) -> f64 {
        let width = font::width(&self.text, self.size, self.weight);
        match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        }
    }

    /// The box its letters fill, ascenders and descenders included.
    pub fn bounds(&self) -> Rect {
        let (start, width) = (self.start(), font::width(&self.text, self.size, self.weight));
        let (up, height) = (self.size * 0.76, self.size * 0.95);
        if self.upwards {
            Rect { x: self.x - up, y: self.y - start - width, w: height, h: width }
        } else {
            Rect { x: self.x + start, y: self.y - up, w: width, h: height }
        }
    }
}

/// Something drawn.
#[derive(Clone, PartialEq, Debug)]
pub enum Item {
    /// A filled box.
    Fill(Rect, Rgb),
    /// A box outlined, one pixel wide, the line inside its edge.
    Outline(Rect, Rgb),
    /// A box with diagonal lines: no value here.
    Hatch(Rect),
    /// A line: x1, y1, x2, y2, colour.
    Line(f64, f64, f64, f64, Rgb),
    /// A filled triangle.
    Triangle([(f64, f64); 3], Rgb),
    /// A text.
    Text(Text),
}

/// A scene with measures: what an output that has a canvas draws, in order.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// Width in pixels at 1x.
    pub width: f64,
    /// Height in pixels at 1x.
    pub height: f64,
    /// Title, for the document's own metadata.
    pub title: String,
    /// Subtitle and notes, for the same.
    pub description: String,
    /// Area of the cells.
    pub grid: Rect,
    /// Size of a cell.
    pub cell: (f64, f64),
    /// What to draw.
    pub items: Vec<Item>,
}

pub(crate) const INK: Rgb = Rgb(0x1c, 0x1c, 0x1c);
const SOFT: Rgb = Rgb(0x55, 0x55, 0x55);
const FRAME: Rgb = Rgb(0x44, 0x44, 0x44);
/// Ground and lines of hatched cells: grey, so that they are on no scale.
pub(crate) const HATCH_GROUND: Rgb = Rgb(0xee, 0xee, 0xee);
pub(crate) const HATCH_LINE: Rgb = Rgb(0x8a, 0x8a, 0x8a);
/// Distance of hatch lines along an edge.
const HATCH_STEP: f64 = 5.0;

const MARGIN: f64 = 16.0;
const LEFT: f64 = 58.0;
const CELL_WIDTH: f64 = 50.0;
const LABEL: f64 = 9.0;
const NOTE: f64 = 8.0;
const BAR_WIDTH: f64 = 15.0;
const BAR_GAP: f64 = 16.0;

impl Page {
    /// Measures `scene`.
    pub fn from_scene(scene: &Scene) -> Self {
        let grid_width = CELL_WIDTH * scene.columns.len() as f64;
        let row_height = (434.0 / scene.rows.len().max(1) as f64).clamp(6.0, 42.0);
        // Whole pixels, so that neighbouring cells meet without a seam at any scale.
        let row_height = (row_height * 2.0).floor() / 2.0;
        let tick_width = scene
            .bar
            .as_ref()
            .map_or(0.0, |b| b.ticks.iter().map(|t| font::width(&t.1, LABEL, Weight::Regular)).fold(0.0, f64::max));
        let bar_block = if scene.bar.is_some() { BAR_GAP + BAR_WIDTH + 8.0 + tick_width + 8.0 + 12.0 } else { 0.0 };
        let width = (LEFT + grid_width + bar_block + MARGIN).ceil();
        let mut pen = Pen { items: Vec::new(), y: MARGIN, width };
        pen.heading(scene);
        let grid = Rect { x: LEFT, y: pen.y.ceil(), w: grid_width, h: row_height * scene.rows.len() as f64 };
        pen.cells(scene, grid, row_height);
        pen.axes(scene, grid, row_height);
        if let Some(bar) = &scene.bar {
            // A bar shorter than this cannot carry its numbers; two layers are not that tall.
            let height = grid.h.max(120.0);
            pen.bar(bar, Rect { x: grid.x + grid.w + BAR_GAP, y: grid.y, w: BAR_WIDTH, h: height }, tick_width);
            pen.y = pen.y.max(grid.y + height + 14.0);
        }
        pen.foot(scene);
        let mut description = scene.subtitle.clone();
        description.extend(scene.missing.clone());
        description.extend(scene.foot(true).map(str::to_owned));
        Self {
            width,
            height: (pen.y + MARGIN - 6.0).ceil(),
            title: scene.title.clone(),
            description: description.join("\n"),
            grid,
            cell: (CELL_WIDTH, row_height),
            items: pen.items,
        }
    }
}

/// End points of the diagonal lines of a hatched box.
pub(crate) fn hatch_lines(r: &Rect) -> Vec<[f64; 4]> {
    let count = ((r.w + r.h) / HATCH_STEP).ceil() as usize;
    // Line i runs up to the right, from (0, d) to (d, 0), cut to the box; it is anchored to the page so that the
    // lines of neighbouring cells meet.
    let phase = (r.x + r.y).rem_euclid(HATCH_STEP);
    let lines = (0..=count).map(|i| i as f64 * HATCH_STEP - phase).filter(|d| *d > 0.0 && *d < r.w + r.h);
    lines
        .map(|d| {
            let (left, right) = ((d - r.h).max(0.0), d.min(r.w));
            [r.x + left, r.y + d - left, r.x + right, r.y + d - right]
        })
        .collect()
}

/// Draws downwards, remembering how far it has come.
struct Pen {
    items: Vec<Item>,
    y: f64,
    width: f64,
}

impl Pen {
    fn text(&mut self, text: Text) {
        self.items.push(Item::Text(text));
    }

    fn lines(&mut self, text: &str, size: f64, weight: Weight, colour: Rgb) {
        for line in font::wrap(text, size, weight, self.width - 2.0 * MARGIN) {
            self.y += size * 1.3;
            let y = self.y;
            self.text(Text { weight, colour, ..Text::new(&line, (MARGIN, y), size, Anchor::Start) });
        }
    }

    fn heading(&mut self, scene: &Scene) {
        self.y -= 4.0;
        self.lines(&scene.title, 14.0, Weight::Bold, INK);
        self.y += 2.0;
        for line in &scene.subtitle {
            self.lines(line, LABEL, Weight::Regular, SOFT);
        }
        self.y += 14.0;
    }

    fn cells(&mut self, scene: &Scene, grid: Rect, row_height: f64) {
        for (at, cell) in scene.cells.iter().enumerate() {
            let (row, column) = (at / scene.columns.len(), at % scene.columns.len());
            let (x, y) = (grid.x + column as f64 * CELL_WIDTH, grid.y + row as f64 * row_height);
            let area = Rect { x, y, w: CELL_WIDTH, h: row_height };
            self.items.push(cell.colour.map_or(Item::Hatch(area), |colour| Item::Fill(area, colour)));
        }
        self.items.push(Item::Outline(grid, FRAME));
    }

    fn axes(&mut self, scene: &Scene, grid: Rect, row_height: f64) {
        for tick in &scene.ticks {
            let y = grid.y + (*tick as f64 + 0.5) * row_height;
            self.items.push(Item::Line(grid.x - 4.0, y, grid.x, y, FRAME));
            let layer = scene.rows.get(*tick).copied().unwrap_or_default().to_string();
            self.text(Text::new(&layer, (grid.x - 7.0, y + LABEL * 0.36), LABEL, Anchor::End));
        }
        let beside = (grid.x - 32.0, grid.y + grid.h / 2.0);
        self.text(Text { upwards: true, ..Text::new(&scene.row_axis, beside, LABEL + 1.0, Anchor::Middle) });
        let below = grid.y + grid.h;
        for (column, label) in scene.columns.iter().enumerate() {
            let x = grid.x + (column as f64 + 0.5) * CELL_WIDTH;
            self.items.push(Item::Line(x, below, x, below + 4.0, FRAME));
            self.text(Text::new(label, (x, below + 15.0), LABEL, Anchor::Middle));
        }
        self.text(Text::new(&scene.column_axis, (grid.x + grid.w / 2.0, below + 30.0), LABEL + 1.0, Anchor::Middle));
        self.y = below + 36.0;
    }

    fn bar(&mut self, bar: &Bar, area: Rect, tick_width: f64) {
        let slice = area.h / bar.colours.len().max(1) as f64;
        for (at, colour) in bar.colours.iter().enumerate() {
            // Slices overlap their upper neighbour by a pixel, which is drawn after them: no seams.
            let top = area.y + area.h - (at + 1) as f64 * slice;
            let h = if at == 0 { slice } else { (slice + 1.0).min(area.y + area.h - top) };
            self.items.push(Item::Fill(Rect { x: area.x, y: top, w: area.w, h }, *colour));
        }
        self.items.push(Item::Outline(area, FRAME));
        let (centre, right) = (area.x + area.w / 2.0, area.x + area.w);
        if let (true, Some(colour)) = (bar.scale.above > 0, bar.colours.last()) {
            let tip = [(area.x, area.y), (right, area.y), (centre, area.y - 8.0)];
            self.items.push(Item::Triangle(tip, *colour));
        }
        if let (true, Some(colour)) = (bar.scale.below > 0, bar.colours.first()) {
            let foot = area.y + area.h;
            self.items.push(Item::Triangle([(area.x, foot), (right, foot), (centre, foot + 8.0)], *colour));
        }
        for (position, label) in &bar.ticks {
            let y = area.y + area.h * (1.0 - position);
            self.items.push(Item::Line(right, y, right + 4.0, y, FRAME));
            self.text(Text::new(label, (right + 7.0, y + LABEL * 0.36), LABEL, Anchor::Start));
        }
        if let Some(position) = bar.middle {
            let y = area.y + area.h * (1.0 - position);
            self.items.push(Item::Line(area.x, y, right, y, FRAME));
        }
        let (mut label, mut size) = (bar.label.clone(), LABEL);
        while size > 6.0 && font::width(&label, size, Weight::Regular) > area.h {
            size -= 0.5;
        }
        // The title says it in full.
        while font::width(&label, size, Weight::Regular) > area.h && label.chars().count() > 4 {
            label = escape::plain(&label, label.chars().count() - 2);
        }
        let x = right + 8.0 + tick_width + 8.0 + LABEL * 0.76;
        let beside = (x, area.y + area.h / 2.0);
        self.text(Text { upwards: true, ..Text::new(&label, beside, size, Anchor::Middle) });
    }

    fn foot(&mut self, scene: &Scene) {
        self.y += 4.0;
        if let Some(missing) = &scene.missing {
            self.y += 4.0;
            let key = Rect { x: MARGIN, y: self.y + 1.0, w: 16.0, h: NOTE + 1.0 };
            self.items.push(Item::Hatch(key));
            self.items.push(Item::Outline(key, FRAME));
            for line in font::wrap(missing, NOTE, Weight::Regular, self.width - 2.0 * MARGIN - 22.0) {
                self.y += NOTE * 1.3;
                let y = self.y - 1.5;
                self.text(Text::new(&line, (MARGIN + 22.0, y), NOTE, Anchor::Start));
            }
            self.y += 2.0;
        }
        for note in scene.foot(true) {
            self.y += 2.0;
            self.lines(note, NOTE, Weight::Regular, SOFT);
        }
    }
}
