//! Text from files, made safe for Markdown: it shows as text, whatever it holds.

use crate::escape::plain;

/// Longest text from a file that the report repeats, in characters.
const LONGEST: usize = 300;

/// Characters that could start markup anywhere in a line (CommonMark, tables and links as GitHub extends it), and `@`,
/// which some sites turn into a mention.
const MARKUP: &str = "\\`*_{}[]#+!|~$@^=";

/// `text` for a place where prose stands, the beginning of a line included.
pub fn prose(text: &str) -> String {
    let text = plain(text, LONGEST);
    let text = text.trim();
    let mut safe = String::with_capacity(text.len());
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    for (at, c) in text.chars().enumerate() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            // Here they would start a list.
            '-' if at == 0 => safe.push_str("\\-"),
            '.' | ')' if at == digits => safe.extend(['\\', c]),
            c if MARKUP.contains(c) => safe.extend(['\\', c]),
            c => safe.push(c),
        }
    }
    // A bare address must not become a link.
    safe.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// `text` as code, for a cell of a table or a line of prose: nothing inside is markup.
pub fn code(text: &str) -> String {
    // A table splits at bars before it looks for code, so a bar has no form that is right both inside and outside one;
    // U+2223 looks the same.
    let text = plain(text, LONGEST).replace('|', "\u{2223}");
    if text.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let longest_run = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest_run + 1);
    if longest_run > 0 || text.starts_with(' ') || text.ends_with(' ') {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}
