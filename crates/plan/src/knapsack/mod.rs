//! The multiple-choice knapsack: one offer for every item, least cost together, within a limit.
//!
//! The bound is Lagrange's, at the price per unit of size where it is highest (equal to the linear relaxation). Choices that the
//! bound rules out are dropped; what is left is searched whole, so that the answer is usually proven to be the best there is.
//! Numbers in, numbers out: it knows no cells.
//!
//! ```
//! use tomo_plan::knapsack::{Offer, solve};
//!
//! let offer = |size, cost| Offer { size, cost };
//! // Two cells that can be had small or large, and room for one large one: the second saves more.
//! let cells = [vec![offer(4, 3.0), offer(8, 1.0)], vec![offer(4, 9.0), offer(8, 2.0)]];
//! let solution = solve(&cells, 12)?;
//! assert_eq!(solution.chosen, [0, 1]);
//! assert_eq!((solution.cost, solution.bound), (5.0, 5.0));
//! # Ok::<(), tomo_plan::knapsack::KnapsackError>(())
//! ```

mod hull;
mod search;

use hull::Relaxation;

/// One way to have an item.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Offer {
    /// What it takes of the limit.
    pub size: u64,
    /// What it costs; finite, of any sign. A larger offer need not cost less.
    pub cost: f64,
}

/// Which offer every item gets.
#[derive(Clone, PartialEq, Debug)]
pub struct Solution {
    /// Index of the offer taken, parallel to the items.
    pub chosen: Vec<usize>,
    /// Sum of their sizes: at most the limit.
    pub size: u64,
    /// Sum of their costs.
    pub cost: f64,
    /// No choice within the limit costs less; equal to `cost` where that is proven.
    pub bound: f64,
    /// The Lagrangian bound alone: at most `bound`.
    pub relaxed: f64,
}

/// Why there is no choice.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum KnapsackError {
    /// An item without offers.
    #[error("item {item} has no offers")]
    Empty {
        /// Which.
        item: usize,
    },
    /// A cost that is no number.
    #[error("an offer of item {item} costs {cost}")]
    Cost {
        /// Which.
        item: usize,
        /// Not finite.
        cost: f64,
    },
    /// Sizes whose sum is beyond 2^62.
    #[error("sizes are too large to be added up")]
    Size,
    /// The smallest offers together are above the limit.
    #[error("the smallest offers take {smallest} together, the limit is {limit}")]
    Limit {
        /// Sum of the smallest sizes.
        smallest: u64,
        /// The limit.
        limit: u64,
    },
}

/// Sums of sizes stay below this, so that differences fit an `i64` with room.
const LARGEST: u64 = 1 << 62;

/// The cheapest choice of one offer per item within `limit`. The same input gives the same choice.
///
/// # Errors
/// A limit below the smallest choice, items without offers, costs that are not finite, sizes beyond 2^62 together.
pub fn solve(items: &[Vec<Offer>], limit: u64) -> Result<Solution, KnapsackError> {
    check(items, limit)?;
    let relaxation = Relaxation::new(items, limit);
    let mut greedy = relaxation.greedy(items, limit);
    improve(items, limit, &mut greedy);
    let found = search::search(items, limit, &relaxation, cost_of(items, &greedy));
    let chosen = found.chosen.unwrap_or(greedy);
    let cost = cost_of(items, &chosen);
    let relaxed = relaxation.bound.min(cost);
    let bound = if found.proven { cost } else { found.bound.clamp(relaxed, cost) };
    Ok(Solution { size: size_of(items, &chosen), cost, bound, relaxed, chosen })
}

fn check(items: &[Vec<Offer>], limit: u64) -> Result<(), KnapsackError> {
    let (mut smallest, mut largest) = (0_u64, 0_u64);
    for (item, offers) in items.iter().enumerate() {
        if let Some(offer) = offers.iter().find(|offer| !offer.cost.is_finite()) {
            return Err(KnapsackError::Cost { item, cost: offer.cost });
        }
        let sizes = || offers.iter().map(|offer| offer.size);
        let (Some(low), Some(high)) = (sizes().min(), sizes().max()) else {
            return Err(KnapsackError::Empty { item });
        };
        smallest = smallest.saturating_add(low);
        largest = largest.saturating_add(high);
    }
    if largest >= LARGEST {
        return Err(KnapsackError::Size);
    }
    if smallest > limit { Err(KnapsackError::Limit { smallest, limit }) } else { Ok(()) }
}

fn size_of(items: &[Vec<Offer>], chosen: &[usize]) -> u64 {
    items.iter().zip(chosen).map(|(offers, at)| offers[*at].size).sum()
}

fn cost_of(items: &[Vec<Offer>], chosen: &[usize]) -> f64 {
    items.iter().zip(chosen).map(|(offers, at)| offers[*at].cost).sum()
}

/// Most rounds of [`improve`]; each takes one sweep over all offers.
const ROUNDS: usize = 64;

/// Takes the single change that saves most and still fits, until none does.
fn improve(items: &[Vec<Offer>], limit: u64, chosen: &mut [usize]) {
    for _ in 0..ROUNDS {
        let room = limit - size_of(items, chosen);
        let mut best: Option<(f64, usize, usize)> = None;
        for (item, offers) in items.iter().enumerate() {
            let now = offers[chosen[item]];
            for (at, offer) in offers.iter().enumerate() {
                let saved = now.cost - offer.cost;
                let fits = offer.size <= now.size.saturating_add(room);
                if fits && saved > best.map_or(0.0, |(most, ..)| most) {
                    best = Some((saved, item, at));
                }
            }
        }
        let Some((_, item, at)) = best else { return };
        chosen[item] = at;
    }
}
