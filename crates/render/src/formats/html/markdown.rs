use std::fmt::Write as _;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

/// The written report as HTML that can do nothing: markup in the source shows as text, links and images lose their targets.
pub(super) fn to_html(markdown: &str) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock | Tag::MetadataBlock(_))
        | Event::End(TagEnd::Link | TagEnd::Image | TagEnd::HtmlBlock | TagEnd::MetadataBlock(_)) => None,
        other => Some(other),
    });
    let mut out = String::new();
    if html::write_html_fmt(&mut out, events.map(without_style)).is_err() {
        // Writing to a String cannot fail; if it ever does, the page says so instead of being silently short.
        let _ = write!(out, "<p>the report could not be written in full</p>");
    }
    out
}

/// Aligned table cells come with a `style` attribute, which the page's policy refuses; alignment is left to its style sheet.
fn without_style(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Start(Tag::Table(columns)) => {
            Event::Start(Tag::Table(columns.into_iter().map(|_| pulldown_cmark::Alignment::None).collect()))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_the_source_shows_as_text() {
        let out = to_html(
            "# T\n\n<script>alert(1)</script>\n\na <b onclick=x>b</b> [l](javascript:alert(1)) ![i](http://x/y)\n",
        );
        assert!(
            !out.contains("<script") && !out.contains("<b ") && !out.contains("href") && !out.contains("<img"),
            "{out}"
        );
        assert!(out.contains("&lt;script&gt;") && out.contains("<h1>T</h1>"), "{out}");
    }

    #[test]
    fn tables_have_no_inline_style() {
        let out = to_html("| a | b |\n|:--|--:|\n| 1 | 2 |\n");
        assert!(out.contains("<td>2</td>") && !out.contains("style"), "{out}");
    }
}
