//! From a cut to what each kind of metric works on.

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};
use tomo_map::Grid;
use tomo_metrics::{Along, Selected, Share};

use super::cut::{Cut, Shard};

/// Why a cell has no score in the map of a part.
pub(crate) const ELSEWHERE: &str = "left to another part of the scan";

/// What a part of a scan works on, by what its metrics read; nothing where the scan has none of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Shares {
    /// For metrics of the weights alone, of a comparison, and of an imatrix.
    pub weights: Option<Share>,
    /// For metrics that take a forward pass.
    pub activations: Option<Share>,
    /// For metrics that take reverse passes.
    pub gradients: Option<Share>,
    /// For metrics that take passes of changed models.
    pub causal: Option<Share>,
}

/// What a metric's numbers are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reads {
    Weights,
    Activations,
    Gradients,
    Causal,
}

impl Reads {
    pub(super) const ALL: [Self; 4] = [Self::Weights, Self::Activations, Self::Gradients, Self::Causal];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Activations => "activations",
            Self::Gradients => "gradients",
            Self::Causal => "interventions",
        }
    }

    fn of(selected: &Selected, has_imatrix: bool) -> Self {
        match selected {
            s if s.reads_gradients() => Self::Gradients,
            s if s.is_causal() => Self::Causal,
            s if s.reads_activations() && !has_imatrix => Self::Activations,
            _ => Self::Weights,
        }
    }
}

impl Shares {
    /// What `cut` leaves to a scan of `selected` on so many sequences.
    ///
    /// # Errors
    /// A selection that does not fit the model; fewer cells or sequences than parts.
    pub(crate) fn new(
        cut: &Cut,
        grid: &Grid,
        selected: &[Selected],
        has_imatrix: bool,
        sequences: usize,
    ) -> anyhow::Result<Self> {
        let share = |reads: Reads| -> anyhow::Result<Option<Share>> {
            let its: Vec<&Selected> = selected.iter().filter(|s| Reads::of(s, has_imatrix) == reads).collect();
            if its.is_empty() {
                return Ok(None);
            }
            let shard = match cut {
                Cut::Cells(selection) => return Ok(Some(Share::Cells(selection.cells(grid)?))),
                Cut::Shard(shard) => *shard,
            };
            let by_sequence = reads != Reads::Weights && its.iter().all(|s| s.along() == Along::Sequences);
            let share = match reads {
                _ if by_sequence => Share::Sequences(shard.neighbours(sequences).collect()),
                // Changes in low layers take longer: every part gets cells of all depths.
                Reads::Causal => Share::Cells(dealt_out(shard, grid.cells.len())),
                _ => Share::Cells(neighbouring_cells(shard, grid)),
            };
            let (Share::Cells(items) | Share::Sequences(items)) = &share;
            if items.is_empty() {
                let what = if by_sequence {
                    format!("{sequences} sequences: more --tokens make more of them")
                } else {
                    format!("{} cells", grid.cells.len())
                };
                bail!("part {shard} would be empty\n  found: {what}\n  hint: choose fewer parts");
            }
            Ok(Some(share))
        };
        let shares = Self {
            weights: share(Reads::Weights)?,
            activations: share(Reads::Activations)?,
            gradients: share(Reads::Gradients)?,
            causal: share(Reads::Causal)?,
        };
        Ok(shares)
    }

    /// The share for metrics that read this.
    pub(crate) fn get(&self, reads: Reads) -> Option<&Share> {
        match reads {
            Reads::Weights => self.weights.as_ref(),
            Reads::Activations => self.activations.as_ref(),
            Reads::Gradients => self.gradients.as_ref(),
            Reads::Causal => self.causal.as_ref(),
        }
    }

    /// All of them, with what they are for in words.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &Share)> {
        Reads::ALL.into_iter().filter_map(|reads| Some((reads.name(), self.get(reads)?)))
    }

    /// The share of a metric.
    pub(super) fn of(&self, selected: &Selected, has_imatrix: bool) -> Option<&Share> {
        self.get(Reads::of(selected, has_imatrix))
    }

    /// Checks that every index is one of a grid of so many cells and a text of so many sequences, in order.
    ///
    /// # Errors
    /// One is not.
    pub(super) fn check(&self, cells: usize, sequences: usize) -> anyhow::Result<()> {
        for (what, share) in self.each() {
            let (items, count) = match share {
                Share::Cells(items) => (items, cells),
                Share::Sequences(items) => (items, sequences),
            };
            let ascending = items.windows(2).all(|w| w[0] < w[1]);
            ensure!(
                ascending && items.last().is_none_or(|i| *i < count),
                "the share of {what} is not of this model and text"
            );
        }
        Ok(())
    }
}

/// Neighbouring cells with a like number of weights, so that files are read in stretches.
fn neighbouring_cells(shard: Shard, grid: &Grid) -> Vec<usize> {
    let total: u128 = grid.cells.iter().map(|cell| u128::from(cell.numel())).sum();
    let mut before = 0_u128;
    let mut own = Vec::new();
    for (at, cell) in grid.cells.iter().enumerate() {
        // A cell belongs where its middle lies.
        let middle = 2 * before + u128::from(cell.numel());
        if middle * u128::from(shard.of()) / (2 * total.max(1)) == u128::from(shard.number() - 1) {
            own.push(at);
        }
        before += u128::from(cell.numel());
    }
    own
}

/// Every so manieth of `count` items.
fn dealt_out(shard: Shard, count: usize) -> Vec<usize> {
    (shard.number() as usize - 1..count).step_by(shard.of() as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 items over 4 parts: 0 1 | 2 3 4 | 5 6 | 7 8 9, and dealt out 0 4 8 | 1 5 9 | 2 6 | 3 7.
    #[test]
    fn parts_hold_every_item_once() {
        let parts = |items: fn(Shard) -> Vec<usize>| -> Vec<Vec<usize>> {
            (1..=4).map(|number| items(Shard::new(number, 4).unwrap())).collect()
        };
        assert_eq!(parts(|s| s.neighbours(10).collect()), [vec![0, 1], vec![2, 3, 4], vec![5, 6], vec![7, 8, 9]]);
        assert_eq!(parts(|s| dealt_out(s, 10)), [vec![0, 4, 8], vec![1, 5, 9], vec![2, 6], vec![3, 7]]);
    }
}
