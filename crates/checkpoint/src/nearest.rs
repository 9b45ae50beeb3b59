//! "Did you mean": the name most like one that was not found.

/// Names that are looked at; more would make a mistake in a large folder slow.
const MOST_NAMES: usize = 10_000;

/// Jaro-Winkler similarity below which a name is no help.
const LEAST_SIMILARITY: f64 = 0.85;

/// The one of `names` most like `wanted`, if any is close.
pub(crate) fn nearest<T: AsRef<str>>(wanted: &str, names: impl Iterator<Item = T>) -> Option<T> {
    names
        .take(MOST_NAMES)
        .map(|name| (strsim::jaro_winkler(wanted, name.as_ref()), name))
        .filter(|(similarity, _)| *similarity >= LEAST_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}
