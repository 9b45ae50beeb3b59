use resvg::tiny_skia::Pixmap;
use tomo_map::Normalisation;
use tomo_render::{ColourLevel, Item, Options, Origin, Page, Palette, Picture, Rect, Rgb, Scene, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::{draw, draw_text, page, samples, terminal};

#[test]
fn ansi_looks_like_this() {
    let map = samples::map_with_holes(10);
    insta::assert_snapshot!("ansi_none", draw_text(&map, "update-density", "ansi", &terminal(80, ColourLevel::None)));
    insta::assert_snapshot!(
        "ansi_none_40",
        draw_text(&map, "update-density", "ansi", &terminal(40, ColourLevel::None))
    );
    let escaped = |colours| draw_text(&map, "update-density", "ansi", &terminal(80, colours)).replace('\u{1b}', "␛");
    insta::assert_snapshot!("ansi_256", escaped(ColourLevel::Ansi256));
    insta::assert_snapshot!("ansi_true", escaped(ColourLevel::True));
}

#[test]
fn svg_looks_like_this() {
    insta::assert_snapshot!(draw_text(&samples::map_with_holes(2), "update-density", "svg", &Options::default()));
}

#[test]
fn ansi_fits_its_width() {
    for width in [40, 60, 80, 200] {
        for colours in [ColourLevel::None, ColourLevel::Ansi256, ColourLevel::True] {
            let text = draw_text(&samples::map_with_holes(40), "update-density", "ansi", &terminal(width, colours));
            for line in text.lines() {
                let mut seen = String::new();
                for (at, part) in line.split('\u{1b}').enumerate() {
                    seen.push_str(if at == 0 { part } else { part.split_once('m').unwrap().1 });
                }
                assert!(seen.width() <= width, "{width}: {seen:?}");
            }
        }
    }
}

#[test]
fn a_deep_model_repeats_its_labels() {
    for colours in [ColourLevel::None, ColourLevel::True] {
        let text = draw_text(&samples::map(126), "update-density", "ansi", &terminal(80, colours));
        let heads = text.lines().filter(|l| l.contains("attn. q")).count();
        assert!(heads >= 4, "{heads} in {} lines", text.lines().count());
    }
}

#[test]
fn plain_tables_hold_the_numbers() {
    let map = samples::map(5);
    let text = draw_text(&map, "update-density", "ansi", &terminal(80, ColourLevel::None));
    let row = text.lines().find(|l| l.trim_start().starts_with("3 ")).unwrap();
    let shown: Vec<f64> = row.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    let exact = tomo_map::Component::ALL.map(|c| samples::figure_value(3, 5, c));
    assert_eq!(shown.len(), 7);
    assert!(shown.iter().zip(exact).all(|(s, e)| (s - e).abs() < 6e-5), "{shown:?} {exact:?}");
}

#[test]
fn no_two_texts_share_a_place_and_none_leaves_the_page() {
    let maps = [1, 2, 3, 8, 9, 28, 30, 61, 126, 200].map(samples::map);
    let others = [samples::map_with_holes(30), samples::map_with_experts(16), samples::hostile()];
    for map in maps.iter().chain(&others) {
        for column in &map.columns {
            for palette in Palette::ALL {
                let (_, page) = page(map, &column.info.id, Style { palette, ..Style::default() });
                let boxes: Vec<(Rect, &str)> = page
                    .items
                    .iter()
                    .filter_map(|i| if let Item::Text(t) = i { Some((t.bounds(), t.text.as_str())) } else { None })
                    .collect();
                for (at, (a, text)) in boxes.iter().enumerate() {
                    let inside = a.x >= 0.0 && a.y >= 0.0 && a.x + a.w <= page.width && a.y + a.h <= page.height;
                    assert!(inside, "{} layers: {text:?} {a:?} of {} x {}", map.grid.layers, page.width, page.height);
                    for (b, other) in &boxes[at + 1..] {
                        assert!(!a.overlaps(b), "{} layers: {text:?} and {other:?}", map.grid.layers);
                    }
                    assert!(!a.overlaps(&page.grid), "{text:?} lies on the cells");
                }
            }
        }
    }
}

#[test]
fn rows_run_up_from_layer_0_unless_told_otherwise() {
    let map = samples::map(28);
    let (scene, _) = page(&map, "update-density", Style::default());
    assert_eq!((scene.rows[0], scene.rows[27]), (27, 0));
    let labels: Vec<u32> = scene.ticks.iter().map(|t| scene.rows[*t]).collect();
    assert_eq!(labels, [27, 24, 21, 18, 15, 12, 9, 6, 3, 0]);
    let (turned, _) = page(&map, "update-density", Style { origin: Origin::Top, ..Style::default() });
    assert_eq!(turned.rows[0], 0);
    for row in 0..28 {
        for column in 0..7 {
            assert_eq!(scene.cell(row, column), turned.cell(27 - row, column));
        }
    }
}

#[test]
fn every_picture_says_what_it_is() {
    let map = samples::map_with_experts(4);
    for normalisation in ["raw", "rank", "column-z"] {
        let view = map.view("update-density", Normalisation::by_id(normalisation).unwrap()).unwrap();
        let scene = Scene::from_picture(&Picture { map: &map, view: &view }, Style::default());
        assert!(scene.title.contains("Update density") && scene.title.contains(view.unit.as_ref()));
        let all = [scene.subtitle.join(" "), scene.foot(true).collect::<Vec<_>>().join(" ")].join(" ");
        for word in
            ["Phantom-28", "llama", "28 cells", view.normalisation_title, "0f1e2d3c4b5a", "mean over its experts"]
        {
            assert!(all.contains(word), "{normalisation}: {word:?} in {all}");
        }
        let described = Page::from_scene(&scene).description;
        assert!(scene.foot(true).all(|n| described.contains(n)));
    }
}

fn pixel(image: &Pixmap, x: f64, y: f64) -> Rgb {
    let p = image.pixel((2.0 * x) as u32, (2.0 * y) as u32).unwrap();
    Rgb(p.red(), p.green(), p.blue())
}

#[test]
fn png_has_the_scenes_colours_at_the_centre_of_each_cell_and_hatches_what_is_missing() {
    let map = samples::map_with_holes(28);
    let image = Pixmap::decode_png(&draw(&map, "update-density", "png", &Options::default())).unwrap();
    let (scene, page) = page(&map, "update-density", Style::default());
    assert_eq!((f64::from(image.width()), f64::from(image.height())), (2.0 * page.width, 2.0 * page.height));
    assert!((850..1100).contains(&image.width()) && (1000..1300).contains(&image.height()));
    let (mut coloured, mut hatched) = (0, 0);
    for (at, cell) in scene.cells.iter().enumerate() {
        let (x, y) = (page.grid.x + (at % 7) as f64 * page.cell.0, page.grid.y + (at / 7) as f64 * page.cell.1);
        let centre = pixel(&image, x + page.cell.0 / 2.0, y + page.cell.1 / 2.0);
        if let Some(colour) = cell.colour {
            assert_eq!(centre, colour, "cell {at}");
            coloured += 1;
        } else {
            let inside: Vec<Rgb> = (4..40).map(|dx| pixel(&image, x + f64::from(dx), y + page.cell.1 / 2.0)).collect();
            assert!(inside.iter().all(|Rgb(r, g, b)| r == g && g == b), "hatching is grey");
            let (light, dark) = (inside.iter().any(|c| c.0 > 0xe0), inside.iter().any(|c| c.0 < 0xb8));
            assert!(light && dark, "cell {at} has lines on a ground: {inside:?}");
            hatched += 1;
        }
    }
    assert_eq!((coloured, hatched), (28 * 6 - 2, 28 + 2));
}

#[test]
fn a_map_without_any_value_is_drawn_hatched_and_without_a_bar() {
    let mut map = samples::map(3);
    for score in &mut map.columns[0].scores {
        *score = tomo_map::Score::missing(tomo_map::Status::NotMeasured, "the scan was stopped");
    }
    let (scene, _) = page(&map, "update-density", Style::default());
    assert!(scene.bar.is_none() && scene.cells.iter().all(|c| c.colour.is_none()));
    assert_eq!(scene.missing.as_deref(), Some("no value: the scan was stopped (21 cells)"));
    for format in tomo_render::FORMATS {
        assert!(!draw(&map, "update-density", format.id, &terminal(80, ColourLevel::True)).is_empty(), "{}", format.id);
    }
}
