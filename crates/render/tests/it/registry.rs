use std::collections::BTreeSet;
use std::path::Path;

use tomo_render::{FORMATS, Format, Options};

use crate::{draw, samples};

#[test]
fn ids_and_extensions_are_unique_and_every_output_has_a_manual() {
    let ids: Vec<&str> = FORMATS.iter().map(|f| f.id).collect();
    assert_eq!(ids, ["ansi", "svg", "png", "pdf", "html", "md", "csv", "json"]);
    let extensions: Vec<&str> = FORMATS.iter().flat_map(|f| f.extensions.iter().copied()).collect();
    assert_eq!(extensions.iter().collect::<BTreeSet<_>>().len(), extensions.len(), "{extensions:?}");
    for format in FORMATS {
        let manual = tomo_map::manual(format.source);
        assert!(manual.starts_with(&format!("`{}`: ", format.id)), "{}: {manual}", format.id);
        assert!(manual.lines().count() >= 3 && !manual.contains("//!"), "{}: {manual}", format.id);
    }
}

#[test]
fn a_path_means_an_output() {
    for (path, id) in
        [("a/b.svg", "svg"), ("B.PNG", "png"), ("x.y.htm", "html"), ("map.json", "json"), ("r.txt", "ansi")]
    {
        assert_eq!(Format::from_path(Path::new(path)).unwrap().id, id);
    }
    for path in ["picture", "a.gif", ".svg", ""] {
        let error = Format::from_path(Path::new(path)).err().unwrap().to_string();
        assert!(error.contains("ansi svg png"), "{path}: {error}");
    }
    assert!(!Format::from_id("\u{1b}[2J").err().unwrap().to_string().contains('\u{1b}'));
}

#[test]
fn same_map_same_bytes() {
    let map = samples::map_with_holes(9);
    for format in FORMATS {
        let [a, b] = [(); 2].map(|()| draw(&map, "update-density", format.id, &Options::default()));
        assert!(a == b && !a.is_empty(), "{}", format.id);
    }
}
