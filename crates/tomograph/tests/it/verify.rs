//! `tomograph verify` on the trained demo model, with plans made by hand: good, bad, equal, and none at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tomograph::cli::Exit;
use tomograph::map::Names;
use tomograph::model::Model;
use tomograph::plan::{About, Budget, Choice, CostSource, Decision, Kind, Plan, Stored, Totals};
use tomograph::render::Terminal;
use tomograph::text::Windows;

use crate::harness::{run, run_on};
use crate::running::text_of;

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/demo").join(name)
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| tomograph::scan::open(&demo("base"), &[]).unwrap())
}

/// A plan of the demo model that stores each cell as `stored` says of its layer.
fn plan(stored: impl Fn(u32) -> &'static str) -> Plan {
    let cells: Vec<Decision> = model()
        .cells()
        .iter()
        .map(|cell| {
            let stored: Stored = stored(cell.id.layer).parse().unwrap();
            Decision {
                id: cell.id,
                out_features: cell.out_features,
                in_features: cell.in_features,
                names: Names { gguf: None, hugging_face: Some(cell.tensor.clone()) },
                choice: Choice::Stored(stored),
                size: stored.bytes(cell.out_features, cell.in_features),
                cost: 0.0,
            }
        })
        .collect();
    let size = cells.iter().map(|cell| cell.size).sum();
    Plan {
        about: About {
            model: text_of(&demo("base")),
            model_digest: model().source().digest().unwrap(),
            ..About::default()
        },
        client: "none".to_owned(),
        kind: Kind::Bits,
        budget: Budget { asked: "3bpw".to_owned(), limit: size },
        cost: CostSource { metrics: Vec::new(), how: "by hand".to_owned(), unit: "none".to_owned(), proxy: true },
        fused: false,
        totals: Totals { cells: size, ..Totals::default() },
        cells,
        others: Vec::new(),
        gguf: None,
    }
}

/// Every cell in 3 bits.
fn even() -> Plan {
    plan(|_| "int3:g32")
}

/// As many bytes: half of the layers in 2 bits, half in 4.
fn uneven(layer_of_two_bits: u32) -> Plan {
    plan(move |layer| if layer % 2 == layer_of_two_bits { "int2:g32" } else { "int4:g32" })
}

/// Plans in a folder that goes away.
struct Case(tempfile::TempDir);

impl Case {
    fn new(ours: &Plan, others: &[(&str, &Plan)]) -> Self {
        let case = Self(tempfile::tempdir().unwrap());
        fs::create_dir(case.0.path().join("baselines")).unwrap();
        case.write("plan", ours);
        others.iter().for_each(|(name, plan)| case.write(&format!("baselines/{name}"), plan));
        case
    }

    fn write(&self, name: &str, plan: &Plan) {
        fs::write(self.0.path().join(format!("{name}.json")), plan.to_json().unwrap()).unwrap();
    }

    fn path(&self, name: &str) -> String {
        text_of(&self.0.path().join(name))
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let text = text_of(&demo("prose.jsonl"));
        let fixed = ["verify", &self.path(""), "--text", &text, "--tokens", "1536", "--sequence", "128"];
        fixed.into_iter().chain(more.iter().copied()).map(str::to_owned).collect()
    }

    fn found(&self, exit: Exit, more: &[&str]) -> Value {
        run(self.arguments(&[more, &["--json"]].concat())).ended(exit).json()
    }

    fn refused(&self, more: &[&str]) -> String {
        let outcome = run(self.arguments(more)).ended(Exit::Failure);
        assert_eq!(outcome.out, "");
        outcome.err
    }
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {path} in {value:#}"))
}

#[test]
fn plans_that_help_hurt_and_do_nothing() {
    let (even, uneven) = (even(), uneven(0));
    assert_eq!(even.totals.cells, uneven.totals.cells);
    // Errors grow faster than bits save.
    let helps = Case::new(&even, &[("uniform", &uneven)]).found(Exit::Success, &[]);
    assert_eq!((&helps["verdict"], helps["arms"].as_array().unwrap().len()), (&"helps".into(), 2));
    let beside = &helps["arms"][1]["ours_beside"];
    assert!(number(beside, "/kl/interval/1") < 0.0 && number(beside, "/nll/value") < 0.0, "{beside}");
    assert!((0.2..1.0).contains(&number(beside, "/gap_closed/value")), "{beside}");
    let hurts = Case::new(&uneven, &[("uniform", &even)]).found(Exit::Hurts, &[]);
    assert_eq!(hurts["verdict"], "hurts");
    // The same two arms, the other way round.
    for path in ["/kl/value", "/nll/value", "/kl_p99/value", "/top1/value", "/perplexity"] {
        let [one, other] = [(&helps, 0), (&hurts, 1)].map(|(of, at)| number(&of["arms"][at], path));
        assert_eq!(one, other, "{path}");
    }
    let same = Case::new(&even, &[("uniform", &even), ("rule", &even)]).found(Exit::NoDifference, &[]);
    assert_eq!(same["verdict"], "no-difference");
    assert_eq!(number(&same, "/arms/1/ours_beside/kl/value"), 0.0);
    assert_eq!(number(&same, "/arms/1/ours_beside/gap_closed/value"), 0.0);
    // Against uniform it helps, against the rule it changes nothing.
    let worse = Case::new(&even, &[("uniform", &uneven), ("rule", &even)]).found(Exit::NoDifference, &[]);
    assert_eq!(worse["verdict"], "no-difference");
}

/// The same numbers from `measure`, which goes another way to them.
#[test]
fn an_arm_is_what_measure_says_of_the_same_changes() {
    let case = Case::new(&even(), &[("uniform", &uneven(1))]);
    let found = case.found(Exit::Success, &[]);
    let text = text_of(&demo("prose.jsonl"));
    let measure = |changes: &[&str]| {
        let changes = changes.iter().flat_map(|change| ["--change", change]);
        let fixed =
            ["measure", &text_of(&demo("base")), "--text", &text, "--tokens", "1536", "--sequence", "128", "--json"]
                .map(str::to_owned);
        run(fixed.into_iter().chain(changes.map(str::to_owned))).ended(Exit::Success).json()
    };
    let odd: Vec<String> = (1..28).step_by(2).map(|layer| format!("L{layer}=int2:g32")).collect();
    let uneven: Vec<&str> = std::iter::once("all=int4:g32").chain(odd.iter().map(String::as_str)).collect();
    for (arm, measured) in [(0, measure(&["all=int3:g32"])), (1, measure(&uneven))] {
        for (path, key) in
            [("/kl/value", "kl"), ("/nll/value", "nll"), ("/kl_p99/value", "kl_p99"), ("/top1/value", "top1")]
        {
            assert_eq!(number(&found["arms"][arm], path), measured[key].as_f64().unwrap(), "{arm} {key}");
        }
        assert_eq!(found["arms"][arm]["kl"]["interval"][0], measured["kl_low"], "{arm}");
    }
    assert_eq!(found["text_digest"], measure(&["all=int3"])["text_digest"]);
}

#[test]
fn words_for_a_reader_in_80_columns_and_narrower() {
    let small = plan(|layer| if layer == 0 { "int2:g32" } else { "int3:g32" });
    let case = Case::new(&even(), &[("uniform", &uneven(0)), ("random-0", &uneven(1)), ("inverted", &small)]);
    for width in [80, 44] {
        let terminal = Terminal { width, ..Terminal::default() };
        let said = run_on(terminal, case.arguments(&[])).ended(Exit::Success);
        assert!(said.out.lines().all(|line| line.chars().count() <= width), "{width}\n{}", said.out);
        let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "this plan",
            "uniform",
            "random-0",
            "inverted *",
            "against uniform: helps",
            "verdict: helps. Use this plan",
            "of another size than the plan",
            "not held against rule",
            "tokens predicted in 12 sequences",
        ] {
            assert!(words.contains(part), "{width}: no {part:?} in\n{}", said.out);
        }
        for part in ["arm: this plan, cells of 463,680 bytes", "memory: about", "text: "] {
            assert!(said.err.contains(part), "no {part:?} in\n{}", said.err);
        }
    }
    let files: Vec<String> = ["md", "json", "csv"].map(|ending| case.path(&format!("proof.{ending}"))).to_vec();
    let outputs: Vec<&str> = files.iter().flat_map(|file| ["-o", file.as_str()]).collect();
    run(case.arguments(&outputs)).ended(Exit::Success);
    let [md, json, csv] = [0, 1, 2].map(|at| fs::read_to_string(&files[at]).unwrap());
    assert!(
        md.contains("| this plan |") && md.contains("inverted (another size)") && md.contains("verdict: helps"),
        "{md}"
    );
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["schema"], &json["arms"][3]["same_size"]), (&"tomograph.proof/1".into(), &false.into()));
    let kl = csv.lines().find(|line| line.starts_with("this plan,ours,") && line.contains(",kl,")).unwrap();
    assert_eq!(kl.split(',').nth(6).unwrap().parse::<f64>().unwrap(), number(&json, "/arms/0/kl/value"));
    let err = case.refused(&["-o", &case.path("proof.doc")]);
    assert!(err.contains(".md, .json or .csv"), "{err}");
}

#[test]
fn the_text_of_the_map_and_passages_of_it_are_refused() {
    let mut ours = even();
    let case = Case::new(&ours, &[("uniform", &uneven(0))]);
    let ids = case.path("ids.json");
    let noted = case.found(Exit::Success, &["--save-token-ids", &ids]);
    assert!(noted["notes"].to_string().contains("without a text"), "{}", noted["notes"]);
    let windows = Windows::read_json(Path::new(&ids)).unwrap();
    ours.about.text = Some("a text".to_owned());
    ours.about.text_digest = Some(windows.digest());
    case.write("plan", &ours);
    let err = case.refused(&[]);
    assert!(err.contains("the same tokens") && err.contains("hint:"), "{err}");
    // Half of the windows are the map's.
    ours.about.text_digest = Some("another".to_owned());
    let half = Windows { sequences: windows.sequences[..6].to_vec(), ..windows.clone() };
    ours.about.text_passages = Some(half.passages().to_string());
    case.write("plan", &ours);
    let err = case.refused(&[]);
    assert!(err.contains("passages of the text that the plan was made from") && err.contains("found: 5"), "{err}");
    // Of other windows of another text, nothing.
    let sums = text_of(&demo("sums.jsonl"));
    run([
        "perplexity",
        &text_of(&demo("base")),
        "--text",
        &sums,
        "--tokens",
        "1024",
        "--sequence",
        "128",
        "--save-token-ids",
        &ids,
    ])
    .ended(Exit::Success);
    ours.about.text_passages = Some(Windows::read_json(Path::new(&ids)).unwrap().passages().to_string());
    case.write("plan", &ours);
    let noted = case.found(Exit::Success, &[]);
    assert!(noted["notes"].to_string().contains("0.0 % of the text's passages"), "{}", noted["notes"]);
    // A map that kept no passages.
    ours.about.text_passages = None;
    case.write("plan", &ours);
    assert!(case.found(Exit::Success, &[])["notes"].to_string().contains("is not known"));
    ours.about.text_passages = Some("passages32:zz".to_owned());
    case.write("plan", &ours);
    assert!(case.refused(&[]).contains("text_passages"));
}

#[test]
fn what_cannot_be_verified_is_said() {
    let case = Case::new(&even(), &[("uniform", &uneven(0))]);
    let refused = |change: &dyn Fn(&mut Plan), phrases: &[&str], more: &[&str]| {
        let mut plan = even();
        change(&mut plan);
        case.write("plan", &plan);
        let err = case.refused(more);
        phrases.iter().for_each(|phrase| assert!(err.contains(phrase), "no {phrase:?} in\n{err}"));
    };
    let other = |plan: &mut Plan| plan.about.model_digest = "feed".to_owned();
    refused(&other, &["made for other weights", "expected: digest feed", "--force"], &[]);
    let ranks = |plan: &mut Plan| {
        plan.kind = Kind::Rank;
        plan.cells.iter_mut().for_each(|cell| cell.choice = Choice::Rank { rank: 8, alpha: 16 });
    };
    refused(&ranks, &["expected: kind bits", "found: kind rank"], &[]);
    refused(
        &|plan| plan.about.model = "no/such/model.gguf".to_owned(),
        &["no/such/model.gguf", "name it behind the plan"],
        &[],
    );
    refused(&|plan| plan.cells[5].in_features = 7, &["another shape", "L0.mlp.down", "x 7"], &["--force"]);
    refused(&|plan| plan.cells.last_mut().unwrap().id.layer = 99, &["no cell L99"], &[]);
    let text = text_of(&demo("prose.jsonl"));
    case.write("plan", &even());
    let one = ["verify", &case.path(""), "--text", &text, "--tokens", "128", "--sequence", "128"];
    let err = run(one).ended(Exit::Failure).err;
    assert!(err.contains("one sequence") && err.contains("--tokens"), "{err}");
    refused(&|_| (), &["nothing to hold the plan against", "--beside"], &["--baselines", "inverted"]);
    refused(&|_| (), &["hint: --memory"], &["--memory", "1kB"]);
    // Applied all the same, and said.
    let mut forced = even();
    other(&mut forced);
    case.write("plan", &forced);
    let said = run(case.arguments(&["--force"])).ended(Exit::Success);
    assert!(said.err.contains("made for other weights; it is applied all the same"), "{}", said.err);
    let err = run(["verify", &case.path("")]).ended(Exit::Failure).err;
    assert!(err.contains("a held-out text is needed"), "{err}");
    fs::write(case.0.path().join("plan.json"), "{}").unwrap();
    assert!(case.refused(&[]).contains("cannot understand"));
    assert!(run(case.arguments(&["--refine", "9"])).ended(Exit::Usage).err.contains("--calibrate"));
    assert!(run(case.arguments(&["--beside", "nothing"])).ended(Exit::Usage).err.contains("NAME=PLAN"));
}

#[test]
fn a_plan_that_keeps_what_the_checkpoint_has_changes_nothing() {
    // The checkpoint is bf16.
    let case = Case::new(&plan(|layer| if layer < 9 { "bf16" } else { "original:16" }), &[]);
    case.write("other", &even());
    let other = format!("three bits={}", case.path("other.json"));
    let found = case.found(Exit::NoDifference, &["--beside", &other]);
    assert_eq!((number(&found, "/arms/0/kl/value"), number(&found, "/arms/0/top1/value")), (0.0, 1.0));
    assert!(found["verdict"].is_null() && found["arms"][1]["same_size"] == false, "{found}");
    assert!(number(&found, "/arms/1/kl/value") > 0.01);
}

#[test]
fn refining_finds_a_better_plan_and_says_how() {
    let case = Case::new(&even(), &[("uniform", &even())]);
    let sample = text_of(&demo("sample.jsonl"));
    let args = [
        "--refine",
        "150",
        "--calibrate",
        &sample,
        "--calibrate-tokens",
        "1024",
        "--types",
        "int2:g32,int3:g32,int4:g32",
    ];
    let outcome = run(case.arguments(&[&args[..], &["--json"]].concat()));
    let found = outcome.json();
    let read = || Plan::from_json(&fs::read(case.path("plan.refined.json")).unwrap()).unwrap();
    let refined = read();
    let start = even();
    assert!(refined.totals.cells <= start.totals.cells, "{} of {}", refined.totals.cells, start.totals.cells);
    assert!(refined.totals.cells as f64 >= 0.999 * start.totals.cells as f64);
    let moved = refined.cells.iter().zip(&start.cells).filter(|(a, b)| a.choice != b.choice).count();
    assert!(moved > 0, "{}", outcome.err);
    assert_eq!(found["arms"][1]["role"], "before");
    let (before, after) = (number(&found, "/refined/before"), number(&found, "/refined/after"));
    assert!(after < before && number(&found, "/refined/spent") <= 150.0, "{found:#}");
    // Another text than the one it was refined on says so too.
    assert_eq!(outcome.exit, Exit::Success, "{}\n{}", outcome.err, found["sentences"]);
    assert!(refined.about.notes.last().unwrap().contains("refined by"), "{:?}", refined.about.notes);
    for part in ["single moves", "moves together", "taken", "refining by 150 measurements"] {
        assert!(outcome.err.contains(part), "no {part:?} in\n{}", outcome.err);
    }
    // The same again is the same; and the refined plan knows the text that it was refined on.
    run(case.arguments(&args)).ended(Exit::Success);
    let again = read();
    assert!(again.cells == refined.cells && again.totals == refined.totals, "another plan");
    let swapped = [
        "verify",
        &case.path("plan.refined.json"),
        "--text",
        &sample,
        "--tokens",
        "1024",
        "--sequence",
        "128",
        "--beside",
        &format!("uniform={}", case.path("plan.json")),
    ]
    .map(str::to_owned);
    let err = run(swapped).ended(Exit::Failure).err;
    assert!(err.contains("the same tokens"), "{err}");
    let text = text_of(&demo("prose.jsonl"));
    let err = case.refused(&["--refine", "9", "--calibrate", &text]);
    assert!(err.contains("passages of the text that the plan is refined on"), "{err}");
}
