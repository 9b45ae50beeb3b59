//! Text from strangers shows as text.

use pulldown_cmark::{Event, Options, Parser, Tag};
use tomo_map::{Map, Score, Status};

use super::samples::{figure, info};
use crate::report::escape::{code, prose};
use crate::report::markdown;

const ATTACKS: [&str; 13] = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "a | b | c |\n|---|---|\n| x | y |",
    "`` ` ``` code",
    "# heading\n\n## heading",
    "- list\n1. list",
    "1. list",
    "2) list",
    "[link](javascript:alert(1)) ![image](http://x) <http://x> http://x www.x.y a@b.c",
    "*a* _b_ ~~c~~ **d** $x$ [^1] [x]: y",
    "\u{1b}[31mred\u{7}\u{0}\u{202e}desrever\u{2066}",
    "&lt;b&gt; &#60;b>",
    "    indented\n\n> quoted\n---\n===",
    "\\",
];

/// Each kind of block and inline in the text, and the longest row of each table.
fn structure(text: &str) -> Vec<String> {
    Parser::new_ext(text, Options::all())
        .filter_map(|event| match event {
            Event::Html(h) | Event::InlineHtml(h) => panic!("html {h:?} in\n{text}"),
            Event::Start(tag @ (Tag::Link { .. } | Tag::Image { .. } | Tag::Emphasis | Tag::Strong)) => {
                panic!("{tag:?} in\n{text}")
            }
            Event::Start(tag @ (Tag::CodeBlock(_) | Tag::BlockQuote(_) | Tag::Strikethrough)) => {
                panic!("{tag:?} in\n{text}")
            }
            Event::Start(Tag::Table(alignment)) => Some(format!("table of {}", alignment.len())),
            Event::Start(Tag::Heading { level, .. }) => Some(format!("{level}")),
            Event::Start(Tag::Item) => Some("item".to_owned()),
            Event::Start(Tag::Paragraph) => Some("paragraph".to_owned()),
            Event::Start(Tag::TableRow) => Some("row".to_owned()),
            Event::Start(Tag::TableCell) => Some("cell".to_owned()),
            Event::Rule | Event::FootnoteReference(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {
                panic!("{event:?} in\n{text}")
            }
            _ => None,
        })
        .collect()
}

fn filled_with(text: &str) -> Map {
    let mut map = figure();
    let p = &mut map.provenance;
    for field in [&mut p.model, &mut p.model_digest, &mut p.family, &mut p.format, &mut p.version, &mut p.command] {
        text.clone_into(field);
    }
    p.config_digest = Some(text.to_owned());
    map.grid.cells.iter_mut().for_each(|c| text.clone_into(&mut c.dtype));
    map.columns[0].scores[0] = Score::missing(Status::Undefined, text);
    let mut info = info(text, text);
    info.summary = text.to_owned().into();
    info.unit = text.to_owned().into();
    info.caveat = text.to_owned().into();
    map.columns[0].info = info;
    map
}

#[test]
fn nothing_in_a_file_becomes_markup() {
    let calm = structure(&markdown(&filled_with("calm words")));
    assert!(calm.len() > 100 && calm.contains(&"table of 7".to_owned()));
    for attack in ATTACKS {
        let text = markdown(&filled_with(attack));
        assert_eq!(structure(&text), calm, "{attack:?} changed the structure of\n{text}");
        let acting = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!text.chars().any(acting), "{attack:?}");
        // Sites that turn bare addresses into links do so in prose, not in code.
        let safe = prose(attack);
        assert!(!safe.contains("://") && !safe.contains("www."), "{safe}");
        // Readers of Markdown differ: some take half a tag for a tag, and most drop what a bar splits off a row.
        assert!(!safe.contains(['<', '>']) && !code(attack).contains('|'), "{attack:?}");
    }
}
