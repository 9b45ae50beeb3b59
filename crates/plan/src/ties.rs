use std::collections::BTreeMap;

use tomo_map::{Cell, Component, Names};

use crate::Dialect;

/// Cells that are decided together, each group ascending, groups by their first cell.
///
/// Cells that share a tensor of the dialect always are. With `fuse`, q, k and v of a layer are too, and its gate and up; of a
/// mixture all experts' matrices, since what joins them wants one scheme for all.
pub(crate) fn groups(cells: &[Cell], names: &[Names], dialect: Dialect, fuse: bool) -> Vec<Vec<usize>> {
    let mut ties = Ties::new(cells.len());
    for (at, cell) in cells.iter().enumerate() {
        let name = names.get(at).and_then(|names| match dialect {
            Dialect::Gguf => names.gguf.as_deref(),
            Dialect::HuggingFace => names.hugging_face.as_deref(),
        });
        ties.tie(at, name.map(|name| Key::Tensor(name.to_owned())));
        ties.tie(at, fuse.then(|| fused_with(cell)).flatten());
    }
    ties.groups()
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Tensor(String),
    Attention(u32),
    Mlp(u32),
}

fn fused_with(cell: &Cell) -> Option<Key> {
    let layer = cell.id.layer;
    match cell.id.component {
        Component::AttnQ | Component::AttnK | Component::AttnV => Some(Key::Attention(layer)),
        Component::MlpUp | Component::MlpGate => Some(Key::Mlp(layer)),
        Component::MlpDown if cell.id.expert.is_some() => Some(Key::Mlp(layer)),
        Component::AttnO | Component::MlpDown => None,
    }
}

struct Ties {
    /// Towards the first cell of the group.
    parent: Vec<usize>,
    seen: BTreeMap<Key, usize>,
}

impl Ties {
    fn new(cells: usize) -> Self {
        Self { parent: (0..cells).collect(), seen: BTreeMap::new() }
    }

    fn first(&self, mut at: usize) -> usize {
        while self.parent[at] != at {
            at = self.parent[at];
        }
        at
    }

    fn tie(&mut self, at: usize, key: Option<Key>) {
        let Some(key) = key else { return };
        let with = *self.seen.entry(key).or_insert(at);
        let (a, b) = (self.first(at), self.first(with));
        self.parent[a.max(b)] = a.min(b);
    }

    fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in 0..self.parent.len() {
            groups.entry(self.first(at)).or_default().push(at);
        }
        groups.into_values().collect()
    }
}
