//! Races over made-up tables, whose answers are known.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tomo_map::stats::Bootstrap;
use tomo_metrics::{Race, Standings};

use crate::support::assert_close;

const CELLS: usize = 210;
const SEQUENCES: usize = 16;
const TOKENS: f64 = 255.0;

/// What every cell would lose on every sequence, and what it loses per token in all texts.
struct World {
    sums: Vec<Vec<f64>>,
    means: Vec<f64>,
}

impl World {
    /// Cells between e^-12 and e^-5 nats, in no order; sequences harder or easier for all by `easy`, and each cell's own noise of
    /// `own`, both as deviations of the logarithm.
    fn new(seed: u64, easy: f64, own: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let difficulty: Vec<f64> = (0..SEQUENCES).map(|_| (easy * normal() - easy * easy / 2.0).exp()).collect();
        let level = |at: usize| (-12.0 + 7.0 * ((at * 89) % CELLS) as f64 / CELLS as f64).exp();
        let means: Vec<f64> = (0..CELLS).map(level).collect();
        let row = |mean: &f64| {
            let of = |d: &f64| TOKENS * mean * d * (own * normal() - own * own / 2.0).exp();
            difficulty.iter().map(of).collect()
        };
        let sums = means.iter().map(row).collect();
        Self { sums, means }
    }

    fn tokens() -> Vec<f64> {
        vec![TOKENS; SEQUENCES]
    }

    /// What cells have seen that are to see so many.
    fn seen(&self, targets: &[usize]) -> Vec<Vec<Option<f64>>> {
        let row = |(row, target): (&Vec<f64>, &usize)| {
            row.iter().enumerate().map(|(s, k)| (s < *target).then_some(*k)).collect()
        };
        self.sums.iter().zip(targets).map(row).collect()
    }

    /// Runs a race to its end: how many sequences each cell got, and what is then known.
    fn race(&self, race: &Race) -> (Vec<usize>, Standings) {
        let mut targets = race.start();
        loop {
            let sums = self.seen(&targets);
            match race.next(&sums, &Self::tokens()) {
                Some(next) => {
                    assert!(next.iter().zip(&targets).all(|(next, now)| next >= now && *next <= SEQUENCES));
                    assert_ne!(next, targets);
                    targets = next;
                }
                None => return (targets, race.standings(&sums, &Self::tokens())),
            }
        }
    }

    /// Means over all sequences.
    fn exact(&self) -> Vec<f64> {
        self.sums.iter().map(|row| row.iter().sum::<f64>() / TOKENS / SEQUENCES as f64).collect()
    }
}

fn highest(values: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.truncate(count);
    order.sort_unstable();
    order
}

fn means(standings: &Standings) -> Vec<f64> {
    standings.cells.iter().map(|cell| cell.mean).collect()
}

#[test]
fn what_is_too_small_is_not_raced() {
    assert!(Race::new(19, 16, 0).is_none() && Race::new(210, 3, 0).is_none());
    let race = Race::new(CELLS, SEQUENCES, 0).unwrap();
    assert_eq!((race.top(), race.panel().len()), (21, 7));
    assert_eq!(race, Race::new(CELLS, SEQUENCES, 0).unwrap());
    assert_ne!(race.panel(), Race::new(CELLS, SEQUENCES, 1).unwrap().panel());
    let start = race.start();
    assert_eq!(start.iter().filter(|n| **n == 16).count(), 7);
    assert_eq!(start.iter().filter(|n| **n == 2).count(), 203);
}

/// Sequences differ, cells do not disagree about it: two sequences say it all.
#[test]
fn where_nothing_is_open_nothing_more_is_measured() {
    let world = World::new(1, 0.5, 0.0);
    let race = Race::new(CELLS, SEQUENCES, 0).unwrap();
    let (targets, standings) = world.race(&race);
    assert_eq!(targets, race.start());
    for (found, exact) in means(&standings).iter().zip(world.exact()) {
        assert_close(*found, exact, 1e-9);
    }
}

/// Three cells of the panel agree that the sequences are as hard as 1, 2, 3 and 4. A cell that lost 2 and 4 nats on the first
/// two, 3 of 10 parts, would lose 20 on all, 0.5 for each of 40 tokens; one that saw the last alone, 1 there, 2.5 in all.
#[test]
fn sequences_not_seen_are_made_up_for() {
    let panel = [1.0, 0.5, 4.0].map(|by| [1.0, 2.0, 3.0, 4.0].map(|k| Some(by * k)).to_vec());
    let mut sums = panel.to_vec();
    sums.push(vec![Some(2.0), Some(4.0), None, None]);
    sums.push(vec![None, None, None, Some(1.0)]);
    // The panel of so few cells is drawn at random; find a race in which it is the first three.
    sums.extend((5..20).map(|_| vec![Some(0.1), None, None, None]));
    let race = (0..).filter_map(|seed| Race::new(20, 4, seed)).find(|race| race.panel() == [0, 1, 2]).unwrap();
    let standings = race.standings(&sums, &[10.0; 4]);
    assert_close(standings.cells[0].mean, 0.25, 1e-12);
    assert_close(standings.cells[3].mean, 0.5, 1e-12);
    assert_close(standings.cells[4].mean, 2.5 / 40.0, 1e-12);
    assert_eq!(standings.cells.iter().map(|c| c.seen).collect::<Vec<_>>()[..6], [4, 4, 4, 2, 1, 1]);
}

#[test]
fn zeros_and_infinities_are_where_they_are() {
    let mut world = World::new(3, 0.3, 0.2);
    let race = Race::new(CELLS, SEQUENCES, 0).unwrap();
    let of_panel = race.panel()[0];
    world.sums[of_panel] = vec![0.0; SEQUENCES];
    let [zero, infinite] = [0, 1].map(|n| (0..CELLS).filter(|at| !race.panel().contains(at)).nth(n).unwrap());
    world.sums[zero] = vec![0.0; SEQUENCES];
    world.sums[infinite] = vec![f64::INFINITY; SEQUENCES];
    let (targets, standings) = world.race(&race);
    assert_eq!((targets[zero], targets[infinite]), (2, 2));
    assert_eq!(standings.cells[zero].mean, 0.0);
    assert!(standings.difficulty.iter().all(|d| d.is_finite()));
    let (found, exact) = (means(&standings), world.exact());
    assert!(highest(&found, 21).contains(&infinite) && !highest(&found, 21).contains(&zero));
    assert_eq!(highest(&exact, 21).len(), 21);
}

/// Of 200 texts: in how many the highest tenth is the one that all sequences give, at what cost, and how far what is reported
/// is off. Cells' own noise is that of SmolLM2's and more, their levels are as close.
#[test]
fn the_highest_tenth_comes_out_at_a_third_of_the_cost() {
    const TEXTS: u64 = 200;
    let (mut same, mut passes, mut ratios, mut of_others) = (0, 0, Vec::new(), 0);
    for seed in 0..TEXTS {
        let world = World::new(100 + seed, 0.35, 0.25);
        let race = Race::new(CELLS, SEQUENCES, seed).unwrap();
        let (targets, standings) = world.race(&race);
        let (found, exact) = (means(&standings), world.exact());
        let (found_top, exact_top) = (highest(&found, 21), highest(&exact, 21));
        same += usize::from(found_top == exact_top);
        of_others += exact_top.iter().filter(|at| !found_top.contains(at)).count();
        passes += targets.iter().sum::<usize>();
        let stopped: Vec<f64> =
            (0..CELLS).filter(|at| targets[*at] < SEQUENCES).map(|at| found[at] / exact[at]).collect();
        ratios.push(stopped.iter().sum::<f64>() / stopped.len() as f64);
    }
    let share = passes as f64 / (TEXTS as usize * CELLS * SEQUENCES) as f64;
    assert!(share < 1.0 / 3.0, "{share}");
    assert!(same as f64 >= 0.9 * TEXTS as f64, "{same} of {TEXTS}; {of_others} cells");
    // Unbiased: the mean over texts is 1 within what 200 texts leave open, and 1 % for the ratio's own bias.
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    let variance = ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (ratios.len() - 1) as f64;
    let error = (variance / ratios.len() as f64).sqrt();
    assert!((mean - 1.0).abs() < 3.0 * error + 0.01, "{mean} +- {error}");
}

/// Intervals of cells that stopped early hold what the cell loses in all texts, 95 times in 100.
#[test]
fn intervals_cover_what_they_say() {
    let (mut inside, mut all) = (0, 0);
    for seed in 0..100 {
        let world = World::new(500 + seed, 0.35, 0.25);
        let race = Race::new(CELLS, SEQUENCES, seed).unwrap();
        let (targets, standings) = world.race(&race);
        let text = standings.text_variance(&World::tokens(), &Bootstrap::new(SEQUENCES, 200, seed));
        for at in (0..CELLS).filter(|at| targets[*at] < SEQUENCES) {
            let (low, high) = standings.interval(at, text).unwrap();
            all += 1;
            inside += usize::from(low <= world.means[at] && world.means[at] <= high);
        }
    }
    let coverage = f64::from(inside as u32) / f64::from(all as u32);
    assert!((0.92..0.99).contains(&coverage), "{coverage}");
}
