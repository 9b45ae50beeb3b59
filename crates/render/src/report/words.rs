//! Small words: plurals, lists, places, numbers.

use tomo_map::{Component, significant};

/// Significant digits of scores in sentences and tables.
const DIGITS: usize = 3;

/// A score or statistic.
pub(super) fn number(value: f64) -> String {
    significant(value, DIGITS)
}

/// Two numbers of one sentence: told apart where they differ.
pub(super) fn pair(a: f64, b: f64) -> (String, String) {
    let mut texts = tomo_map::significant_apart(&[a, b], DIGITS).into_iter();
    (texts.next().unwrap_or_default(), texts.next().unwrap_or_default())
}

/// `1 layer`, `3 layers`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(n as u64)) }
}

/// An integer with commas between thousands.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// A column in a sentence.
pub(super) fn column(component: Component) -> String {
    format!("`{component}`")
}

/// Several columns in a sentence.
pub(super) fn columns(components: &[Component]) -> String {
    list(&components.iter().map(|c| column(*c)).collect::<Vec<_>>())
}

/// `layer 3`, `layers 3 to 7`.
pub(super) fn layers(first: u32, last: u32) -> String {
    if first == last { format!("layer {first}") } else { format!("layers {first} to {last}") }
}

/// Text that should end a sentence: with a full stop unless it has its own end.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}
