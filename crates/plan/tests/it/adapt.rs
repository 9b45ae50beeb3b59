//! Plans of ranks, of training and of sparsity.

use tomo_map::{Cell, Component, Direction};
use tomo_plan::{Ask, Choice, Kind, Options, Plan, PlanError, make_plan};
use tomo_testkit::{Within, assert_close};

use crate::samples::{GGUF, Of, importance, map};

const FISHER: Of<'_> = &|at: usize, _: &Cell| importance(at);

fn options(kind: Kind, ask: Result<Ask, PlanError>) -> Options {
    Options::new(kind, ask.unwrap())
}

fn ranks(plan: &Plan) -> Vec<u32> {
    plan.cells
        .iter()
        .map(|cell| match cell.choice {
            Choice::Rank { rank, alpha } => {
                assert_eq!(alpha, 2 * rank, "alpha over rank is the same everywhere");
                rank
            }
            ref other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn ranks_follow_the_score_within_the_parameters() {
    let map = map(6, &[("fisher", FISHER)]);
    let plan = make_plan(&map, &GGUF, &options(Kind::Rank, Ask::parameters("30k"))).unwrap();
    plan.check().unwrap();
    let parameters: u64 =
        plan.cells.iter().zip(ranks(&plan)).map(|(c, r)| (c.out_features + c.in_features) * u64::from(r)).sum();
    assert_eq!(plan.totals.cells, parameters);
    assert!(parameters <= 30_000 && parameters > 28_000, "{parameters}");
    // Of one shape, a higher score has no lower rank.
    let mut q: Vec<(f64, u32)> = (0..6).map(|layer| (importance(7 * layer), ranks(&plan)[7 * layer])).collect();
    q.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(q.is_sorted_by_key(|(_, rank)| *rank) && q[0].1 < q[5].1, "{q:?}");
    assert!(plan.totals.cost <= plan.totals.bound && plan.cost.how.contains("heuristic") && plan.cost.proxy);
}

#[test]
fn a_rank_as_budget_takes_what_that_rank_everywhere_takes() {
    let map = map(2, &[("gradient-norm", FISHER)]);
    let plan = make_plan(&map, &GGUF, &options(Kind::Rank, Ask::rank("8"))).unwrap();
    // m + n per layer: 128, 96, 96, 128, 160, 160, 160.
    assert_eq!(plan.budget.limit, 8 * 2 * 928);
    assert!(plan.totals.cells <= plan.budget.limit);
    // Equal scores on cells of one shape each: equal ranks would be no worse; the plan is at least worth rank 8 everywhere.
    let uniform: f64 = (0..14).map(|at| importance(at) * 3.0_f64.ln()).sum();
    assert!(plan.totals.cost >= uniform, "{} {uniform}", plan.totals.cost);
}

#[test]
fn projections_of_one_tensor_share_a_pair() {
    let mut map = map(1, &[("fisher", FISHER)]);
    for at in 0..3 {
        map.inventory.as_mut().unwrap().cells[at].gguf = Some("blk.0.attn_qkv.weight".to_owned());
    }
    let plan = make_plan(&map, &GGUF, &Options { ranks: vec![8], ..options(Kind::Rank, Ask::rank("8")) }).unwrap();
    // One A of 64 columns and a B of 64 + 32 + 32 rows.
    assert_eq!(plan.cells[..3].iter().map(|cell| cell.size).sum::<u64>(), 8 * (64 + 64 + 32 + 32));
}

fn trained(plan: &Plan) -> Vec<usize> {
    (0..plan.cells.len()).filter(|at| plan.cells[*at].choice == Choice::Train(true)).collect()
}

#[test]
fn the_best_cells_within_the_parameters_are_trained() {
    // Only attn.q of layer 1 and mlp.up of layer 0 matter: 64 x 64 and 96 x 64 weights.
    let score: Of<'_> = &|at, _| if at == 7 || at == 4 { 100.0 } else { 0.001 };
    let map = map(2, &[("fisher", score)]);
    let exact = make_plan(&map, &GGUF, &options(Kind::Train, Ask::parameters("10240"))).unwrap();
    assert_eq!(trained(&exact), [4, 7]);
    assert_eq!((exact.totals.cells, exact.totals.cost, exact.totals.bound), (10_240, 200.0, 200.0));
    // One weight less: not both.
    let less = make_plan(&map, &GGUF, &options(Kind::Train, Ask::parameters("10239"))).unwrap();
    assert_eq!(trained(&less).iter().filter(|at| [4, 7].contains(at)).count(), 1);
}

#[test]
fn averages_count_by_their_weights() {
    // The same average everywhere: a cell of more weights is worth more, and the budget is spent on any.
    let same: Of<'_> = &|_, _| 0.5;
    let plan = make_plan(&map(1, &[("gradient-norm", same)]), &GGUF, &options(Kind::Train, Ask::ratio("50%"))).unwrap();
    assert_eq!(plan.totals.cost, 0.5 * plan.totals.cells as f64);
    assert!(plan.totals.cells > 15_360 * 9 / 10);
}

#[test]
fn the_top_of_every_column_is_what_spectrum_takes() {
    let map = map(10, &[("spectrum-snr", FISHER)]);
    let plan = make_plan(&map, &GGUF, &options(Kind::Train, Ask::top("35%"))).unwrap();
    // int(10 * 35 / 100) = 3 of each of 7 columns.
    assert_eq!(trained(&plan).len(), 21);
    for component in Component::ALL {
        let mut column: Vec<usize> = (0..70).filter(|at| plan.cells[*at].id.component == component).collect();
        column.sort_by(|a, b| importance(*b).total_cmp(&importance(*a)));
        let mut top = column[..3].to_vec();
        top.sort_unstable();
        let own: Vec<usize> = trained(&plan).into_iter().filter(|at| column.contains(at)).collect();
        assert_eq!(own, top, "{component}");
    }
    // 30 % of 10 is 3, although 10 * 0.3 is a little less in binary.
    assert_eq!(trained(&make_plan(&map, &GGUF, &options(Kind::Train, Ask::top("30%"))).unwrap()).len(), 21);
}

#[test]
fn low_scores_can_mark_the_cells_to_train() {
    let mut map = map(1, &[("stable-rank", &|at, _| 1.0 + at as f64)]);
    map.columns[0].info.direction = Direction::Low;
    let plan = make_plan(
        &map,
        &GGUF,
        &Options { cost: "stable-rank".parse().unwrap(), ..options(Kind::Train, Ask::parameters("4096")) },
    );
    assert_eq!(trained(&plan.unwrap()), [0]);
    map.columns[0].info.direction = Direction::Neutral;
    let plan = make_plan(
        &map,
        &GGUF,
        &Options { cost: "stable-rank".parse().unwrap(), ..options(Kind::Train, Ask::parameters("4096")) },
    );
    assert!(matches!(plan, Err(PlanError::Metric { .. })));
}

#[test]
fn a_map_that_says_nothing_about_training_says_what_to_run() {
    for kind in [Kind::Rank, Kind::Train] {
        let error = make_plan(&map(1, &[]), &GGUF, &options(kind, Ask::parameters("2M"))).unwrap_err().to_string();
        assert!(error.contains("tomograph map tiny --metric fisher --text FILE"), "{error}");
        let error = make_plan(&map(1, &[("fisher", FISHER)]), &GGUF, &options(kind, Ask::target("4bpw"))).unwrap_err();
        assert!(matches!(error, PlanError::BudgetKind { .. }));
    }
}

#[test]
fn at_least_the_share_is_removed_and_where_it_costs_least() {
    let map = map(4, &[("noise-alpha", FISHER)]);
    let plan = make_plan(&map, &GGUF, &options(Kind::Sparsity, Ask::ratio("50%"))).unwrap();
    plan.check().unwrap();
    let weights: u64 = plan.cells.iter().map(|cell| cell.numel()).sum();
    assert!(plan.totals.cells * 2 >= weights && plan.totals.cells * 100 < weights * 51, "{}", plan.totals.cells);
    let mut q: Vec<(f64, u64)> = (0..4).map(|layer| (importance(7 * layer), plan.cells[7 * layer].size)).collect();
    q.sort_by(|a, b| b.0.total_cmp(&a.0));
    assert!(q.is_sorted_by_key(|(_, size)| *size) && q[0].1 < q[3].1, "{q:?}");
    assert!(plan.cost.how.contains("Gaussian") && plan.cost.proxy);
}

#[test]
fn removing_half_of_a_gaussian_leaves_7_per_cent_of_its_energy() {
    // P(|w| < t) = .5 at t = .6744897502; squared error .5 - 2 t phi(t) = .5 - 1.3489795 * .3177765727 = .0713259.
    let one: Of<'_> = &|_, _| 1.0;
    let chosen = Options { shares: vec![0.5], ..options(Kind::Sparsity, Ask::ratio("50%")) };
    let plan = make_plan(&map(1, &[("noise-alpha", one)]), &GGUF, &chosen).unwrap();
    plan.cells.iter().for_each(|cell| assert_close(cell.cost, 0.071_325_9, Within::Relative(1e-6)));
    // What storing in a format costs, over its squared error: 2 / .04 = 50 times as much.
    let (two, fifth): (Of<'_>, Of<'_>) = (&|_, _| 2.0, &|_, _| 0.2);
    let plan = make_plan(&map(1, &[("quant-kl-q4_0", two), ("err-q4_0", fifth)]), &GGUF, &chosen).unwrap();
    plan.cells.iter().for_each(|cell| assert_close(cell.cost, 50.0 * 0.071_325_9, Within::Relative(1e-6)));
}
