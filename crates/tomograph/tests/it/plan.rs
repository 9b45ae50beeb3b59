//! `tomograph plan`: from maps to a plan, its recipes and what it is held against.

use std::path::{Path, PathBuf};

use tomo_map::{Additivity, Component, Direction, MetricInfo, Score};
use tomo_plan::{Choice, Plan};
use tomo_testkit::{LlamaDims, ScoreOf, metric_info, tiny_map};
use tomograph::cli::Exit;
use tomograph::render::Terminal;

use crate::harness::{Outcome, run, run_on};

const DIMS: LlamaDims = LlamaDims { layers: 12, ..LlamaDims::TINY };

/// What a cell costs at 4 bits: v most, deeper layers less.
fn cost(id: tomo_map::CellId) -> f64 {
    let of_v = if id.component == Component::AttnV { 10.0 } else { 1.0 };
    0.01 * of_v / (1.0 + f64::from(id.layer))
}

/// A map of measured costs, and one of errors, as scans of one model leave them.
fn maps(folder: &Path) -> [PathBuf; 2] {
    let error = |id: &str| MetricInfo { family: "error".into(), proxy: true, ..metric_info(id) };
    let cost_of = MetricInfo {
        family: "causal".into(),
        direction: Direction::High,
        additivity: Additivity::Additive,
        ..metric_info("quant-kl-int4")
    };
    // Errors of 4 and 8 bits: halved with every bit.
    let errors: [(MetricInfo, ScoreOf); 3] = [
        (error("err-int4"), |_| Score::from_value(0.08)),
        (error("err-int5"), |_| Score::from_value(0.04)),
        (error("err-int8"), |_| Score::from_value(0.005)),
    ];
    let all = [tiny_map(DIMS, &[(cost_of, |id| Score::from_value(cost(id)))]), tiny_map(DIMS, &errors)];
    let write = |(name, mut map): (&str, tomo_map::Map)| {
        map.provenance.group = Some(32);
        let at = folder.join(name);
        std::fs::create_dir(&at).unwrap();
        let mut bytes = Vec::new();
        tomo_map::write_json(&map, &mut bytes).unwrap();
        std::fs::write(at.join("map.json"), bytes).unwrap();
        at
    };
    let mut named = ["cost", "errors"].into_iter().zip(all).map(write);
    [named.next().unwrap(), named.next().unwrap()]
}

struct Case {
    folder: tempfile::TempDir,
    maps: [PathBuf; 2],
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let maps = maps(folder.path());
        Self { folder, maps }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("plan")
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let maps = self.maps.iter().map(|map| map.display().to_string());
        let mut args = vec!["plan".to_owned()];
        args.extend(maps);
        args.extend(["-o".to_owned(), self.out().display().to_string()]);
        args.extend(more.iter().map(|s| (*s).to_owned()));
        args
    }

    fn run(&self, more: &[&str]) -> Outcome {
        run(self.args(more))
    }

    fn read(&self, name: &str) -> Plan {
        Plan::from_json(&std::fs::read(self.out().join(name)).unwrap()).unwrap()
    }
}

const BITS: [&str; 6] = ["--for", "simulated", "--types", "int4:g32,int5:g32,int8:g32", "--target", "5.8bpw"];

#[test]
fn bits_go_where_they_are_needed_and_baselines_take_as_many_bytes() {
    let case = Case::new();
    let found = case.run(&BITS).ended(Exit::Success);
    let plan = case.read("plan.json");
    let bits = |id: tomo_map::CellId| {
        let cell = plan.cells.iter().find(|cell| cell.id == id).unwrap();
        match cell.choice {
            Choice::Stored(stored) => (stored.to_string(), cell.size as f64 / cell.numel() as f64),
            ref other => panic!("{other:?}"),
        }
    };
    let cell = |layer, component| tomo_map::CellId { layer, component, expert: None };
    assert_eq!(bits(cell(0, Component::AttnV)).0, "int8:g32", "the costliest cell");
    assert_eq!(bits(cell(11, Component::MlpUp)).0, "int4:g32", "the cheapest");
    assert!(plan.totals.cells <= plan.budget.limit && plan.totals.bound <= plan.totals.cost);
    for name in ["uniform", "inverted", "random-0", "random-1", "random-2", "random-3", "random-4"] {
        let baseline = case.read(&format!("baselines/{name}.json"));
        assert!(baseline.totals.cells <= plan.totals.cells, "{name}");
        let left = plan.totals.cells - baseline.totals.cells;
        assert!((left as f64) < 0.01 * plan.totals.cells as f64, "{name} leaves {left}");
        assert!(baseline.totals.cost > plan.totals.cost, "{name} costs less than the best plan");
    }
    assert!(!case.out().join("baselines/rule.json").exists());
    assert!(found.out.contains("no baseline rule: "), "{}", found.out);
    assert!(case.out().join("changes.txt").exists() && found.out.contains("measured at int4"), "{}", found.out);
    let picture = std::fs::read(case.out().join("plan.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
}

#[test]
fn the_same_maps_give_the_same_plan_and_json_says_where_it_is() {
    let case = Case::new();
    let found = case.run(&[&BITS[..], &["--json"]].concat()).ended(Exit::Success).json();
    let first = std::fs::read(case.out().join("plan.json")).unwrap();
    case.run(&[&BITS[..], &["--json"]].concat()).ended(Exit::Success);
    assert_eq!(std::fs::read(case.out().join("plan.json")).unwrap(), first);
    assert_eq!(found["kind"], "bits");
    assert_eq!(found["totals"]["cells"], case.read("plan.json").totals.cells);
    assert!(found["recipes"][0].as_str().unwrap().ends_with("changes.txt"), "{found}");
}

#[test]
fn a_narrow_terminal_gets_narrow_lines() {
    let case = Case::new();
    let terminal = Terminal { width: 40, ..Terminal::default() };
    let found = run_on(terminal, case.args(&BITS)).ended(Exit::Success);
    let table = found.out.split("\n\n").next().unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 40), "{table}");
}

#[test]
fn what_cannot_be_planned_is_refused_with_a_way_out() {
    let case = Case::new();
    let failed = |more: &[&str], said: &[&str]| {
        let found = case.run(more).ended(Exit::Failure);
        for word in said {
            assert!(found.err.contains(word), "{more:?} should say {word:?}:\n{}", found.err);
        }
        assert!(!case.out().join("plan.json").exists(), "{more:?} left a plan");
    };
    failed(&["--for", "vllm", "--target", "5bpw"], &["unknown client", "gptqmodel"]);
    failed(&["--for", "simulated", "--types", "int4:g32,int8:g32", "--target", "2bpw"], &["smallest"]);
    failed(&["--for", "simulated", "--types", "int6:g32,int8:g32", "--target", "7bpw"], &["tomograph map", "err-int6"]);
    failed(&["--for", "mlx", "--types", "q4_0", "--target", "5bpw"], &["q4_0"]);
    failed(&["--for", "peft", "--target", "5bpw"], &["hint"]);
    let found = case.run(&["--for", "simulated"]).ended(Exit::Usage);
    assert!(found.err.contains("--target"), "{}", found.err);
    let missing = run(["plan", "/nowhere/map.json", "--for", "mlx", "--target", "5bpw"]).ended(Exit::Failure);
    assert!(missing.err.contains("cannot read /nowhere/map.json"), "{}", missing.err);
}

#[test]
fn maps_of_different_models_make_no_plan() {
    let case = Case::new();
    let path = case.maps[1].join("map.json");
    let json = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, json.replace("0123456789abcdef", "fedcba9876543210")).unwrap();
    let found = case.run(&BITS).ended(Exit::Failure);
    assert!(found.err.contains("of different models") && found.err.contains("fedcba9876543210"), "{}", found.err);
}
