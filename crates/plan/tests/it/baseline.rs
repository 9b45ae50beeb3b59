//! Baselines: at the plan's bytes, and worth the comparison.

use tomo_plan::{Baseline, Plan, PlanError, baseline, make_plan};

use crate::samples::{FUSING, GGUF, Of, bits, importance, map, measured};

fn of(plan: &Plan, map: &tomo_map::Map, which: Baseline) -> Plan {
    let made = baseline(map, &GGUF, &bits("5.5bpw"), plan, which).unwrap();
    made.check().unwrap();
    made
}

/// Formats that mixes use on rows of 64, with errors to scale from q4_0 by.
fn map_for_rules() -> tomo_map::Map {
    let mut map = measured(12);
    let errors: [(&str, Of<'_>); 7] = [
        ("err-q4_0", &|_, _| 0.08),
        ("err-q4_1", &|_, _| 0.07),
        ("err-q5_0", &|_, _| 0.04),
        ("err-q5_1", &|_, _| 0.035),
        ("err-q8_0", &|_, _| 0.005),
        ("err-iq4_nl", &|_, _| 0.075),
        ("err-q6_k", &|_, _| 0.02),
    ];
    map.columns.extend(self::map(12, &errors).columns);
    map
}

#[test]
fn every_baseline_takes_the_plans_bytes() {
    let map = map_for_rules();
    let plan = make_plan(&map, &GGUF, &bits("5.5bpw")).unwrap();
    for which in [Baseline::Uniform, Baseline::Rule, Baseline::Random(0), Baseline::Random(1), Baseline::Inverted] {
        let made = of(&plan, &map, which);
        let left = plan.totals.cells as i64 - made.totals.cells as i64;
        assert!(
            left >= 0 && (left as f64) < 1e-3 * plan.totals.cells as f64,
            "{which}: {left} of {}",
            plan.totals.cells
        );
        assert!(made.totals.cost > plan.totals.cost, "{which}");
        assert_eq!(made.totals.bound, plan.totals.bound);
        assert!(made.about.notes[0].starts_with(&format!("a baseline, {which}: ")), "{:?}", made.about.notes);
        assert_eq!(made.others, plan.others);
    }
}

#[test]
fn the_order_of_costs_is_plan_then_random_then_inverted() {
    let map = map_for_rules();
    let plan = make_plan(&map, &GGUF, &bits("5.5bpw")).unwrap();
    let random: Vec<f64> = (0..5).map(|seed| of(&plan, &map, Baseline::Random(seed)).totals.cost).collect();
    let inverted = of(&plan, &map, Baseline::Inverted).totals.cost;
    assert!(random.iter().all(|cost| *cost > 1.2 * plan.totals.cost && *cost < inverted), "{random:?} {inverted}");
    assert!(random.windows(2).all(|pair| pair[0] != pair[1]), "{random:?}");
    assert_eq!(of(&plan, &map, Baseline::Random(3)), of(&plan, &map, Baseline::Random(3)));
    assert_eq!(of(&plan, &map, Baseline::Random(3)).about.seed, Some(3));
}

#[test]
fn inverted_gives_the_costliest_cells_the_fewest_bits() {
    let map = measured(12);
    let plan = make_plan(&map, &GGUF, &bits("5.5bpw")).unwrap();
    let inverted = of(&plan, &map, Baseline::Inverted);
    // Cells of attn.q, all of one size, by cost per weight.
    let mut q: Vec<usize> = (0..12).map(|layer| 7 * layer).collect();
    q.sort_by(|a, b| importance(*a).total_cmp(&importance(*b)));
    let (first, last) = (q[0], q[11]);
    assert!(plan.cells[first].size < plan.cells[last].size);
    assert!(inverted.cells[first].size > inverted.cells[last].size);
}

#[test]
fn uniform_is_one_type_and_the_next_spread_evenly() {
    let map = measured(12);
    let plan = make_plan(&map, &GGUF, &bits("5.25bpw")).unwrap();
    let uniform = of(&plan, &map, Baseline::Uniform);
    let stored: Vec<String> = uniform.stored().map(|(_, s)| s.to_string()).collect();
    assert!(stored.iter().all(|s| s == "q4_1" || s == "q5_0"), "{stored:?}");
    // Half of the way from 5 to 5.5 bits: about half of the cells, in the first layers as in the last.
    let raised = |range: std::ops::Range<usize>| stored[range].iter().filter(|s| *s == "q5_0").count();
    for part in [0..28, 28..56, 56..84] {
        let raised = raised(part);
        assert!((10..=18).contains(&raised), "{raised}");
    }
    // At exactly a type's size it is that type.
    let plan = make_plan(&map, &GGUF, &bits("5.5bpw")).unwrap();
    assert!(plan.totals.cells * 8 * 2 == 11 * plan.cells.iter().map(|c| c.numel()).sum::<u64>());
    assert!(of(&plan, &map, Baseline::Uniform).stored().all(|(_, s)| s.to_string() == "q5_0"));
}

#[test]
fn the_rule_starts_from_the_largest_mix_that_fits() {
    let map = map_for_rules();
    let plan = make_plan(&map, &GGUF, &bits("like:q4_k_m")).unwrap();
    let rule = of(&plan, &map, Baseline::Rule);
    assert!(rule.about.notes[0].contains("llama.cpp's q4_k_m"), "{:?}", rule.about.notes);
    // A plan that leaves 8 bytes of the mix's size is held against the mix all the same; one that leaves a hundredth is not.
    let of_size = |cells: u64| Plan { totals: tomo_plan::Totals { cells, ..plan.totals.clone() }, ..plan.clone() };
    let mix = plan.budget.limit;
    let rule = of(&of_size(mix - 8), &map, Baseline::Rule);
    assert!(rule.about.notes[0].ends_with("llama.cpp's q4_k_m") && rule.totals.cells == mix, "{:?}", rule.about.notes);
    let smaller = of(&of_size(mix - mix / 100), &map, Baseline::Rule);
    assert!(smaller.totals.cells <= mix - mix / 100, "{:?}", smaller.about.notes);
}

#[test]
fn a_rule_of_types_that_the_map_knows_nothing_of_is_a_baseline_all_the_same() {
    let mut map = measured(12);
    map.columns.retain(|column| column.info.id == "quant-kl-q4_0" || column.info.id == "quant-kl-q4_1");
    let options =
        tomo_plan::Options { types: vec!["q4_0".parse().unwrap(), "q4_1".parse().unwrap()], ..bits("like:q4_1") };
    let plan = make_plan(&map, &GGUF, &options).unwrap();
    let known = baseline(&map, &GGUF, &options, &plan, Baseline::Rule).unwrap();
    assert_eq!(known.cost.how, "measured");
    // q5_k_s is stored as q5_1, which nothing measured.
    let larger = Plan { totals: tomo_plan::Totals { cells: 30_720 * 12 / 32 * 24, ..plan.totals.clone() }, ..plan };
    let unknown = baseline(&map, &GGUF, &options, &larger, Baseline::Rule).unwrap();
    assert!(unknown.about.notes[0].contains("llama.cpp's q5_"), "{:?}", unknown.about.notes);
    assert!(unknown.cost.how.contains("not known") && unknown.cost.metrics.is_empty(), "{:?}", unknown.cost);
    assert!(
        unknown.about.notes.iter().any(|note| note.contains("its costs are not known")),
        "{:?}",
        unknown.about.notes
    );
}

#[test]
fn what_has_no_baseline_says_so() {
    let kl: Of<'_> = &|at, _| importance(at);
    let integers =
        map(2, &[("quant-kl-int2", kl), ("quant-kl-int3", kl), ("quant-kl-int4", kl), ("quant-kl-int8", kl)]);
    let plan = make_plan(&integers, &FUSING, &bits("4bpw")).unwrap();
    let error = baseline(&integers, &FUSING, &bits("4bpw"), &plan, Baseline::Rule).unwrap_err().to_string();
    assert!(error.contains("test-fusing has no rule of its own"), "{error}");
    assert!(baseline(&integers, &FUSING, &bits("4bpw"), &plan, Baseline::Uniform).is_ok());
    let mut ranks = plan;
    ranks.kind = tomo_plan::Kind::Rank;
    assert!(matches!(
        baseline(&integers, &FUSING, &bits("4bpw"), &ranks, Baseline::Uniform),
        Err(PlanError::Unsupported { .. })
    ));
}
