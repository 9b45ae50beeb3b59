//! Text from a checkpoint is data: here it loses everything that could act on a terminal, a reader's eye or a parser.

/// Stands for each character that was taken out.
const REPLACEMENT: char = '\u{fffd}';

/// One line of at most `max_chars` characters: line breaks become spaces; control, bidirectional-override, invisible
/// and non-characters become U+FFFD; what is too long ends in an ellipsis.
pub fn plain(text: &str, max_chars: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max_chars * 4));
    for (at, c) in text.chars().enumerate() {
        if at + 1 >= max_chars && text.chars().nth(max_chars).is_some() {
            out.push('…');
            break;
        }
        out.push(match c {
            '\n' | '\r' | '\t' => ' ',
            c if acts_unseen(c) => REPLACEMENT,
            c => c,
        });
    }
    out
}

/// Characters that change what surrounds them without being seen themselves.
fn acts_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{ad}' | '\u{180e}' | '\u{feff}' // marks and invisible breaks
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' // separators, embeddings, isolates
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' // annotations, tags
            | '\u{fdd0}'..='\u{fdef}')
        || (c as u32) & 0xfffe == 0xfffe
}

/// For XML and HTML, in element content and in quoted attributes.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// JSON that may stand inside `<script type="application/json">`: nothing in it can end the element or start a comment.
pub fn script_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // In JSON these occur inside strings only, so the \u form means the same.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_takes_out_what_acts_unseen() {
        assert_eq!(plain("a\u{1b}[31mb\u{202e}c\nd\u{0}", 80), "a\u{fffd}[31mb\u{fffd}c d\u{fffd}");
        assert_eq!(plain("\u{9b}2J", 80), "\u{fffd}2J", "C1 control sequence introducer");
        assert_eq!(plain("mot à mot, 層 12", 80), "mot à mot, 層 12");
    }

    #[test]
    fn plain_cuts_with_an_ellipsis() {
        assert_eq!(plain("abcdef", 6), "abcdef");
        assert_eq!(plain("abcdefg", 6), "abcde…");
        assert_eq!(plain(&"é".repeat(10_000), 10).chars().count(), 10);
    }

    #[test]
    fn xml_and_script_json_leave_no_markup() {
        assert_eq!(xml("<a b='\"'>&"), "&lt;a b=&#39;&quot;&#39;&gt;&amp;");
        let json = script_json("\"</script><!--\u{2028}&\"");
        assert_eq!(json, "\"\\u003c/script\\u003e\\u003c!--\\u2028\\u0026\"");
    }
}
