use resvg::tiny_skia::Pixmap;
use tomo_render::{ColourLevel, Format, Options};

use crate::{draw, draw_text, samples, terminal};

fn metric(map: &tomo_map::Map) -> String {
    map.columns[0].info.id.to_string()
}

/// Characters that act without being seen.
fn acts(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[test]
fn a_terminal_gets_colours_and_nothing_else() {
    let map = samples::hostile();
    for colours in [ColourLevel::None, ColourLevel::Ansi256, ColourLevel::True] {
        let text = draw_text(&map, &metric(&map), "ansi", &terminal(80, colours));
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            assert!(!before.chars().any(acts), "{before:?}");
            let end = after.find('m').expect("an escape sequence that ends");
            let code = &after[..end];
            assert!(code.starts_with('[') && code[1..].chars().all(|c| c.is_ascii_digit() || c == ';'), "{code:?}");
            rest = &after[end + 1..];
        }
        assert!(!rest.chars().any(acts), "{rest:?}");
        assert!(colours != ColourLevel::None || !text.contains('\u{1b}'));
        assert!(text.len() < 20_000, "a name of 10 kB is cut, not repeated: {}", text.len());
    }
}

#[test]
fn svg_holds_the_text_as_text() {
    let map = samples::hostile();
    let svg = draw_text(&map, &metric(&map), "svg", &Options::default());
    assert!(!svg.chars().any(acts));
    let document = roxmltree::Document::parse(&svg).unwrap();
    let known = ["svg", "title", "desc", "rect", "line", "path", "text", "polygon"];
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        assert!(known.contains(&node.tag_name().name()), "{node:?}");
        assert!(node.attributes().all(|a| !a.name().starts_with("on") && a.name() != "href"), "{node:?}");
    }
    let title = document.descendants().find(|n| n.has_tag_name("title")).unwrap();
    assert!(title.text().unwrap().starts_with("<script>alert(1)"), "shown, not obeyed");
}

#[test]
fn png_and_pdf_are_made_of_it() {
    let map = samples::hostile();
    Pixmap::decode_png(&draw(&map, &metric(&map), "png", &Options::default())).unwrap();
    assert!(draw(&map, &metric(&map), "pdf", &Options::default()).starts_with(b"%PDF-"));
}

#[test]
fn html_has_only_our_own_elements() {
    let map = samples::hostile();
    let html = draw_text(&map, &metric(&map), "html", &Options::default());
    assert!(!html.chars().any(acts));
    assert_eq!(html.matches("<script").count(), 2, "the data and our script");
    assert_eq!(html.matches("</script").count(), 2);
    for tag in ["<img", "<!--", "<iframe", "<object", "<link"] {
        assert!(!html.contains(tag), "{tag}");
    }
    // Our script compares with `<`, so only what is outside it is read as elements here.
    let (page, _) = html.split_once("id=\"map-data\">").unwrap();
    let (head, body) = (page.split_once("<style>").unwrap().0, page.split_once("</style>").unwrap().1);
    for element in head.split('<').chain(body.split('<')).filter_map(|e| Some(e.split_once('>')?.0)) {
        let name = element.split([' ', '/']).next().unwrap();
        assert!(name.len() < 12, "{element}");
        // Every second part lies between quotes.
        let unquoted: String = element.split('"').step_by(2).collect();
        for attribute in [" href", " style=", " src=", " on"] {
            assert!(!unquoted.contains(attribute), "{element}");
        }
    }
    // What follows the data is exactly the end of our page: nothing in it ended the element early.
    let (_, after) = html.split_once("id=\"map-data\">").unwrap();
    let (data, after) = after.split_once("</script>").unwrap();
    assert!(after.trim_start().starts_with("<script>"));
    assert!(!data.contains(['<', '>', '&']));
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert!(data["metrics"][0]["title"].as_str().unwrap().starts_with("<script>alert(1)"));
}

#[test]
fn tables_keep_one_row_per_record() {
    let map = samples::hostile();
    let write = |id: &str| draw(&map, &metric(&map), id, &Options::default());
    serde_json::from_slice::<serde_json::Value>(&write("json")).unwrap();
    let rows = tomo_map::read_csv(write("csv").as_slice()).unwrap();
    assert_eq!(rows.len(), map.grid.cells.len() * map.columns.len());
    let markdown = String::from_utf8(write("md")).unwrap();
    // Between backticks markup is text; what a reader of Markdown makes of the rest, the page above has shown.
    assert!(!markdown.chars().any(acts));
}

#[test]
fn maps_that_nobody_can_draw_are_refused_with_a_reason() {
    let map = samples::map(3000);
    let view = map.view("update-density", tomo_map::NORMALISATIONS[0]).unwrap();
    let picture = tomo_render::Picture { map: &map, view: &view };
    for id in ["png", "pdf"] {
        let tomo_render::Writer::Picture(write) = Format::from_id(id).unwrap().writer else {
            panic!("{id} is a picture")
        };
        let error = write(&picture, &Options::default()).unwrap_err().to_string();
        assert!(error.contains("3000 layers") && error.contains("csv"), "{error}");
    }
}
