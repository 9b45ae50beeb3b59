/// How alike (Jaro-Winkler) a known name must be to an unknown one to be suggested.
const NEAR: f64 = 0.8;

/// Up to three of the `known` names that are most like `name`, for "did you mean"; none if none is close.
pub fn near_names(name: &str, known: impl Iterator<Item = String>) -> Vec<String> {
    let mut alike: Vec<(f64, String)> = known
        .map(|known| (strsim::jaro_winkler(name, &known), known))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    alike.dedup_by(|a, b| a.1 == b.1);
    alike.into_iter().take(3).map(|(_, known)| known).collect()
}
