//! `pdf`: the picture as one page of vectors, for LaTeX and for print.
//!
//! Drawn from the same page as the SVG, with the used glyphs of the font embedded; text can be searched and copied. It
//! carries no date and no random id, so the same map gives the same bytes.

use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Transform};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};
use krilla::{Data, Document};

use super::{Format, Options, Writer};
use crate::colour::Rgb;
use crate::font::Weight;
use crate::page::{HATCH_GROUND, HATCH_LINE, Item, Page, Rect, Text, hatch_lines};
use crate::{Picture, RenderError, Scene};

pub(super) static FORMAT: Format = Format {
    id: "pdf",
    extensions: &["pdf"],
    summary: "one picture as a page of vectors",
    source: include_str!("pdf.rs"),
    writer: Writer::Picture(write),
};

/// PDF readers refuse pages longer than this many points.
const LONGEST: f64 = 14_400.0;

fn write(picture: &Picture<'_>, options: &Options) -> Result<Vec<u8>, RenderError> {
    let page = Page::from_scene(&Scene::from_picture(picture, options.style));
    if page.height > LONGEST {
        return Err(RenderError::TooLarge { layers: picture.view.layers });
    }
    let fonts = [font(Weight::Regular)?, font(Weight::Bold)?];
    let mut document = Document::new();
    let settings = PageSettings::from_wh(page.width as f32, page.height as f32)
        .ok_or_else(|| RenderError::library("making a page", format!("{} x {} points", page.width, page.height)))?;
    let mut sheet = document.start_page_with(settings);
    let mut surface = sheet.surface();
    for item in &page.items {
        draw(&mut surface, item, &fonts);
    }
    surface.finish();
    sheet.finish();
    document.set_metadata(Metadata::new().title(page.title.clone()).description(page.description.clone()));
    document.finish().map_err(|e| RenderError::library("writing the pdf", format!("{e:?}")))
}

fn font(weight: Weight) -> Result<Font, RenderError> {
    let data = Data::from(weight.data().to_vec());
    Font::new(data, 0).ok_or_else(|| RenderError::library("reading the embedded font", "not a font"))
}

fn draw(surface: &mut Surface<'_>, item: &Item, fonts: &[Font; 2]) {
    match item {
        Item::Fill(r, c) => fill(surface, &corners(r, 0.0), *c),
        Item::Outline(r, c) => stroke(surface, &[corners(r, 0.5).to_vec()], true, (*c, 1.0)),
        Item::Hatch(r) => {
            fill(surface, &corners(r, 0.0), HATCH_GROUND);
            let lines: Vec<_> = hatch_lines(r).into_iter().map(|[a, b, c, d]| vec![(a, b), (c, d)]).collect();
            stroke(surface, &lines, false, (HATCH_LINE, 0.8));
        }
        Item::Line(x1, y1, x2, y2, c) => stroke(surface, &[vec![(*x1, *y1), (*x2, *y2)]], false, (*c, 1.0)),
        Item::Triangle(points, c) => fill(surface, points, *c),
        Item::Text(text) => draw_text(surface, text, fonts),
    }
}

fn corners(r: &Rect, inset: f64) -> [(f64, f64); 4] {
    let (x1, y1, x2, y2) = (r.x + inset, r.y + inset, r.x + r.w - inset, r.y + r.h - inset);
    [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
}

fn outline(path: &mut PathBuilder, points: &[(f64, f64)], closed: bool) {
    for (at, (x, y)) in points.iter().enumerate() {
        if at == 0 {
            path.move_to(*x as f32, *y as f32);
        } else {
            path.line_to(*x as f32, *y as f32);
        }
    }
    if closed {
        path.close();
    }
}

fn paint(Rgb(r, g, b): Rgb) -> krilla::paint::Paint {
    rgb::Color::new(r, g, b).into()
}

fn fill(surface: &mut Surface<'_>, points: &[(f64, f64)], colour: Rgb) {
    let mut path = PathBuilder::new();
    outline(&mut path, points, true);
    let Some(path) = path.finish() else { return };
    surface.set_stroke(None);
    surface.set_fill(Some(Fill { paint: paint(colour), opacity: NormalizedF32::ONE, rule: Default::default() }));
    surface.draw_path(&path);
}

fn stroke(surface: &mut Surface<'_>, lines: &[Vec<(f64, f64)>], closed: bool, (colour, width): (Rgb, f32)) {
    let mut path = PathBuilder::new();
    for line in lines {
        outline(&mut path, line, closed);
    }
    let Some(path) = path.finish() else { return };
    surface.set_fill(None);
    surface.set_stroke(Some(Stroke { paint: paint(colour), width, ..Stroke::default() }));
    surface.draw_path(&path);
}

fn draw_text(surface: &mut Surface<'_>, t: &Text, fonts: &[Font; 2]) {
    if t.text.is_empty() {
        return;
    }
    surface.set_stroke(None);
    surface.set_fill(Some(Fill { paint: paint(t.colour), opacity: NormalizedF32::ONE, rule: Default::default() }));
    let (x, y) = (t.x as f32, t.y as f32);
    let turn = if t.upwards { Transform::from_row(0.0, -1.0, 1.0, 0.0, x, y) } else { Transform::from_translate(x, y) };
    surface.push_transform(&turn);
    let font = fonts[usize::from(t.weight == Weight::Bold)].clone();
    let start = Point::from_xy(t.start() as f32, 0.0);
    surface.draw_text(start, font, t.size as f32, &t.text, false, TextDirection::LeftToRight);
    surface.pop();
}
