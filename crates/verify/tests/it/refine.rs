//! Refining choices of which the cost is known.

use std::convert::Infallible;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tomo_verify::refine::{Problem, Refined, Step, refine};

/// Exact, over all sizes.
fn solve(offers: &[Vec<(u64, f64)>], limit: u64) -> Option<Vec<usize>> {
    let limit = usize::try_from(limit).unwrap();
    let mut best: Vec<Option<f64>> = vec![None; limit + 1];
    best[0] = Some(0.0);
    let mut picks = Vec::new();
    for group in offers {
        let (mut next, mut pick) = (vec![None::<f64>; limit + 1], vec![0; limit + 1]);
        for size in 0..=limit {
            let Some(cost) = best[size] else { continue };
            for (option, (own, more)) in group.iter().enumerate() {
                let at = size + usize::try_from(*own).unwrap();
                if at <= limit && next[at].is_none_or(|known| cost + more < known) {
                    (next[at], pick[at]) = (Some(cost + more), option);
                }
            }
        }
        best = next;
        picks.push(pick);
    }
    let mut at =
        (0..=limit).filter(|at| best[*at].is_some()).min_by(|a, b| best[*a].unwrap().total_cmp(&best[*b].unwrap()))?;
    let mut chosen = Vec::new();
    for (group, pick) in offers.iter().zip(&picks).rev() {
        chosen.push(pick[at]);
        at -= usize::try_from(group[pick[at]].0).unwrap();
    }
    chosen.reverse();
    Some(chosen)
}

const SEQUENCES: usize = 12;

/// Groups of 1 to 3 units with options of 2, 3 and 4 bits, all at 3 bits.
fn problem(groups: usize, budget: f64) -> Problem {
    let units = |group: usize| 1 + group as u64 % 3;
    Problem {
        sizes: (0..groups).map(|group| (2..5).map(|bits| bits * units(group)).collect()).collect(),
        start: vec![1; groups],
        tokens: vec![100.0; SEQUENCES],
        budget,
        seed: 7,
    }
}

/// What a choice costs per token: what each group costs at its bits, and more than the sum where the sum is large.
struct World {
    weights: Vec<f64>,
    curve: f64,
    noise: f64,
    spent: f64,
}

impl World {
    fn new(groups: usize, curve: f64, noise: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let weights = (0..groups).map(|_| (3.0 * rng.random_range(-1.0_f64..1.0)).exp() / groups as f64).collect();
        Self { weights, curve, noise, spent: 0.0 }
    }

    fn cost(&self, choice: &[usize]) -> f64 {
        // A bit less makes the squared error four times as large.
        let sum: f64 =
            choice.iter().zip(&self.weights).map(|(option, weight)| weight * 0.25_f64.powi(*option as i32)).sum();
        sum + self.curve * sum * sum
    }

    fn measure(&mut self, choices: &[Vec<usize>], sequences: &[usize]) -> Vec<Vec<f64>> {
        self.spent += (choices.len() * sequences.len()) as f64 / SEQUENCES as f64;
        let noisy = |choice: &Vec<usize>, sequence: usize| {
            // The same choice on the same sequence costs the same again.
            let seed =
                choice.iter().fold(sequence as u64, |seed, option| seed.wrapping_mul(31).wrapping_add(*option as u64));
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let hard = 0.7 + 0.6 * sequence as f64 / (SEQUENCES - 1) as f64;
            100.0 * (hard * self.cost(choice) + self.noise * rng.random_range(-1.0..1.0))
        };
        choices.iter().map(|choice| sequences.iter().map(|s| noisy(choice, *s)).collect()).collect()
    }
}

fn refined(problem: &Problem, world: &mut World) -> Refined {
    let mut measure =
        |choices: &[Vec<usize>], sequences: &[usize]| Ok::<_, Infallible>(Some(world.measure(choices, sequences)));
    refine(problem, &solve, &mut measure).unwrap().unwrap()
}

fn size(problem: &Problem, choice: &[usize]) -> u64 {
    problem.sizes.iter().zip(choice).map(|(sizes, option)| sizes[*option]).sum()
}

fn best(problem: &Problem, world: &World) -> f64 {
    let offers: Vec<Vec<(u64, f64)>> = (0..problem.start.len())
        .map(|g| (0..3).map(|o| (problem.sizes[g][o], world.weights[g] * 0.25_f64.powi(o as i32))).collect())
        .collect();
    world.cost(&solve(&offers, size(problem, &problem.start)).unwrap())
}

#[test]
fn most_of_what_can_be_gained_is_gained() {
    for curve in [0.0, 3.0] {
        let problem = problem(40, 400.0);
        let mut world = World::new(40, curve, 0.0);
        let found = refined(&problem, &mut world);
        let (start, end, best) = (world.cost(&problem.start), world.cost(&found.chosen), best(&problem, &world));
        let share = (start - end) / (start - best);
        assert!(share > 0.9, "curve {curve}: {share} of {start} to {best}\n{:#?}", found.steps);
        assert!(size(&problem, &found.chosen) <= size(&problem, &problem.start));
        assert!((found.before - start).abs() < 1e-9 && (found.after - end).abs() < 1e-9);
        assert!(found.change.interval.unwrap().1 < 0.0);
    }
}

#[test]
fn the_budget_is_kept_and_the_same_again_is_the_same() {
    for budget in [2.0, 5.0, 20.0, 37.5, 90.0] {
        let problem = problem(40, budget);
        let mut world = World::new(40, 3.0, 0.01);
        let found = refined(&problem, &mut world);
        assert!((found.spent - world.spent).abs() < 1e-6, "{} said, {} spent", found.spent, world.spent);
        assert!(world.spent <= budget, "{} of {budget}", world.spent);
        assert!(world.cost(&found.chosen) <= world.cost(&problem.start), "{budget}");
        assert_eq!(refined(&problem, &mut World::new(40, 3.0, 0.01)), found);
    }
    assert_eq!(refined(&problem(40, 2.0), &mut World::new(40, 3.0, 0.0)).chosen, vec![1; 40]);
}

#[test]
fn a_larger_budget_gains_more() {
    let gain = |budget| {
        let mut world = World::new(60, 2.0, 0.002);
        let problem = problem(60, budget);
        let found = refined(&problem, &mut world);
        world.cost(&problem.start) - world.cost(&found.chosen)
    };
    let (little, much) = (gain(25.0), gain(300.0));
    assert!(much > 1.3 * little && little > 0.0, "{little} {much}");
}

/// Where every number is noise alone, steps that look good are not taken.
#[test]
fn noise_is_not_followed() {
    let mut taken = 0;
    for seed in 0..10 {
        let problem = Problem { seed, ..problem(40, 120.0) };
        let mut world = World::new(40, 0.0, 0.02);
        world.weights.fill(0.0);
        let found = refined(&problem, &mut world);
        taken += found.steps.iter().filter(|step| matches!(step, Step::Joint { taken: true, .. })).count();
    }
    assert!(taken <= 4, "{taken} steps taken in ten runs");
}

#[test]
fn cancelled_is_nothing_at_first_and_what_was_taken_later() {
    let problem = problem(40, 400.0);
    let run = |calls: usize| {
        let (mut world, mut left) = (World::new(40, 1.0, 0.0), calls);
        let mut measure = |choices: &[Vec<usize>], sequences: &[usize]| {
            left = match left.checked_sub(1) {
                Some(left) => left,
                None => return Ok::<_, Infallible>(None),
            };
            Ok(Some(world.measure(choices, sequences)))
        };
        refine(&problem, &solve, &mut measure).unwrap()
    };
    assert!(run(0).is_none());
    assert_eq!(run(1).unwrap().chosen, problem.start);
    let cost = |found: &Refined| World::new(40, 1.0, 0.0).cost(&found.chosen);
    let (some, all) = (run(4).unwrap(), run(1000).unwrap());
    assert!(cost(&all) <= cost(&some) && cost(&some) <= World::new(40, 1.0, 0.0).cost(&problem.start));
}
