//! The gradient of losses to the final hidden states, in one sweep over the vocabulary.
//!
//! With `p` the model's distribution the gradient of a label's loss is `W^T p - W[label]`. The sum `W^T p` runs along with the
//! log-sum-exp, rescaled when the maximum grows as in streaming attention (Milakov and Gimelshein 2018; Dao et al. 2022), so
//! that logits are computed once and serve all objectives. What depends on single entries of the vocabulary, labels and
//! draws, is settled in a second sweep, in which there are no products.

mod distribution;
mod draw;

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use self::distribution::{Distribution, multiply, see, see_pair};
use self::draw::{Place, cross, place};
use super::head::HeadRows;

/// What rows of hidden states are to predict.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Targets<'a> {
    /// Negative log likelihood of these, one per row.
    Labels(&'a [u32]),
    /// Negative log likelihood of entries drawn from the model's own distribution: one uniform number between 0 and 1 per
    /// row, at which the distribution function is inverted.
    Drawn(&'a [f64]),
    /// `KL(reference || model)`: the final hidden states of the reference, `[N, D]`.
    Divergence(&'a [f32]),
}

/// Losses of N rows for K objectives, and their gradients.
#[derive(Debug)]
pub(crate) struct HeadGradients {
    /// `[K][N]`, in nats. NaN where a logit was, or where there is no such label.
    pub(crate) losses: Vec<Vec<f64>>,
    /// `[K][N]`: the labels that were drawn or given; empty for a divergence.
    pub(crate) labels: Vec<Vec<u32>>,
    /// `[K]` of `[N, D]`: the gradient of the sum over rows to the hidden states.
    pub(crate) gradients: Vec<Vec<f32>>,
}

/// Rows in a block, at most: so many share the packing of weights.
const BLOCK: usize = 512;

/// Entries of the vocabulary at a time.
const TILE: usize = 192;

/// Losses and gradients, while the head goes by: all of it through [`HeadLoss::see`], then [`HeadLoss::settle`], then all of
/// it through [`HeadLoss::resolve`], then [`HeadLoss::finish`].
pub(crate) struct HeadLoss<'a> {
    blocks: Vec<Block<'a>>,
    /// Entries of the vocabulary in each tile.
    tiles: Vec<Range<usize>>,
}

/// Some of the rows; R of them.
struct Block<'a> {
    /// `[R, D]`; a single row is there twice, since a product with a vector takes another path through faer.
    own: Distribution<'a>,
    goals: Vec<Goal<'a>>,
    /// Per tile and row, where something is to be drawn: what logits were taken against, and the sum of their exponentials.
    tiles: Option<Vec<(f32, f32)>>,
}

/// One objective on the rows of a block.
struct Goal<'a> {
    kind: Kind<'a>,
    losses: Vec<f64>,
    /// `[R, D]`.
    gradient: Vec<f32>,
}

enum Kind<'a> {
    Labels {
        labels: Vec<u32>,
        logits: Vec<f32>,
    },
    Drawn {
        uniforms: &'a [f64],
        places: Vec<Place>,
        labels: Vec<u32>,
    },
    Divergence {
        reference: Distribution<'a>,
        /// Sum of `exp(reference logit - max) * (reference logit - logit)`.
        cross: Vec<f64>,
    },
}

thread_local! {
    /// Logits of one block and tile, of the model and of a reference, and slopes of the soft cap: `[BLOCK, TILE]` each.
    static BUFFERS: RefCell<[Vec<f32>; 3]> = RefCell::default();
}

impl<'a> HeadLoss<'a> {
    /// For hidden states `[N, D]` and one or more objectives.
    pub(crate) fn new(hidden: &'a [f32], cols: usize, targets: &[Targets<'a>]) -> Self {
        let rows = hidden.len().checked_div(cols).unwrap_or(0);
        // Two blocks and more per thread, so that none waits long for the last; whole groups of the kernel's rows.
        let share = rows.div_ceil(2 * rayon::current_num_threads()).clamp(64, BLOCK).next_multiple_of(4);
        let block = |first: usize| Block::new(hidden, cols, first..rows.min(first + share), targets);
        Self { blocks: (0..rows).step_by(share).map(block).collect(), tiles: Vec::new() }
    }

    /// The next rows of the head: entries of the vocabulary from `first` on.
    pub(crate) fn see(&mut self, first: usize, head: HeadRows<'_>) {
        let Some(cols) = self.blocks.first().map(|block| block.own.cols()) else { return };
        let rows = head.weights.len() / cols;
        let tiles: Vec<_> = (0..rows).step_by(TILE).map(|at| first + at..first + rows.min(at + TILE)).collect();
        self.blocks.par_iter_mut().with_max_len(1).for_each(|block| {
            BUFFERS.with_borrow_mut(|buffers| {
                for tile in &tiles {
                    block.see(tile, part(head, cols, tile.start - first..tile.end - first), buffers);
                }
            });
        });
        self.tiles.extend(tiles);
    }

    /// After the whole head: distributions are complete.
    pub(crate) fn settle(&mut self, scale: f32) {
        let tiles = &self.tiles;
        self.blocks.par_iter_mut().with_max_len(1).for_each(|block| block.settle(tiles, scale));
    }

    /// Whether there is something to resolve.
    pub(crate) fn has_labels(&self) -> bool {
        let goals = self.blocks.first().map(|block| block.goals.as_slice()).unwrap_or_default();
        goals.iter().any(|goal| !matches!(goal.kind, Kind::Divergence { .. }))
    }

    /// The next rows of the head once more.
    pub(crate) fn resolve(&mut self, first: usize, head: HeadRows<'_>) {
        self.blocks.par_iter_mut().with_max_len(1).for_each(|block| block.resolve(first, head));
    }

    /// Everything, in the order of the rows.
    pub(crate) fn finish(self, objectives: usize) -> HeadGradients {
        let mut found = HeadGradients {
            losses: vec![Vec::new(); objectives],
            labels: vec![Vec::new(); objectives],
            gradients: vec![Vec::new(); objectives],
        };
        for goals in self.blocks.into_iter().map(|block| block.goals) {
            for (at, goal) in goals.into_iter().enumerate() {
                found.losses[at].extend(goal.losses);
                found.gradients[at].extend(goal.gradient);
                if let Kind::Labels { labels, .. } | Kind::Drawn { labels, .. } = goal.kind {
                    found.labels[at].extend(labels);
                }
            }
        }
        found
    }
}

/// Some of the rows of a head.
fn part(head: HeadRows<'_>, cols: usize, rows: Range<usize>) -> HeadRows<'_> {
    let bias = head.bias.map(|bias| &bias[rows.clone()]);
    HeadRows { weights: &head.weights[rows.start * cols..rows.end * cols], bias, ..head }
}

impl<'a> Block<'a> {
    fn new(hidden: &'a [f32], cols: usize, rows: Range<usize>, targets: &[Targets<'a>]) -> Self {
        let goal = |target: &Targets<'a>| {
            let kind = match *target {
                Targets::Labels(labels) => {
                    Kind::Labels { labels: labels[rows.clone()].to_vec(), logits: vec![f32::NAN; rows.len()] }
                }
                Targets::Drawn(uniforms) => {
                    Kind::Drawn { uniforms: &uniforms[rows.clone()], places: Vec::new(), labels: vec![0; rows.len()] }
                }
                Targets::Divergence(reference) => Kind::Divergence {
                    reference: Distribution::new(reference, cols, &rows),
                    cross: vec![0.0; rows.len()],
                },
            };
            Goal { kind, losses: vec![f64::NAN; rows.len()], gradient: vec![0.0; rows.len() * cols] }
        };
        let draws = targets.iter().any(|target| matches!(target, Targets::Drawn(_)));
        Self {
            own: Distribution::new(hidden, cols, &rows),
            goals: targets.iter().map(goal).collect(),
            tiles: draws.then(Vec::new),
        }
    }

    fn see(&mut self, tile: &Range<usize>, head: HeadRows<'_>, [logits, others, slopes]: &mut [Vec<f32>; 3]) {
        let width = tile.len();
        self.own.logits(head, width, logits);
        if let Some(cap) = head.softcap {
            slopes.clear();
            slopes.extend(logits.iter().map(|logit| slope(*logit, cap)));
        }
        for goal in &mut self.goals {
            match &mut goal.kind {
                Kind::Labels { labels, logits: found } => {
                    for ((label, found), row) in labels.iter().zip(found).zip(logits.chunks_exact(width)) {
                        if tile.contains(&(*label as usize)) {
                            *found = row[*label as usize - tile.start];
                        }
                    }
                }
                Kind::Drawn { .. } => {}
                Kind::Divergence { reference, cross } => {
                    reference.logits(head, width, others);
                    let pairs = others.chunks_exact_mut(width).zip(logits.chunks_exact(width));
                    let states = reference.running.iter_mut().zip(cross);
                    let factors: Vec<f32> = pairs.zip(states).map(|((o, l), (r, c))| see_pair(o, l, r, c)).collect();
                    if head.softcap.is_some() {
                        multiply(others, slopes);
                    }
                    reference.add(factors.into_iter(), others, head, width);
                }
            }
        }
        let rows = logits.chunks_exact_mut(width).zip(&mut self.own.running);
        let seen: Vec<_> = rows.map(|(row, running)| see(row, running)).collect();
        if let Some(tiles) = &mut self.tiles {
            tiles.extend(seen.iter().map(|(_, max, sum)| (*max, *sum)));
        }
        if head.softcap.is_some() {
            multiply(logits, slopes);
        }
        self.own.add(seen.into_iter().map(|(factor, ..)| factor), logits, head, width);
    }

    fn settle(&mut self, tiles: &[Range<usize>], scale: f32) {
        let (cols, rows) = (self.own.cols(), self.own.running.len());
        for Goal { kind, losses, gradient } in &mut self.goals {
            for row in 0..rows {
                let own = self.own.running[row];
                let gradient = &mut gradient[row * cols..][..cols];
                let sum = &self.own.sum[row * cols..][..cols];
                let share = f64::from(scale) / own.sum;
                match kind {
                    Kind::Labels { logits, .. } => losses[row] = own.log_sum_exp() - f64::from(logits[row]),
                    Kind::Drawn { uniforms, places, .. } => {
                        let sums = self.tiles.as_deref().unwrap_or_default().iter().skip(row).step_by(rows);
                        places.push(place(uniforms[row], own, tiles.iter().zip(sums)));
                    }
                    Kind::Divergence { reference, cross } => {
                        let other = reference.running[row];
                        losses[row] = cross[row] / other.sum - other.log_sum_exp() + own.log_sum_exp();
                        let (share_of, of) = (f64::from(scale) / other.sum, &reference.sum[row * cols..][..cols]);
                        for ((g, own), of) in gradient.iter_mut().zip(sum).zip(of) {
                            *g = (f64::from(*own) * share - f64::from(*of) * share_of) as f32;
                        }
                        continue;
                    }
                }
                for (g, own) in gradient.iter_mut().zip(sum) {
                    *g = (f64::from(*own) * share) as f32;
                }
            }
        }
    }

    fn resolve(&mut self, first: usize, head: HeadRows<'_>) {
        let cols = self.own.cols();
        let entries = first..first + head.weights.len() / cols;
        for Goal { kind, losses, gradient } in &mut self.goals {
            for (row, gradient) in gradient.chunks_exact_mut(cols).enumerate() {
                let x = &self.own.hidden[row * cols..][..cols];
                let (label, logit) = match kind {
                    Kind::Labels { labels, logits } => (labels[row] as usize, logits[row]),
                    Kind::Drawn { places, labels, .. } => {
                        let Place { entries: near, share } = places[row].clone();
                        if !entries.contains(&near.start) {
                            continue;
                        }
                        let lse = self.own.running[row].log_sum_exp();
                        let (at, logit) = cross(x, part(head, cols, near.start - first..near.end - first), share, lse);
                        labels[row] = (near.start + at) as u32;
                        losses[row] = lse - f64::from(logit);
                        (near.start + at, logit)
                    }
                    Kind::Divergence { .. } => continue,
                };
                if entries.contains(&label) {
                    let w = &head.weights[(label - first) * cols..][..cols];
                    let factor = head.scale * head.softcap.map_or(1.0, |cap| slope(logit, cap));
                    gradient.iter_mut().zip(w).for_each(|(g, w)| *g -= factor * w);
                }
            }
        }
    }
}

/// The derivative of a soft cap where it gave `logit`.
#[inline(always)]
pub(super) fn slope(logit: f32, cap: f32) -> f32 {
    let share = logit / cap;
    1.0 - share * share
}
