use super::Offer;

/// The linear relaxation, solved exactly: all steps along the items' lower hulls in the order of what they save per unit of size.
pub(super) struct Relaxation {
    /// The offer each item has before the step that no longer fits; together they fit.
    pub(super) base: Vec<usize>,
    /// What a unit of size is worth at that step; 0 where everything fits.
    pub(super) price: f64,
    /// The bound.
    pub(super) bound: f64,
    /// Steps that come after, in their order.
    later: Vec<Step>,
}

/// From one corner of an item's hull to the next.
#[derive(Clone, Copy)]
struct Step {
    item: usize,
    to: usize,
    size: u64,
    /// Cost saved per unit of size.
    saves: f64,
}

impl Relaxation {
    /// Of items that were checked: offers everywhere, finite costs, smallest offers within the limit.
    pub(super) fn new(items: &[Vec<Offer>], limit: u64) -> Self {
        let mut base = Vec::with_capacity(items.len());
        let mut steps = Vec::new();
        for (item, offers) in items.iter().enumerate() {
            let corners = hull(offers);
            base.push(corners[0]);
            for pair in corners.windows(2) {
                let (from, to) = (offers[pair[0]], offers[pair[1]]);
                let size = to.size - from.size;
                steps.push(Step { item, to: pair[1], size, saves: (from.cost - to.cost) / size as f64 });
            }
        }
        // A stable sort: equal steps stay in the order of items, and an item's own in the order of its hull.
        steps.sort_by(|a, b| b.saves.total_cmp(&a.saves));
        let mut room = limit - super::size_of(items, &base);
        let fitting = steps.iter().take_while(|step| {
            let fits = step.size <= room;
            room -= if fits { step.size } else { 0 };
            fits
        });
        let taken = fitting.map(|step| base[step.item] = step.to).count();
        let later = steps.split_off(taken);
        let price = later.first().map_or(0.0, |step| step.saves);
        let bound = super::cost_of(items, &base) - price * room as f64;
        Self { base, price, bound, later }
    }

    /// The base, and every later step that still fits.
    pub(super) fn greedy(&self, items: &[Vec<Offer>], limit: u64) -> Vec<usize> {
        let mut chosen = self.base.clone();
        let mut room = limit - super::size_of(items, &chosen);
        for step in &self.later {
            let (now, to) = (items[step.item][chosen[step.item]], items[step.item][step.to]);
            // Of an item whose earlier step did not fit, this one has both to pay for.
            if to.size - now.size <= room {
                room -= to.size - now.size;
                chosen[step.item] = step.to;
            }
        }
        chosen
    }
}

/// Corners of the lower hull of cost over size: from the smallest offer (the cheapest of those) to the cheapest (the smallest of
/// those), each step saving less per unit of size than the one before.
fn hull(offers: &[Offer]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..offers.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (offers[*a], offers[*b]);
        a.size.cmp(&b.size).then(a.cost.total_cmp(&b.cost))
    });
    let mut corners: Vec<usize> = Vec::new();
    for at in order {
        let offer = offers[at];
        if corners.last().is_some_and(|last| offers[*last].cost <= offer.cost) {
            continue;
        }
        while let [.., before, last] = corners[..] {
            if slope(offers[before], offers[last]) < slope(offers[last], offer) {
                break;
            }
            corners.pop();
        }
        corners.push(at);
    }
    corners
}

/// Rise of cost per unit of size between two offers of different sizes.
fn slope(from: Offer, to: Offer) -> f64 {
    (to.cost - from.cost) / (to.size - from.size) as f64
}
