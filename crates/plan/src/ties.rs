use std::collections::BTreeMap;

use tomo_map::{CellId, Component, Names};

use crate::{Dialect, Plan, find_client};

/// What ties cells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    /// Sharing a tensor.
    Tensors,
    /// Being stored: also experts of one projection of a layer, which runtimes stack; and where `fused` q, k and v of a layer, its up
    /// and gate, and all matrices of its experts, since what joins them wants one scheme for all.
    Stored {
        /// Whether projections are joined.
        fused: bool,
    },
}

/// Cells that are decided together, each group ascending, groups by their first cell. Cells that share a tensor of the dialect
/// always are.
pub(crate) fn groups<'a>(
    cells: impl Iterator<Item = (CellId, &'a Names)>,
    dialect: Dialect,
    tie: Tie,
) -> Vec<Vec<usize>> {
    let mut ties = Ties { parent: Vec::new(), seen: BTreeMap::new() };
    for (id, names) in cells {
        let name = match dialect {
            Dialect::Gguf => names.gguf.as_ref(),
            Dialect::HuggingFace => names.hugging_face.as_ref(),
        };
        let stacked = id.expert.map(|_| Key::Experts(id.layer, id.component)).filter(|_| tie != Tie::Tensors);
        let fused = (tie == Tie::Stored { fused: true }).then(|| fused_with(id)).flatten();
        ties.push([name.cloned().map(Key::Tensor), stacked, fused]);
    }
    ties.groups()
}

impl Plan {
    /// Indices of the cells that are stored alike in this plan: each group ascending, groups by their first cell. Cells that share a
    /// tensor, experts of one projection, and where the plan is fused what its client joins.
    pub fn ties(&self) -> Vec<Vec<usize>> {
        let dialect = find_client(&self.client).map_or(Dialect::Gguf, |client| client.dialect);
        groups(self.cells.iter().map(|cell| (cell.id, &cell.names)), dialect, Tie::Stored { fused: self.fused })
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Tensor(String),
    Experts(u32, Component),
    Attention(u32),
    Mlp(u32),
}

fn fused_with(id: CellId) -> Option<Key> {
    match id.component {
        Component::AttnQ | Component::AttnK | Component::AttnV => Some(Key::Attention(id.layer)),
        Component::MlpUp | Component::MlpGate => Some(Key::Mlp(id.layer)),
        Component::MlpDown if id.expert.is_some() => Some(Key::Mlp(id.layer)),
        Component::AttnO | Component::MlpDown => None,
    }
}

struct Ties {
    /// Towards the first cell of the group.
    parent: Vec<usize>,
    seen: BTreeMap<Key, usize>,
}

impl Ties {
    fn first(&self, mut at: usize) -> usize {
        while self.parent[at] != at {
            at = self.parent[at];
        }
        at
    }

    /// The next cell, tied to all that had one of its keys.
    fn push(&mut self, keys: [Option<Key>; 3]) {
        let at = self.parent.len();
        self.parent.push(at);
        for key in keys.into_iter().flatten() {
            let with = *self.seen.entry(key).or_insert(at);
            let (a, b) = (self.first(at), self.first(with));
            self.parent[a.max(b)] = a.min(b);
        }
    }

    fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in 0..self.parent.len() {
            groups.entry(self.first(at)).or_default().push(at);
        }
        groups.into_values().collect()
    }
}
