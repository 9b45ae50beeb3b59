use serde_json::Value;
use tomo_map::{Component, NORMALISATIONS};
use tomo_render::{Options, Origin, Style};

use crate::{draw_text, samples};

fn data(html: &str) -> Value {
    let (_, after) = html.split_once("id=\"map-data\">").unwrap();
    serde_json::from_str(after.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn every_fitting_view_is_there_with_the_maps_numbers() {
    let map = samples::map_with_experts(5);
    let data = data(&draw_text(&map, "update-density", "html", &Options::default()));
    for (column, metric) in map.columns.iter().zip(data["metrics"].as_array().unwrap()) {
        assert_eq!(metric["id"], column.info.id.as_ref());
        let fitting: Vec<_> = NORMALISATIONS.iter().filter(|n| map.view(&column.info.id, n).is_ok()).collect();
        let views = metric["views"].as_array().unwrap();
        assert_eq!(views.len(), fitting.len());
        for (drawn, normalisation) in views.iter().zip(fitting) {
            assert_eq!(drawn["id"], normalisation.id);
            let view = map.view(&column.info.id, normalisation).unwrap();
            for (at, (_, _, place)) in view.iter().enumerate() {
                match (drawn["values"][at].as_f64(), place.value()) {
                    (Some(shown), Some(exact)) => assert!((shown - exact).abs() <= 1e-6 * exact.abs().max(1e-300)),
                    (shown, exact) => assert_eq!(shown.is_some(), exact.is_some()),
                }
                let step = &drawn["steps"].as_str().unwrap()[2 * at..2 * at + 2];
                assert_eq!(step == "ff", place.value().is_none());
            }
        }
    }
}

#[test]
fn it_fetches_nothing_and_says_so() {
    let html = draw_text(&samples::map(4), "update-density", "html", &Options::default());
    assert!(html.contains("default-src 'none'; script-src 'sha256-"));
    for word in ["http://", "https://", "@import", "url(\"", "fetch(", "innerHTML", "insertAdjacentHTML", "eval("] {
        // The one address is SVG's name, which nothing fetches.
        let found = html.replace("http://www.w3.org/2000/svg", "").contains(word);
        assert!(!found, "{word}");
    }
    assert!(html.len() < 200_000, "{}", html.len());
}

#[test]
fn thirty_metrics_of_thirty_layers_stay_under_a_megabyte() {
    let mut map = samples::map(30);
    let column = map.columns[0].clone();
    map.columns = (0..34)
        .map(|i| {
            let mut column = column.clone();
            column.info.id = format!("metric-{i}").into();
            column
        })
        .collect();
    let html = draw_text(&map, "metric-0", "html", &Options::default());
    assert!(html.len() < 1_000_000, "{}", html.len());
}

#[test]
fn origin_reaches_the_page_and_columns_are_in_order() {
    let style = Style { origin: Origin::Top, ..Style::default() };
    let html = draw_text(&samples::map(4), "update-density", "html", &Options { style, ..Options::default() });
    let data = data(&html);
    assert_eq!(data["origin"], "top");
    let labels: Vec<&str> =
        data["components"].as_array().unwrap().iter().map(|c| c["label"].as_str().unwrap()).collect();
    assert_eq!(labels, Component::ALL.map(Component::label));
}
