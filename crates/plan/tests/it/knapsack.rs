//! The multiple-choice knapsack against brute force.

use proptest::prelude::*;
use tomo_plan::knapsack::{KnapsackError, Offer, solve};

fn offer(size: u64, cost: f64) -> Offer {
    Offer { size, cost }
}

/// The least cost of all choices within the limit.
fn brute_force(items: &[Vec<Offer>], limit: u64) -> Option<f64> {
    let mut sums = vec![(0_u64, 0.0_f64)];
    for offers in items {
        sums =
            sums.iter().flat_map(|(size, cost)| offers.iter().map(move |o| (size + o.size, cost + o.cost))).collect();
    }
    sums.into_iter().filter(|(size, _)| *size <= limit).map(|(_, cost)| cost).reduce(f64::min)
}

fn items() -> impl Strategy<Value = Vec<Vec<Offer>>> {
    // Whole costs, so that sums are exact in any order; sizes and costs in no relation, some negative.
    let one = (0_u64..40, -20_i32..200).prop_map(|(size, cost)| offer(size, f64::from(cost)));
    prop::collection::vec(prop::collection::vec(one, 1..5), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_choice_is_better_and_the_bound_is_below(items in items(), limit in 0_u64..250) {
        let best = brute_force(&items, limit);
        match solve(&items, limit) {
            Ok(found) => {
                let best = best.unwrap();
                prop_assert_eq!(found.cost, best);
                prop_assert!(found.size <= limit);
                prop_assert!(found.relaxed <= found.bound && found.bound <= found.cost, "{:?}", found);
                let chosen = items.iter().zip(&found.chosen).map(|(offers, at)| offers[*at]);
                prop_assert_eq!(chosen.clone().map(|o| o.cost).sum::<f64>(), found.cost);
                prop_assert_eq!(chosen.map(|o| o.size).sum::<u64>(), found.size);
            }
            Err(error) => {
                let smallest = items.iter().map(|offers| offers.iter().map(|o| o.size).min().unwrap()).sum();
                prop_assert_eq!(error, KnapsackError::Limit { smallest, limit });
                prop_assert!(best.is_none());
            }
        }
    }

    #[test]
    fn twice_the_cost_is_the_same_choice(items in items(), limit in 0_u64..250) {
        let twice: Vec<Vec<Offer>> =
            items.iter().map(|offers| offers.iter().map(|o| offer(o.size, 2.0 * o.cost)).collect()).collect();
        let chosen = |items: &[Vec<Offer>]| solve(items, limit).map(|found| found.chosen);
        prop_assert_eq!(chosen(&items), chosen(&twice));
    }

    /// Of two best choices, that under the larger cost cannot be cheaper for the other items only: see the exchange argument
    /// c(x') <= c(x) for the item's own cost c, from both being best.
    #[test]
    fn an_item_that_costs_more_is_never_stored_worse(seed in 0_u64..5000, item in 0_usize..12, times in 1.5_f64..20.0) {
        let items = falling(12, 6, seed);
        let limit = items.iter().map(|offers| (offers[0].size + offers[5].size) / 2).sum();
        let mut dearer = items.clone();
        dearer[item].iter_mut().for_each(|o| o.cost *= times);
        let before = solve(&items, limit).unwrap().chosen[item];
        let after = solve(&dearer, limit).unwrap().chosen[item];
        prop_assert!(after >= before, "{before} then {after}");
    }
}

/// Items whose costs fall with size as squared errors of bits do, with importances that differ a thousandfold: 110,592 weights or 8
/// times as many, 3 bits and up.
fn falling(count: usize, offers: usize, seed: u64) -> Vec<Vec<Offer>> {
    let mut state = seed;
    let mut draw = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    let one = |_| {
        let weights = if draw() < 0.4 { 110_592 } else { 884_736 };
        let importance = 10.0_f64.powf(3.0 * draw());
        let mut cost = |bits: usize| importance * 0.25_f64.powi(bits as i32) * (1.0 + 0.1 * draw());
        (0..offers).map(|at| offer(weights * (6 + at as u64) / 16, cost(at))).collect()
    };
    (0..count).map(one).collect()
}

#[test]
fn a_plan_of_210_cells_is_solved_to_a_thousandth() {
    for seed in 0..20 {
        let items = falling(210, 8, seed);
        let (low, high): (u64, u64) = items.iter().fold((0, 0), |(l, h), o| (l + o[0].size, h + o[7].size));
        for part in 1..8 {
            let found = solve(&items, low + (high - low) * part / 8).unwrap();
            let gap = (found.cost - found.bound) / found.cost;
            assert!((0.0..1e-3).contains(&gap), "seed {seed}, {part}/8: {found:?}");
            // The bound that needs no search is nearly as good.
            assert!(found.cost - found.relaxed < 1e-2 * found.cost, "seed {seed}, {part}/8: {found:?}");
        }
    }
}

#[test]
fn seven_thousand_cells_are_solved_to_a_thousandth_too() {
    let mut items = falling(7000, 8, 7);
    // Sizes without a common measure.
    items.iter_mut().enumerate().for_each(|(at, offers)| {
        offers.iter_mut().enumerate().for_each(|(way, o)| o.size += (at * 7919 + way * 104_729) as u64 % 1013);
    });
    let limit = items.iter().map(|offers| offers[3].size).sum();
    let found = solve(&items, limit).unwrap();
    let gap = (found.cost - found.bound) / found.cost;
    assert!((0.0..1e-3).contains(&gap), "{} {} {}", found.cost, found.bound, found.relaxed);
    assert!(found.size <= limit);
}

#[test]
fn what_cannot_be_solved_is_refused() {
    let two = vec![vec![offer(3, 1.0), offer(5, 0.0)], vec![offer(4, 1.0)]];
    assert_eq!(solve(&two, 6), Err(KnapsackError::Limit { smallest: 7, limit: 6 }));
    assert_eq!(solve(&two, 7).unwrap().chosen, [0, 0]);
    assert_eq!(solve(&two, 9).unwrap().chosen, [1, 0]);
    assert_eq!(solve(&[vec![]], 6), Err(KnapsackError::Empty { item: 0 }));
    assert_eq!(solve(&[vec![offer(u64::MAX, 0.0)], vec![offer(2, 0.0)]], u64::MAX), Err(KnapsackError::Size));
    for cost in [f64::NAN, f64::INFINITY] {
        let refused = solve(&[vec![offer(1, 0.0), offer(2, cost)]], 6);
        assert!(matches!(refused, Err(KnapsackError::Cost { item: 0, .. })), "{refused:?}");
    }
    assert_eq!(solve(&[], 0).unwrap().chosen, [0_usize; 0]);
}
