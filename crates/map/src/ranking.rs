use crate::{Component, Direction, View};

/// A place with its number and its rank in a [`Ranking`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RankedPlace {
    /// Layer, counted from 0.
    pub layer: u32,
    /// Which projection.
    pub component: Component,
    /// The number on show.
    pub value: f64,
    /// 1 for the first; equal numbers share the better rank.
    pub rank: usize,
}

/// The places of a view that have a number, in order of importance.
#[derive(Clone, PartialEq, Debug)]
pub struct Ranking {
    /// The most important first; equal ones in the order layer, component.
    pub places: Vec<RankedPlace>,
    /// True if low numbers come first (the metric says that low is important).
    pub lowest_first: bool,
}

impl Ranking {
    /// The first `count`: those that matter most by this metric (the highest, if it takes no side).
    pub fn best(&self, count: usize) -> &[RankedPlace] {
        &self.places[..count.min(self.places.len())]
    }

    /// The last `count`, the very last one first.
    pub fn worst(&self, count: usize) -> impl Iterator<Item = &RankedPlace> {
        self.places.iter().rev().take(count)
    }

    /// The place at an address, if it has a number.
    pub fn of(&self, layer: u32, component: Component) -> Option<&RankedPlace> {
        self.places.iter().find(|p| (p.layer, p.component) == (layer, component))
    }
}

/// One column along depth.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// Which projection.
    pub component: Component,
    /// (layer, number), by layer; layers without a number are left out. At least one.
    pub points: Vec<(u32, f64)>,
    /// The first layer with the lowest number, and that number.
    pub lowest: (u32, f64),
    /// The first layer with the highest number, and that number.
    pub highest: (u32, f64),
    /// Median over layers.
    pub median: f64,
}

impl Profile {
    /// The numbers without their layers.
    pub fn values(&self) -> Vec<f64> {
        self.points.iter().map(|(_, v)| *v).collect()
    }

    /// True if every layer has the same number.
    pub fn is_constant(&self) -> bool {
        self.lowest.1 == self.highest.1
    }
}

impl View {
    /// Places in order of importance, by the metric's own direction.
    pub fn ranking(&self) -> Ranking {
        let lowest_first = self.info.direction == Direction::Low;
        let mut places: Vec<_> =
            self.values().map(|(layer, component, value)| RankedPlace { layer, component, value, rank: 0 }).collect();
        places.sort_by(|a, b| if lowest_first { a.value.total_cmp(&b.value) } else { b.value.total_cmp(&a.value) });
        for at in 0..places.len() {
            let tied = at > 0 && places[at].value == places[at - 1].value;
            places[at].rank = if tied { places[at - 1].rank } else { at + 1 };
        }
        Ranking { places, lowest_first }
    }

    /// The profile of one column; `None` if no layer has a number.
    pub fn profile(&self, component: Component) -> Option<Profile> {
        let points = self.column(component);
        let first = *points.first()?;
        let lowest = points.iter().fold(first, |best, p| if p.1 < best.1 { *p } else { best });
        let highest = points.iter().fold(first, |best, p| if p.1 > best.1 { *p } else { best });
        let values: Vec<f64> = points.iter().map(|(_, v)| *v).collect();
        let median = crate::stats::median(&values)?;
        Some(Profile { component, points, lowest, highest, median })
    }

    /// The profiles of all columns that have a number, in the order of components.
    pub fn profiles(&self) -> Vec<Profile> {
        Component::ALL.into_iter().filter_map(|c| self.profile(c)).collect()
    }
}
