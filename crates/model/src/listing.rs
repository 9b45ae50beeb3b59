//! What is in a checkpoint, in few lines.

use std::collections::BTreeMap;
use std::fmt;

use tomo_checkpoint::TensorInfo;

use crate::error::quoted;
use crate::pattern::generalise;

/// Shapes shown per pattern; one more is kept to know that there are more. A hostile file has a shape per tensor.
const MOST_SHAPES: usize = 3;

/// Tensors whose names differ only in their numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamePattern {
    /// The name with `{}` for every number.
    pub pattern: String,
    /// How many tensors have it.
    pub count: usize,
    /// The first few of their shapes, each once, in order of appearance, as printed: `[576, 1536]`.
    pub shapes: Vec<String>,
}

/// Naming patterns of a checkpoint, sorted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing(pub Vec<NamePattern>);

impl Listing {
    /// The patterns of `tensors`.
    pub fn new<'a>(tensors: impl IntoIterator<Item = &'a TensorInfo>) -> Self {
        let mut patterns = BTreeMap::<String, NamePattern>::new();
        for tensor in tensors {
            let pattern = generalise(&tensor.name);
            let entry =
                patterns.entry(pattern.clone()).or_insert(NamePattern { pattern, count: 0, shapes: Vec::new() });
            entry.count += 1;
            let shape = format!("{:?}", tensor.shape);
            if entry.shapes.len() <= MOST_SHAPES && !entry.shapes.contains(&shape) {
                entry.shapes.push(shape);
            }
        }
        Self(patterns.into_values().collect())
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST_PATTERNS: usize = 40;
        write!(f, "{} tensor name patterns", self.0.len())?;
        for entry in self.0.iter().take(MOST_PATTERNS) {
            let shapes = entry.shapes.iter().take(MOST_SHAPES).map(String::as_str).collect::<Vec<_>>().join(" ");
            let more = if entry.shapes.len() > MOST_SHAPES { " …" } else { "" };
            write!(f, "\n    {} x{} {shapes}{more}", quoted(&entry.pattern), entry.count)?;
        }
        match self.0.len().checked_sub(MOST_PATTERNS) {
            Some(hidden) if hidden > 0 => write!(f, "\n    … and {hidden} more"),
            _ => Ok(()),
        }
    }
}
