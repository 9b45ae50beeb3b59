//! Tensor-name patterns: `{}` stands for the layer, `{e}` for the expert, `{*}` for any other number.

/// The numbers a name has where its pattern has placeholders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) layer: Option<u32>,
    pub(crate) expert: Option<u32>,
    /// The number at `{*}`.
    pub(crate) other: Option<u32>,
}

#[derive(Clone, Copy)]
enum Placeholder {
    Layer,
    Expert,
    Any,
}

const PLACEHOLDERS: [(&str, Placeholder); 3] =
    [("{}", Placeholder::Layer), ("{e}", Placeholder::Expert), ("{*}", Placeholder::Any)];

/// The name that `pattern` means for one layer and expert.
pub(crate) fn fill(pattern: &str, layer: u32, expert: Option<u32>) -> String {
    let name = pattern.replace("{}", &layer.to_string());
    match expert {
        Some(e) => name.replace("{e}", &e.to_string()),
        None => name,
    }
}

/// The layer and expert of `name` when `pattern` describes it. A number is written without leading zeros.
pub(crate) fn numbers_from_name(pattern: &str, name: &str) -> Option<Numbers> {
    let mut found = Numbers::default();
    let (mut pattern, mut name) = (pattern, name);
    while let Some((at, length, placeholder)) = next_placeholder(pattern) {
        name = name.strip_prefix(&pattern[..at])?;
        pattern = &pattern[at + length..];
        let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
        let number = number_from_digits(&name[..digits])?;
        name = &name[digits..];
        match placeholder {
            Placeholder::Layer => found.layer = Some(number),
            Placeholder::Expert => found.expert = Some(number),
            Placeholder::Any => found.other = Some(number),
        }
    }
    (pattern == name).then_some(found)
}

fn next_placeholder(pattern: &str) -> Option<(usize, usize, Placeholder)> {
    PLACEHOLDERS
        .iter()
        .filter_map(|(text, kind)| pattern.find(text).map(|at| (at, text.len(), *kind)))
        .min_by_key(|(at, ..)| *at)
}

fn number_from_digits(digits: &str) -> Option<u32> {
    let canonical = digits == "0" || !digits.starts_with('0');
    if canonical { digits.parse().ok() } else { None }
}

/// `model.layers.7.mlp.experts.3.w1.weight` as `model.layers.{}.mlp.experts.{}.w1.weight`: how many layers there are
/// does not matter to somebody who looks for a naming scheme.
pub(crate) fn generalise(name: &str) -> String {
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    name.split('.').map(|part| if numeric(part) { "{}" } else { part }).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filled_pattern_is_recognised() {
        let pattern = "layers.{}.experts.{e}.w1.weight";
        let name = fill(pattern, 12, Some(3));
        assert_eq!(name, "layers.12.experts.3.w1.weight");
        let found = numbers_from_name(pattern, &name).unwrap();
        assert_eq!((found.layer, found.expert), (Some(12), Some(3)));
    }

    #[test]
    fn what_is_not_the_pattern_is_refused() {
        for name in [
            "layers.x.w",
            "layers..w",
            "layers.01.w",
            "layers.1.w.more",
            "xlayers.1.w",
            "layers.99999999999.w",
            "layers.1",
        ] {
            assert_eq!(numbers_from_name("layers.{}.w", name), None, "{name}");
        }
        assert!(numbers_from_name("layers.{}.norms.{*}.w", "layers.0.norms.7.w").is_some());
    }

    #[test]
    fn names_generalise_by_whole_parts() {
        assert_eq!(generalise("h.11.attn.c_attn.weight"), "h.{}.attn.c_attn.weight");
        assert_eq!(generalise("block2.1.w1"), "block2.{}.w1");
    }
}
