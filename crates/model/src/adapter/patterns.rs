//! `rank_pattern` and `alpha_pattern`: of the keys that match a module's name, the first in the file counts.
//!
//! A key matches as in `peft.utils.other.get_pattern_key`: `re.match(rf"(.*\.)?({key})$", name)`, so it has to reach the end of
//! the name and to begin at a dot or at the start. `proj` does not match `q_proj`, and `^` matches at the very start only.

use fancy_regex::RegexBuilder;

use super::object::key;
use crate::error::{ModelError, quoted};

/// Numbers by pattern, in the file's order.
#[derive(Debug)]
pub(crate) struct Patterns<T> {
    name: &'static str,
    entries: Vec<(String, T)>,
}

/// Comparisons of a name with a pattern that are made at all: some seconds. A pattern for each of four thousand modules
/// stays below it.
const MOST_COMPARISONS: usize = 1 << 24;

/// Bytes that one compiled expression may take.
const MOST_COMPILED: usize = 1 << 20;

impl<T: Copy> Patterns<T> {
    pub(crate) fn new(name: &'static str, entries: Vec<(String, T)>) -> Self {
        Self { name, entries }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// For each of `modules` the number of the first pattern that matches. One expression is compiled at a time.
    pub(crate) fn first_matches(&self, modules: &[&str]) -> Result<Vec<Option<T>>, ModelError> {
        if self.entries.len().saturating_mul(modules.len()) > MOST_COMPARISONS {
            let found = format!("{} patterns for {} modules", self.entries.len(), modules.len());
            return Err(key(
                self.name,
                &format!("at most {MOST_COMPARISONS} comparisons"),
                &found,
                "use fewer patterns",
            ));
        }
        let mut numbers = vec![None; modules.len()];
        for (pattern, number) in &self.entries {
            let wrong = |expected: &str, found: String| {
                let hint = "write it without what only Python's expressions know";
                key(&format!("{}: {pattern}", self.name), expected, &quoted(&found), hint)
            };
            let mut builder = RegexBuilder::new(&format!(r"^(.*\.)?({pattern})$"));
            let regex = builder.delegate_size_limit(MOST_COMPILED).build();
            let regex = regex.map_err(|e| wrong("a regular expression", e.to_string()))?;
            for (module, found) in modules.iter().zip(&mut numbers).filter(|(_, found)| found.is_none()) {
                let matches =
                    regex.is_match(module).map_err(|e| wrong("an expression that can be matched", e.to_string()))?;
                *found = matches.then_some(*number);
            }
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(entries: &[(&str, u64)]) -> Patterns<u64> {
        Patterns::new("rank_pattern", entries.iter().map(|(p, n)| ((*p).to_owned(), *n)).collect())
    }

    fn first(entries: &[(&str, u64)], module: &str) -> Option<u64> {
        patterns(entries).first_matches(&[module]).unwrap()[0]
    }

    /// What Python's re says of the same keys (`re.match(rf"(.*\.)?({key})$", name)`).
    #[test]
    fn keys_match_as_in_peft() {
        const Q: &str = "model.layers.0.self_attn.q_proj";
        for (key, matches) in [
            ("q_proj", true),
            ("proj", false),
            (".*proj", true),
            ("^q_proj", false),
            (r"^model\.layers\.0\.self_attn\.q_proj", true),
            (r"layers\.0\.self_attn\.q_proj", true),
            (r"base_model\.model\.model\.layers\.0\.self_attn\.q_proj", false),
            (r"layers\.0\..*", true),
            (r"layers\.0", false),
            ("k_proj|q_proj", true),
            (r"layers\.(?!1)\d+\..*", true),
            (r"layers\.(?!0)\d+\..*", false),
            ("q_proj$", true),
        ] {
            assert_eq!(first(&[(key, 3)], Q).is_some(), matches, "{key}");
        }
    }

    #[test]
    fn the_first_of_several_counts() {
        assert_eq!(first(&[("k_proj", 1), ("q_proj", 2), (r".*\.q_proj", 3)], "a.q_proj"), Some(2));
    }

    #[test]
    fn expressions_that_would_take_for_ever_or_all_memory() {
        let slow = patterns(&[(r"(a*)*(?=b)\3x", 1)]).first_matches(&[&"a".repeat(3000)]);
        let large = patterns(&[(r"(\w{1000}){1000}", 1)]).first_matches(&["a"]);
        let none = patterns(&[("(q_proj", 1)]).first_matches(&["a"]);
        for refused in [slow, large, none] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("\"rank_pattern: ("), "{error}");
        }
        let many: Vec<_> = (0..5000).map(|_| ("a", 1)).collect();
        let error = patterns(&many).first_matches(&["b"; 5000]).unwrap_err().to_string();
        assert!(error.contains("5000 patterns for 5000 modules"), "{error}");
    }
}
