/// The manual of a registry entry: the `//!` header of its source file, without the comment marks.
///
/// ```
/// assert_eq!(tomo_map::manual("//! # Measures\n//! The size of W.\n\nuse std::fmt;\n"), "# Measures\nThe size of W.");
/// ```
pub fn manual(source: &str) -> String {
    let header = source.lines().map_while(|line| line.strip_prefix("//!"));
    header.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}
