/// Why maps cannot be held against a ground truth.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No map was given.
    #[error("no map was given: expected at least one")]
    NoMap,
    /// Two maps are of different matrices.
    #[error("{other} is of another grid than {first}: {place}: expected {expected}, found {found}")]
    Grid {
        /// Name of the first map.
        first: String,
        /// Name of the map that differs.
        other: String,
        /// Where they differ.
        place: String,
        /// What the first has there.
        expected: String,
        /// What the other has.
        found: String,
    },
    /// Two maps have the same grid, but are of different weights.
    #[error(
        "{other} is a map of another model than {first}: expected digest {expected}, found {found}; --force compares them all the same"
    )]
    Model {
        /// Name of the first map.
        first: String,
        /// Name of the map that differs.
        other: String,
        /// Digest of the first one's model.
        expected: String,
        /// Digest of the other's.
        found: String,
    },
    /// No map holds the ground truth that was asked for.
    #[error("no map holds {asked:?}: expected one of {}", listed(.known))]
    NoSuchMetric {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// None was asked for, and the maps hold none, or several.
    #[error("which measured cost the maps are held against was not said: expected a metric of family causal in one of the maps, found {}",
        if .found.is_empty() { "none".to_owned() } else { listed(.found) })]
    NoTruth {
        /// The measured costs that there are.
        found: Vec<String>,
    },
    /// The ground truth has too few values, or too few different ones.
    #[error("{metric} orders too few cells: expected at least {expected} with values that differ, found {found}")]
    TooFewCells {
        /// Id of the ground truth.
        metric: String,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// `measured.json` is not what it should be.
    #[error("{place}: expected {expected}, found {found}")]
    Measured {
        /// Where in the file.
        place: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

fn listed(ids: &[String]) -> String {
    const MOST: usize = 12;
    let shown = ids.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    let left = ids.len().saturating_sub(MOST);
    if left > 0 { format!("{shown} and {left} more") } else { shown }
}
