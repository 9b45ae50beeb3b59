//! Rewritten weights that many variants of one pass have in common.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::{CellWeights, Change, EngineError, Rewrite};

/// Makes changes of equal cells and texts one and the same, and keeps what they make of a block's weights while that block runs:
/// a cell that is stored alike in a hundred variants is encoded once.
///
/// ```
/// use tomo_model::change::Shared;
///
/// // Up to 256 MB of rewritten weights are kept beside what a pass takes.
/// let shared = Shared::new(256_000_000);
/// # drop(shared);
/// ```
pub struct Shared {
    changes: Mutex<HashMap<(usize, String), Change>>,
    kept: Arc<Kept>,
}

/// What was made of the weights of one layer.
struct Kept {
    most_bytes: u64,
    of: Mutex<OfLayer>,
}

#[derive(Default)]
struct OfLayer {
    layer: Option<u32>,
    bytes: u64,
    made: HashMap<(usize, String), Arc<Vec<f32>>>,
}

/// A change of which the result is kept.
struct SharedRewrite {
    inner: Arc<dyn Rewrite>,
    layer: u32,
    key: (usize, String),
    kept: Arc<Kept>,
}

impl Shared {
    /// Keeps up to `most_bytes` of rewritten weights.
    pub fn new(most_bytes: u64) -> Self {
        let kept = Arc::new(Kept { most_bytes, of: Mutex::default() });
        Self { changes: Mutex::default(), kept }
    }

    /// The change of cell number `cell`, which is in `layer`, that `text` describes: the one that was given for it first.
    pub(super) fn change(&self, layer: u32, cell: usize, text: &str, change: Change) -> Change {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (cell, text.to_owned());
        if let Some(known) = changes.get(&key) {
            return known.clone();
        }
        let change = match change {
            Change::Weights(inner) => {
                let kept = Arc::clone(&self.kept);
                Change::Weights(Arc::new(SharedRewrite { inner, layer, key: key.clone(), kept }))
            }
            output @ Change::Output(_) => output,
        };
        changes.insert(key, change.clone());
        change
    }
}

impl Rewrite for SharedRewrite {
    fn rewrite(&self, weights: &CellWeights<'_>, out: &mut [f32]) -> Result<(), EngineError> {
        self.inner.rewrite(weights, out)
    }

    fn kept(&self, weights: &CellWeights<'_>) -> Result<Option<Arc<Vec<f32>>>, EngineError> {
        if let Some(known) = self.kept.get(self.layer, &self.key) {
            return Ok(Some(known));
        }
        // Two threads may make the same at once; they make the same bits.
        let mut made = vec![0.0; weights.values.len()];
        self.inner.rewrite(weights, &mut made)?;
        let made = Arc::new(made);
        self.kept.put(self.layer, &self.key, &made);
        Ok(Some(made))
    }
}

impl Kept {
    fn get(&self, layer: u32, key: &(usize, String)) -> Option<Arc<Vec<f32>>> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if of.layer != Some(layer) {
            *of = OfLayer { layer: Some(layer), ..OfLayer::default() };
        }
        of.made.get(key).map(Arc::clone)
    }

    fn put(&self, layer: u32, key: &(usize, String), made: &Arc<Vec<f32>>) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = 4 * made.len() as u64;
        if of.layer == Some(layer) && of.bytes + bytes <= self.most_bytes {
            of.bytes += bytes;
            of.made.insert(key.clone(), Arc::clone(made));
        }
    }
}
