//! Sentences with holes: `{thing}` is what the document calls so, else drawn from the list of that name.

use super::draw::Draw;
use super::words::{NUMBERS, list};

/// What a document has named so far.
#[derive(Default)]
pub(crate) struct Names(Vec<(&'static str, String)>);

impl Names {
    /// Calls `value` `name` from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((name, value.into()));
    }

    /// Draws from list `list`, and calls that `name` from now on.
    pub(crate) fn draw(&mut self, draw: &mut Draw, name: &'static str, from: &str) {
        if let Some(words) = list(from) {
            self.set(name, draw.pick(words));
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// `template` with its holes filled. `{a thing}` puts the right article in front; a capital first letter (`{A thing}`,
/// `{He}`) gives one; `{a quality thing}` fills two holes under one article. `{#}` is a small number in digits.
pub(crate) fn fill(template: &str, names: &Names, draw: &mut Draw) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (hole, after) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(&filled(hole, names, draw));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn filled(hole: &str, names: &Names, draw: &mut Draw) -> String {
    let words: Vec<&str> = hole.split(' ').collect();
    let value = match words.as_slice() {
        ["a" | "A", content @ ..] if !content.is_empty() => {
            let content: Vec<String> = content.iter().map(|w| word(w, names, draw)).collect();
            with_article(&content.join(" "))
        }
        words => words.iter().map(|w| word(w, names, draw)).collect::<Vec<_>>().join(" "),
    };
    if hole.starts_with(char::is_uppercase) { capital(&value) } else { value }
}

fn word(name: &str, names: &Names, draw: &mut Draw) -> String {
    if name == "#" {
        return draw.within(2, 60).to_string();
    }
    if let Some(value) = names.get(name) {
        return value.to_owned();
    }
    let lower = name.to_lowercase();
    match (names.get(&lower), list(&lower)) {
        (Some(value), _) => value.to_owned(),
        (None, Some(words)) => draw.pick(words).to_owned(),
        (None, None) => name.to_owned(),
    }
}

/// With "a" or "an" in front.
pub(crate) fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o']) || noun.starts_with("um") { "an" } else { "a" };
    format!("{article} {noun}")
}

/// With a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A number in words up to twelve, in digits beyond.
pub(crate) fn counted(number: usize) -> String {
    NUMBERS.get(number).map_or_else(|| number.to_string(), |word| (*word).to_owned())
}
