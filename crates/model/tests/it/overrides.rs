//! `--cell`.

use tomo_checkpoint::Config;
use tomo_model::CellOverride;

use crate::source::{Fixture, Tensors, TestSource, assert_same_cells, loaded};

fn foreign() -> Tensors {
    let mut tensors = Tensors::new();
    for layer in [0, 1, 10] {
        let mut put = |name: &str, shape: &[u64]| {
            let numel: u64 = shape.iter().product();
            let values = (0..numel).map(|i| (layer * 1000 + i) as f32).collect();
            tensors.insert(format!("net.{layer}.{name}"), (shape.to_vec(), values));
        };
        put("wq.weight", &[4, 6]);
        put("kv", &[6, 8]);
        put("experts.0.w", &[3, 6]);
        put("experts.1.w", &[3, 6]);
        put("stack", &[2, 6, 3]);
        put("norm", &[6]);
    }
    tensors
}

#[test]
fn an_unknown_family_with_named_cells() {
    let cells = [
        "attn.q=net.{}.wq.weight",
        "attn.k=net.{}.kv^T[0..4]",
        "attn.v=net.{}.kv^T[4..8]",
        "mlp.up=net.{}.experts.{e}.w",
        "mlp.down=net.{}.stack",
    ];
    let config = serde_json::json!({"model_type": "foreign"});
    let model = TestSource::new(foreign(), Config::HuggingFace(config)).open_with(&cells).unwrap();
    assert_eq!((model.family(), model.dims().layers), ("custom", 11));
    let names: Vec<_> = model.cells().iter().map(|c| c.id.to_string()).collect();
    let layer = |l| {
        ["attn.q", "attn.k", "attn.v", "mlp.up[0]", "mlp.up[1]", "mlp.down[0]", "mlp.down[1]"]
            .map(|c| format!("L{l}.{c}"))
    };
    assert_eq!(names, [layer(0), layer(1), layer(10)].concat());
    let cells = loaded(&model);
    assert_eq!(cells["L1.attn.q"], (vec![4, 6], (0..24).map(|i| (1000 + i) as f32).collect()));
    let v = (4..8).flat_map(|o| (0..6).map(move |i| (10_000 + i * 8 + o) as f32)).collect();
    assert_eq!(cells["L10.attn.v"], (vec![4, 6], v));
    assert_eq!(cells["L0.mlp.down[1]"], (vec![6, 3], (18..36).map(|i| i as f32).collect()));
    let missing: Vec<_> = model.grid().missing.iter().map(|m| (m.component.id(), m.reason.as_str())).collect();
    assert_eq!(missing, [("attn.o", "no --cell names it"), ("mlp.gate", "no --cell names it")]);
    assert_eq!(model.unknown().len(), 3);
}

#[test]
fn an_override_on_top_of_a_known_family() {
    let fixture = Fixture::read("llama");
    let mut expected = fixture.expected();
    for layer in 0..3 {
        expected.insert(format!("L{layer}.mlp.gate"), expected[&format!("L{layer}.mlp.up")].clone());
    }
    let model = fixture.source().open_with(&["mlp.gate=model.layers.{}.mlp.up_proj.weight"]).unwrap();
    assert_eq!(model.family(), "llama");
    assert_same_cells("override", &loaded(&model), &expected);
    let unknown: Vec<_> = model.unknown().iter().map(|t| t.name.as_str()).collect();
    let gates = [0, 1, 2].map(|layer| format!("model.layers.{layer}.mlp.gate_proj.weight"));
    assert_eq!(unknown, gates, "nothing reads them now, and that is said");
}

#[test]
fn an_override_fills_a_missing_column() {
    let model = Fixture::read("starcoder2").source().open_with(&["mlp.gate=model.layers.{}.mlp.c_fc.weight"]).unwrap();
    assert!(model.grid().missing.is_empty());
    assert_eq!(model.cells().len(), 21);
}

#[test]
fn what_cannot_be_used_says_why() {
    let cases = [
        ("attn.q=net.{}.nothing", "no tensor has such a name"),
        ("attn.q=net.{}.norm", "expected a matrix"),
        ("attn.q=net.{}.wq.weight[2..9]", "within the matrix"),
        ("attn.q=net.{}.stack^T", "expected a matrix"),
    ];
    for (cell, reason) in cases {
        let error = TestSource::new(foreign(), Config::Absent).open_with(&[cell]).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains(cell), "{cell}: {error}");
    }
    let twice = ["attn.q=net.{}.wq.weight", "attn.q=net.{}.experts.{e}.w"];
    assert!(TestSource::new(foreign(), Config::Absent).open_with(&twice).is_ok(), "an expert is another cell");
    let twice = ["attn.q=net.{}.wq.weight", "attn.q=net.{}.kv"];
    let error = TestSource::new(foreign(), Config::Absent).open_with(&twice).unwrap_err().to_string();
    assert!(error.contains("L0.attn.q is in"), "{error}");
}

#[test]
fn the_syntax_round_trips_and_refuses() {
    for text in ["attn.q=a.{}.b", "mlp.gate=x.{}.y.{e}.z", "attn.v=h.{}.c^T[768..1536]", "attn.o=h.{}.c[0..1]"] {
        assert_eq!(text.parse::<CellOverride>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "attn.q",
        "attn.q=",
        "attn.z=a.{}.b",
        "attn.q=a.b",
        "attn.q=a.{}.{}.b",
        "attn.q=a.{x}.b",
        "attn.q=a.{}.b[3..3]",
        "attn.q=a.{}.b[x..3]",
        "attn.q=a.{}.b[-1..3]",
        "attn.q=a.{}.{e}.{e}",
    ] {
        assert!(text.parse::<CellOverride>().is_err(), "{text}");
    }
}
