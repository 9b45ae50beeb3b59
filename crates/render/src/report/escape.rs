//! Text from files, made safe for Markdown: it shows as text, whatever it holds.

/// Longest text from a file that the report repeats, in characters.
const LONGEST: usize = 300;

/// Characters that could start markup anywhere in a line (CommonMark, tables and links as GitHub extends it), and `@`,
/// which some sites turn into a mention.
const MARKUP: &str = "\\`*_{}[]()#+!|~$@^=";

/// `text` for a place where prose stands.
pub(super) fn prose(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            // A bare address must not become a link.
            ':' => safe.push_str("&#58;"),
            c if MARKUP.contains(c) => safe.extend(['\\', c]),
            c => safe.push(c),
        }
    }
    safe.replace("www.", "www&#46;")
}

/// `text` as code, for a cell of a table or a line of prose: nothing inside is markup.
pub(super) fn code(text: &str) -> String {
    let text = visible(text);
    if text.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let longest_run = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest_run + 1);
    // A table splits at bars before it looks for code, so a bar has no form that is right both inside and outside one.
    let text = text.replace('|', "\u{2223}");
    if longest_run > 0 || text.starts_with(' ') || text.ends_with(' ') {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}

/// Control characters, line ends and characters that change the direction of writing spelt out; cut if very long.
fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
    };
    let mut shown = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == LONGEST {
            shown.push_str("...");
            break;
        }
        if hidden(c) { shown.extend(c.escape_unicode().filter(|c| !"\\{}".contains(*c))) } else { shown.push(c) }
    }
    shown
}
