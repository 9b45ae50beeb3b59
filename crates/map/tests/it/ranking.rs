//! Best, worst and profiles.

use tomo_map::{Component, Direction, Normalisation};

use crate::samples::{dense, info};

const QK: [Component; 2] = [Component::AttnQ, Component::AttnK];

#[test]
fn best_follows_the_metrics_direction_and_ties_share_a_rank() {
    let rows: &[&[f64]] = &[&[3.0, 5.0], &[5.0, -1.0]];
    let mut low = info("s");
    low.direction = Direction::Low;
    let raw = Normalisation::by_id("raw").unwrap();
    let high = dense(info("s"), &QK, rows).view("s", raw).unwrap().ranking();
    let list = |r: &[tomo_map::RankedPlace]| r.iter().map(|p| (p.layer, p.component, p.rank)).collect::<Vec<_>>();
    let (q, k) = (Component::AttnQ, Component::AttnK);
    assert_eq!(list(high.best(9)), [(0, k, 1), (1, q, 1), (0, q, 3), (1, k, 4)]);
    assert_eq!(high.worst(1).map(|p| p.value).collect::<Vec<_>>(), [-1.0]);
    assert_eq!(high.of(0, q).unwrap().rank, 3);
    assert_eq!(high.of(7, q), None);
    let low = dense(low, &QK, rows).view("s", raw).unwrap().ranking();
    assert!(low.lowest_first);
    assert_eq!(list(low.best(1)), [(1, k, 1)]);
}

#[test]
fn a_profile_names_its_extremes() {
    let view = dense(info("s"), &QK, &[&[2.0, 1.0], &[2.0, 4.0], &[8.0, 3.0], &[8.0, 2.0]]).default_view("s").unwrap();
    let q = view.profile(Component::AttnQ).unwrap();
    assert_eq!((q.lowest, q.highest, q.median), ((0, 2.0), (2, 8.0), 5.0));
    assert_eq!(view.profiles().len(), 2);
    assert_eq!(view.profile(Component::AttnV), None);
}
