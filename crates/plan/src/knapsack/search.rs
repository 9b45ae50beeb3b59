//! What the bound leaves open, searched whole.
//!
//! At a price per unit of size, an item's offer is worse than its best one by its *reduced cost*. A choice costs the bound, plus
//! the reduced costs of its offers, plus the price of what it leaves unused. So whoever looks for choices that cost at most `excess` more
//! than the bound needs only offers with a reduced cost up to that, and only partial choices whose sum is not above it: few,
//! where the excess is small. It is doubled until a choice is found (then no other is better) or there are too many partial choices.

use super::Offer;
use super::hull::Relaxation;

/// Most partial choices kept per item, and altogether.
const WIDEST: usize = 60_000;
const MOST: usize = 6_000_000;
/// The first excess is this share of what the greedy choice leaves.
const FIRST: f64 = 1.0 / 1024.0;

pub(super) struct Found {
    /// A choice that is better than the one known, or as good.
    pub(super) chosen: Option<Vec<usize>>,
    /// Whether no choice is better than that one, or than the known one if there is none.
    pub(super) proven: bool,
    /// No choice costs less, whether proven or not.
    pub(super) bound: f64,
}

/// Looks for choices below `known`, the cost of a choice that fits.
pub(super) fn search(items: &[Vec<Offer>], limit: u64, relaxation: &Relaxation, known: f64) -> Found {
    let scale = known.abs().max(relaxation.bound.abs());
    // What rounding leaves between sums of the same numbers in another order.
    let rounding = scale * 1e-13;
    let gap = (known - relaxation.bound).max(0.0);
    if gap <= rounding {
        return Found { chosen: None, proven: true, bound: known };
    }
    let problem = Problem::new(items, limit, relaxation, gap + rounding);
    let (mut excess, mut ruled_out) = (gap * FIRST, 0.0);
    loop {
        let last = excess >= gap;
        match problem.below(excess.min(gap) + rounding) {
            Outcome::Found(chosen) => return Found { chosen: Some(chosen), proven: true, bound: known },
            Outcome::Nothing if last => return Found { chosen: None, proven: true, bound: known },
            Outcome::Nothing => ruled_out = excess,
            Outcome::TooMany => {
                return Found { chosen: None, proven: false, bound: relaxation.bound + ruled_out };
            }
        }
        excess *= 2.0;
    }
}

struct Problem<'a> {
    base: &'a [usize],
    price: f64,
    /// What the base leaves unused.
    room: i64,
    /// Items that have more than one offer within reach, those with the nearest rivals first.
    open: Vec<Open>,
}

struct Open {
    item: usize,
    /// From the smallest reduced cost.
    rivals: Vec<Rival>,
}

#[derive(Clone, Copy)]
struct Rival {
    at: usize,
    /// Change of size against the base.
    size: i64,
    /// Reduced cost, at least 0.
    worse: f64,
}

/// A partial choice: its change of size and reduced cost, and the last rival in it.
#[derive(Clone, Copy)]
struct State {
    size: i64,
    worse: f64,
    last: u32,
}

/// A rival that was taken, and what was before it.
struct Taken {
    item: usize,
    at: usize,
    before: u32,
}

const NONE: u32 = u32::MAX;

enum Outcome {
    Found(Vec<usize>),
    Nothing,
    TooMany,
}

impl<'a> Problem<'a> {
    /// Sizes are checked to be below 2^62, so they fit.
    fn new(items: &[Vec<Offer>], limit: u64, relaxation: &'a Relaxation, gap: f64) -> Self {
        let (base, price) = (relaxation.base.as_slice(), relaxation.price);
        let room = limit - super::size_of(items, base);
        let mut open = Vec::new();
        for (item, offers) in items.iter().enumerate() {
            let own = offers[base[item]];
            let rival = |(at, offer): (usize, &Offer)| {
                let size = offer.size as i64 - own.size as i64;
                // Below 0 by rounding only: the base is on the hull at this price.
                let worse = (offer.cost - own.cost + price * size as f64).max(0.0);
                (at != base[item] && worse <= gap).then_some(Rival { at, size, worse })
            };
            let mut rivals: Vec<Rival> = offers.iter().enumerate().filter_map(rival).collect();
            rivals.sort_by(|a, b| a.worse.total_cmp(&b.worse));
            if !rivals.is_empty() {
                open.push(Open { item, rivals });
            }
        }
        open.sort_by(|a, b| a.rivals[0].worse.total_cmp(&b.rivals[0].worse));
        let room = i64::try_from(room).unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
        Self { base, price, room, open }
    }

    /// The cheapest choice that costs at most `excess` more than the bound.
    fn below(&self, excess: f64) -> Outcome {
        let reach = self.reach(excess);
        let mut taken: Vec<Taken> = Vec::new();
        let mut states = vec![State { size: 0, worse: 0.0, last: NONE }];
        for (open, (shrink, grow)) in self.open.iter().zip(reach) {
            let mut next = states.clone();
            for state in &states {
                for rival in open.rivals.iter().take_while(|rival| state.worse + rival.worse <= excess) {
                    let (size, worse) = (state.size + rival.size, state.worse + rival.worse);
                    let unused = (self.room - size - grow).max(0);
                    if size - shrink > self.room || worse + self.price * unused as f64 > excess {
                        continue;
                    }
                    taken.push(Taken { item: open.item, at: rival.at, before: state.last });
                    next.push(State { size, worse, last: (taken.len() - 1) as u32 });
                }
            }
            states = self.best(next);
            if states.len() > WIDEST || taken.len() > MOST {
                return Outcome::TooMany;
            }
        }
        let total = |state: &State| state.worse + self.price * (self.room - state.size) as f64;
        let fitting = states.iter().filter(|state| state.size <= self.room && total(state) <= excess);
        match fitting.min_by(|a, b| total(a).total_cmp(&total(b))) {
            Some(state) => Outcome::Found(self.chosen(state, &taken)),
            None => Outcome::Nothing,
        }
    }

    /// By how much the items after each open one can still shrink and grow a choice.
    fn reach(&self, excess: f64) -> Vec<(i64, i64)> {
        let mut reach = vec![(0, 0); self.open.len()];
        let (mut shrink, mut grow) = (0_i64, 0_i64);
        for (at, open) in self.open.iter().enumerate().rev() {
            reach[at] = (shrink, grow);
            let sizes = || open.rivals.iter().take_while(|rival| rival.worse <= excess).map(|rival| rival.size);
            shrink += sizes().min().unwrap_or(0).min(0).abs();
            grow += sizes().max().unwrap_or(0).max(0);
        }
        reach
    }

    /// Without states that another one of at most their size undercuts.
    fn best(&self, mut states: Vec<State>) -> Vec<State> {
        let cost = |state: &State| state.worse - self.price * state.size as f64;
        states.sort_by(|a, b| a.size.cmp(&b.size).then(cost(a).total_cmp(&cost(b))));
        let mut cheapest = f64::INFINITY;
        states.retain(|state| {
            let better = cost(state) < cheapest;
            cheapest = if better { cost(state) } else { cheapest };
            better
        });
        states
    }

    fn chosen(&self, state: &State, taken: &[Taken]) -> Vec<usize> {
        let mut chosen = self.base.to_vec();
        let mut at = state.last;
        while let Some(one) = taken.get(at as usize) {
            chosen[one.item] = one.at;
            at = one.before;
        }
        chosen
    }
}
