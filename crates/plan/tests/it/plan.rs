//! `plan.json` and how weights are written down.

use tomo_map::{CellId, Component, Names};
use tomo_plan::{Budget, Choice, CostSource, Decision, Kind, PLAN_SCHEMA, Plan, Stored, Totals};

fn cell(layer: u32, choice: Choice) -> Decision {
    Decision {
        id: CellId { layer, component: Component::AttnQ, expert: None },
        out_features: 64,
        in_features: 32,
        names: Names { gguf: Some(format!("blk.{layer}.attn_q.weight")), hugging_face: None },
        choice,
        size: 1152,
        cost: 0.25,
    }
}

fn plan(cells: Vec<Decision>) -> Plan {
    Plan {
        about: tomo_plan::About { model: "tiny".to_owned(), ..tomo_plan::About::default() },
        client: "llama.cpp".to_owned(),
        kind: Kind::Bits,
        budget: Budget { asked: "4.5bpw".to_owned(), limit: 4000 },
        cost: CostSource {
            metrics: vec![],
            how: "measured".to_owned(),
            unit: "nats per token".to_owned(),
            proxy: false,
        },
        fused: false,
        totals: Totals::default(),
        cells,
        others: vec![],
        gguf: None,
    }
}

fn stored(text: &str) -> Choice {
    Choice::Stored(text.parse().unwrap())
}

#[test]
fn a_plan_survives_its_file_and_has_a_line_per_decision() {
    let written = plan(vec![cell(0, stored("q4_0")), cell(1, stored("int4-sym:g64")), cell(2, stored("original:16"))]);
    let text = written.to_json().unwrap();
    assert_eq!(Plan::from_json(text.as_bytes()).unwrap(), written);
    let decisions = text.lines().filter(|line| line.contains("\"component\"")).count();
    assert_eq!(decisions, 3, "{text}");
    assert!(text.contains(r#""stored": "int4-sym:g64""#), "{text}");
}

#[test]
fn files_that_are_no_plans_are_refused_with_a_reason() {
    let good = plan(vec![cell(0, stored("q4_0")), cell(1, stored("q8_0"))]).to_json().unwrap();
    for (from, to, reason) in [
        (PLAN_SCHEMA, "tomograph.plan/99", "tomograph.plan/99"),
        ("\"q8_0\"", "\"q8_9\"", "unknown type"),
        ("\"layer\": 1", "\"layer\": 0", "not in order"),
        ("\"size\": 1152", "\"size\": -1", "-1"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        let error = Plan::from_json(bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert!(plan(vec![cell(0, Choice::Train(true))]).to_json().is_err(), "another kind of decision");
    assert!(plan(vec![Decision { cost: f64::NAN, ..cell(0, stored("q4_0")) }]).to_json().is_err());
}

/// Bytes by hand: blocks of 32 weights are 18 bytes (q4_0) and 34 (q8_0), blocks of 256 are 144 (q4_k).
#[test]
fn sizes_are_those_of_the_blocks() {
    let bytes = |text: &str, rows, columns| text.parse::<Stored>().unwrap().bytes(rows, columns);
    assert_eq!(bytes("q4_0", 10, 576), 10 * 18 * 18);
    assert_eq!(bytes("q4_k", 10, 512), 10 * 2 * 144);
    assert_eq!(bytes("q4_k", 10, 576), 10 * 18 * 22, "576 columns are no blocks of 256: q5_0");
    assert_eq!(bytes("q6_k", 10, 576), 10 * 18 * 34, "and q8_0");
    assert_eq!(bytes("int3:g64", 8, 576), 8 * (576 * 3 + 9 * 19) / 8);
    assert_eq!(bytes("int4-sym:g128", 8, 576), 8 * (576 * 4 + 5 * 16) / 8, "the short group counts as a full one");
    assert_eq!(bytes("nvfp4", 8, 576), 8 * (576 * 4 + 36 * 8) / 8);
    assert_eq!(bytes("fp8", 8, 576), 8 * 576);
    assert_eq!(bytes("original:16", 8, 576), 8 * 576 * 2);
}

#[test]
fn what_is_stored_is_written_as_changes_to_a_model_are() {
    for text in ["q4_0", "iq4_xs", "int4:g64", "int8-sym:g128", "fp8", "nvfp4", "f16", "original:16"] {
        assert_eq!(text.parse::<Stored>().unwrap().to_string(), text);
    }
    assert_eq!("int4".parse::<Stored>().unwrap().to_string(), "int4:g128");
    for text in ["", "q4", "int1", "int9", "int4:64", "int4:g0", "fp8:g2", "q4_0:g32", "original:x"] {
        assert!(text.parse::<Stored>().is_err(), "{text:?}");
    }
    assert_eq!("q6_k".parse::<Stored>().unwrap().on(576).to_string(), "q8_0");
}
