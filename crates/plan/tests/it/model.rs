//! A llama-shaped model, and plans for it.

use tomo_map::{CellId, Component, Names};
use tomo_plan::{About, Budget, Choice, CostSource, Decision, Kind, OtherDecision, Plan, Totals};
use tomo_testkit::{LlamaDims, tiny_grid};

/// Enough layers for numbers that begin alike (1 and 11), rows of 576 and 1536 weights as SmolLM2 has them.
pub(crate) const DIMS: LlamaDims =
    LlamaDims { layers: 12, hidden: 576, ffn: 1536, heads: 9, kv_heads: 3, head_dim: 64, vocab: 1000 };

const GGUF: [&str; 7] = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down", "ffn_gate"];

/// A plan of `kind` whose decisions `choice` makes, with names in both dialects.
pub(crate) fn plan(dims: LlamaDims, kind: Kind, choice: impl Fn(CellId) -> Choice) -> Plan {
    let cell = |cell: &tomo_map::Cell| {
        let id = cell.id;
        let names = Names {
            gguf: Some(format!("blk.{}.{}.weight", id.layer, GGUF[id.component.index()])),
            hugging_face: Some(LlamaDims::tensor_name(id)),
        };
        let (out_features, in_features) = (cell.out_features, cell.in_features);
        let cost = f64::from(id.layer * 7) + id.component.index() as f64;
        Decision { id, out_features, in_features, names, choice: choice(id), size: 0, cost }
    };
    Plan {
        about: About { model: "org/tiny_model".to_owned(), family: "llama".to_owned(), ..About::default() },
        client: String::new(),
        kind,
        budget: Budget { asked: String::new(), limit: 0 },
        cost: CostSource { metrics: vec![], how: String::new(), unit: String::new(), proxy: false },
        fused: false,
        totals: Totals::default(),
        cells: tiny_grid(dims).cells.iter().map(cell).collect(),
        others: others(dims),
        gguf: None,
    }
}

fn others(dims: LlamaDims) -> Vec<OtherDecision> {
    let other = |gguf: &str, hugging_face: &str, role: &str, shape: &[u64], stored: &str| OtherDecision {
        names: Names { gguf: Some(gguf.to_owned()), hugging_face: Some(hugging_face.to_owned()) },
        role: role.to_owned(),
        shape: shape.to_vec(),
        stored: stored.to_owned(),
        bytes: 0,
    };
    let mut others = vec![
        other("output_norm.weight", "model.norm.weight", "norm", &[dims.hidden], "F32"),
        other("token_embd.weight", "model.embed_tokens.weight", "embedding", &[dims.vocab, dims.hidden], "Q8_0"),
    ];
    for layer in 0..dims.layers {
        for (gguf, hugging_face) in [("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")] {
            let (gguf, hf) =
                (format!("blk.{layer}.{gguf}.weight"), format!("model.layers.{layer}.{hugging_face}.weight"));
            others.push(other(&gguf, &hf, "norm", &[dims.hidden], "F32"));
        }
    }
    others
}

/// Bits where most cells are `usual`; value and down projections of layers 1 and 11 are `better`, as is what is joined with the
/// former if `joined`.
pub(crate) fn bits(usual: &str, better: &str, joined: bool) -> Plan {
    let stored = |text: &str| Choice::Stored(text.parse().unwrap());
    plan(DIMS, Kind::Bits, |id| {
        let attention = [Component::AttnQ, Component::AttnK].contains(&id.component);
        let chosen = matches!(id.component, Component::AttnV | Component::MlpDown) || (joined && attention);
        if [1, 11].contains(&id.layer) && chosen { stored(better) } else { stored(usual) }
    })
}
