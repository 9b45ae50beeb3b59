//! `svg`: the picture as vectors, for papers and for editing.
//!
//! Plain SVG 1.1: boxes, lines and text, no script, no style sheet, nothing fetched. Text stays text, set in DejaVu Sans or,
//! where that is missing, in a face of about its width. The metric, the model and every note are in `<title>` and
//! `<desc>` too, for screen readers and search. Sizes are in pixels at 1x; scale it as you like.

use std::fmt::Write as _;

use super::{Format, Options, Writer};
use crate::font::{STACK, Weight};
use crate::page::{Anchor, HATCH_GROUND, HATCH_LINE, Item, Page, Rect, Text, hatch_lines};
use crate::{Picture, RenderError, Scene, escape};

pub(super) static FORMAT: Format = Format {
    id: "svg",
    extensions: &["svg"],
    summary: "one picture as vectors",
    source: include_str!("svg.rs"),
    writer: Writer::Picture(write),
};

fn write(picture: &Picture<'_>, options: &Options) -> Result<Vec<u8>, RenderError> {
    Ok(document(&Page::from_scene(&Scene::from_picture(picture, options.style))).into_bytes())
}

/// The page as an SVG document.
pub(super) fn document(page: &Page) -> String {
    let (w, h) = (page.width, page.height);
    let mut out = format!(
        concat!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" ",
            "role=\"img\" font-family=\"{font}\">\n<title>{title}</title>\n<desc>{desc}</desc>\n",
            "<rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n"
        ),
        w = w,
        h = h,
        font = STACK,
        title = escape::xml(&page.title),
        desc = escape::xml(&page.description),
    );
    for item in &page.items {
        push_item(&mut out, item);
    }
    out.push_str("</svg>\n");
    out
}

fn push_item(out: &mut String, item: &Item) {
    // Writing to a String cannot fail.
    let _ = match item {
        Item::Fill(r, c) => {
            writeln!(out, "<rect {} fill=\"{}\" shape-rendering=\"crispEdges\"/>", area(r, 0.0), c.hex())
        }
        Item::Outline(r, c) => {
            writeln!(out, "<rect {} fill=\"none\" stroke=\"{}\" stroke-width=\"1\"/>", area(r, 0.5), c.hex())
        }
        Item::Hatch(r) => push_hatch(out, r),
        Item::Line(x1, y1, x2, y2, c) => {
            let [x1, y1, x2, y2] = [*x1, *y1, *x2, *y2].map(px);
            writeln!(out, "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{}\"/>", c.hex())
        }
        Item::Triangle(points, c) => {
            let points = points.map(|(x, y)| format!("{},{}", px(x), px(y))).join(" ");
            writeln!(out, "<polygon points=\"{points}\" fill=\"{}\" stroke=\"#444444\" stroke-width=\"0.5\"/>", c.hex())
        }
        Item::Text(t) => push_text(out, t),
    };
}

fn push_hatch(out: &mut String, r: &Rect) -> std::fmt::Result {
    writeln!(out, "<rect {} fill=\"{}\" shape-rendering=\"crispEdges\"/>", area(r, 0.0), HATCH_GROUND.hex())?;
    let lines = hatch_lines(r).into_iter().map(|l| {
        let [x1, y1, x2, y2] = l.map(px);
        format!("M{x1} {y1}L{x2} {y2}")
    });
    let path: String = lines.collect();
    writeln!(out, "<path d=\"{path}\" stroke=\"{}\" stroke-width=\"0.8\"/>", HATCH_LINE.hex())
}

fn push_text(out: &mut String, t: &Text) -> std::fmt::Result {
    let anchor = match t.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let weight = if t.weight == Weight::Bold { " font-weight=\"bold\"" } else { "" };
    let (x, y) = (px(t.x), px(t.y));
    let turn = if t.upwards { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
    let (fill, text) = (t.colour.hex(), escape::xml(&t.text));
    writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\"{weight}{anchor}{turn} fill=\"{fill}\">{text}</text>",
        t.size
    )
}

fn area(r: &Rect, inset: f64) -> String {
    let [x, y] = [r.x, r.y].map(|v| px(v + inset));
    let [w, h] = [r.w, r.h].map(|v| px(v - 2.0 * inset));
    format!("x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"")
}

/// Hundredths of a pixel are finer than any screen or printer.
fn px(v: f64) -> f64 {
    let v = (v * 100.0).round() / 100.0;
    if v == 0.0 { 0.0 } else { v }
}
