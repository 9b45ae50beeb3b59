//! Recipes as the clients get them, and matchers that refuse others.

use tomo_map::{CellId, Component, Names};
use tomo_plan::{CLIENTS, Choice, Decision, Kind, Plan, Recipe, find_client, recipes};
use tomo_testkit::LlamaDims;

use crate::model::{DIMS, bits, plan};
use crate::samples;

/// One layer of the model.
const ONE: LlamaDims = LlamaDims { layers: 1, ..DIMS };

fn written(id: &str, plan: &Plan) -> Vec<Recipe> {
    recipes(find_client(id).unwrap(), plan).unwrap_or_else(|e| panic!("{id}: {e}"))
}

fn refused(id: &str, plan: &Plan) -> String {
    recipes(find_client(id).unwrap(), plan).unwrap_err().to_string()
}

/// One layer: q4_k everywhere, but another type for what is joined from value, and for down.
fn one(usual: &str, better: &str) -> Plan {
    let stored = |text: &str| Choice::Stored(text.parse().unwrap());
    plan(ONE, Kind::Bits, |id| {
        let better_cells = [Component::AttnQ, Component::AttnK, Component::AttnV, Component::MlpDown];
        if better_cells.contains(&id.component) { stored(better) } else { stored(usual) }
    })
}

fn one_rank() -> Plan {
    plan(ONE, Kind::Rank, |id| {
        let rank = [8, 8, 0, 16, 8, 8, 8][id.component.index()];
        Choice::Rank { rank, alpha: 2 * rank }
    })
}

/// The text of each file, for a plan of one layer.
#[test]
fn files_are_what_they_have_always_been() {
    let cases: &[(&str, Plan, &[&str])] = &[
        ("llama.cpp", one("q4_k", "q6_k"), &[TENSOR_TYPES, QUANTIZE, QUANTIZE_FLAGS]),
        ("mlx", one("int4:g64", "int6:g32"), &[MLX_CONFIG]),
        ("mistral.rs", one("q4_k", "original"), &[TOPOLOGY]),
        ("gptqmodel", one("int4-sym:g64", "int8:g32"), &[GPTQ]),
        ("gptqmodel", one("int4-sym:g64", "original"), &[GPTQ_LEFT_ALONE]),
        ("llm-compressor", one("int4-sym:g64", "fp8"), &[RECIPE]),
        ("modelopt", one("nvfp4", "fp8"), &[QUANT_CFG, QUANT_CFG_PY, HF_QUANT_CONFIG]),
        ("peft", one_rank(), &[ADAPTER_CONFIG]),
        ("axolotl", one_rank(), &[LORA]),
        ("axolotl", plan(ONE, Kind::Train, |id| Choice::Train(id.component == Component::AttnV)), &[UNFROZEN, SNR]),
        (
            "llm-compressor",
            plan(ONE, Kind::Sparsity, |id| Choice::Sparsity([0.5, 0.0][id.component.index() % 2])),
            &[PRUNE],
        ),
        ("simulated", one("int4:g64", "original"), &[CHANGES]),
    ];
    for (id, plan, texts) in cases {
        let files = written(id, plan);
        assert!(files.len() >= texts.len());
        for (file, text) in files.iter().zip(*texts) {
            assert_eq!(file.text, *text, "{id}: {}\n{}", file.name, file.text);
        }
    }
}

const TENSOR_TYPES: &str = r"^blk\.0\.attn_q\.weight$=q8_0
^blk\.0\.attn_k\.weight$=q8_0
^blk\.0\.attn_v\.weight$=q8_0
^blk\.0\.attn_output\.weight$=q5_0
^blk\.0\.ffn_up\.weight$=q5_0
^blk\.0\.ffn_down\.weight$=q6_k
^blk\.0\.ffn_gate\.weight$=q5_0
";

const QUANTIZE: &str = r#"#!/bin/sh
# sh quantize.sh IN.gguf OUT.gguf [--imatrix FILE] [--allow-requantize]
set -eu
in=$1 out=$2
shift 2
quantize=${LLAMA_QUANTIZE:-llama-quantize}
set -- "$@" --tensor-type-file "$(dirname "$0")/tensor-types.txt" --token-embedding-type q8_0
"$quantize" --dry-run "$@" "$in" Q4_0
"$quantize" "$@" "$in" "$out" Q4_0
"#;

const QUANTIZE_FLAGS: &str = r#"#!/bin/sh
# sh quantize-flags.sh IN.gguf OUT.gguf [--imatrix FILE] [--allow-requantize]
set -eu
in=$1 out=$2
shift 2
quantize=${LLAMA_QUANTIZE:-llama-quantize}
set -- "$@" --token-embedding-type q8_0 \
    --tensor-type '^blk\.0\.attn_q\.weight$=q8_0' \
    --tensor-type '^blk\.0\.attn_k\.weight$=q8_0' \
    --tensor-type '^blk\.0\.attn_v\.weight$=q8_0' \
    --tensor-type '^blk\.0\.attn_output\.weight$=q5_0' \
    --tensor-type '^blk\.0\.ffn_up\.weight$=q5_0' \
    --tensor-type '^blk\.0\.ffn_down\.weight$=q6_k' \
    --tensor-type '^blk\.0\.ffn_gate\.weight$=q5_0'
"$quantize" "$@" "$in" "$out" Q4_0
"#;

const MLX_CONFIG: &str = r#"{
 "quantization": {
  "group_size": 32,
  "bits": 6,
  "mode": "affine",
  "model.layers.0.self_attn.o_proj": {
   "bits": 4,
   "group_size": 64
  },
  "model.layers.0.mlp.up_proj": {
   "bits": 4,
   "group_size": 64
  },
  "model.layers.0.mlp.gate_proj": {
   "bits": 4,
   "group_size": 64
  },
  "model.embed_tokens": false
 },
 "quantization_config": {
  "group_size": 32,
  "bits": 6,
  "mode": "affine",
  "model.layers.0.self_attn.o_proj": {
   "bits": 4,
   "group_size": 64
  },
  "model.layers.0.mlp.up_proj": {
   "bits": 4,
   "group_size": 64
  },
  "model.layers.0.mlp.gate_proj": {
   "bits": 4,
   "group_size": 64
  },
  "model.embed_tokens": false
 }
}
"#;
const TOPOLOGY: &str = r"'/^model\.layers\.0\.self_attn\.o_proj\.weight$/':
  isq: Q5_0
'/^model\.layers\.0\.mlp\.up_proj\.weight$/':
  isq: Q5_0
'/^model\.layers\.0\.mlp\.gate_proj\.weight$/':
  isq: Q5_0
";
const GPTQ: &str = r#"{
 "bits": 8,
 "group_size": 32,
 "sym": false,
 "desc_act": false,
 "dynamic": {
  "+:^model\\.layers\\.0\\.self_attn\\.o_proj$": {
   "bits": 4,
   "group_size": 64,
   "sym": true
  },
  "+:^model\\.layers\\.0\\.mlp\\.(?:up|gate|gate_up)_proj$": {
   "bits": 4,
   "group_size": 64,
   "sym": true
  }
 }
}
"#;
const GPTQ_LEFT_ALONE: &str = r#"{
 "bits": 4,
 "group_size": 64,
 "sym": true,
 "desc_act": false,
 "dynamic": {
  "-:^model\\.layers\\.0\\.self_attn\\.(?:q|k|v|qkv)_proj$": {},
  "-:^model\\.layers\\.0\\.mlp\\.down_proj$": {}
 }
}
"#;
const RECIPE: &str = "quant_stage:
  integers_modifiers:
    GPTQModifier:
      config_groups:
        integers_0:
          weights: {num_bits: 4, type: int, strategy: group, group_size: 64, symmetric: true, dynamic: false}
          targets:
          - 'model.layers.0.self_attn.o_proj'
          - 'model.layers.0.mlp.up_proj'
          - 'model.layers.0.mlp.gate_proj'
  floats_modifiers:
    QuantizationModifier:
      config_groups:
        floats_0:
          weights: {num_bits: 8, type: float, strategy: tensor, symmetric: true, dynamic: false}
          targets:
          - 'model.layers.0.self_attn.q_proj'
          - 'model.layers.0.self_attn.k_proj'
          - 'model.layers.0.self_attn.v_proj'
          - 'model.layers.0.mlp.down_proj'
";
const PRUNE: &str = "prune_stage:
  prune0_modifiers:
    SparseGPTModifier:
      sparsity: 0.5
      mask_structure: '0:0'
      targets:
      - 'model.layers.0.self_attn.q_proj'
      - 'model.layers.0.self_attn.v_proj'
      - 'model.layers.0.mlp.up_proj'
      - 'model.layers.0.mlp.gate_proj'
";
const QUANT_CFG: &str = r#"{
 "quant_cfg": [
  {
   "quantizer_name": "*",
   "enable": false
  },
  {
   "quantizer_name": "model.layers.0.self_attn.q_proj.weight_quantizer",
   "cfg": {"axis": null, "num_bits": [4, 3]}
  },
  {
   "quantizer_name": "model.layers.0.self_attn.q_proj.input_quantizer",
   "cfg": {"axis": null, "num_bits": [4, 3]}
  },
  {
   "quantizer_name": "model.layers.0.self_attn.k_proj.weight_quantizer",
   "cfg": {"axis": null, "num_bits": [4, 3]}
  },
  {
   "quantizer_name": "model.layers.0.self_attn.k_proj.input_quantizer",
   "cfg": {"axis": null, "num_bits": [4, 3]}
  },
  {
   "quantizer_name": "model.layers.0.self_attn.v_proj.weight_quantizer",
   "cfg": {"axis": null, "num_bits": [4, 3]}
  },
  {
   "quantizer_name": "model.layers.0.self_attn.v_proj.input_quantizer",
   "cfg": {"axis": null, "num_bits": [4, 3]}
  },
  {
   "quantizer_name": "model.layers.0.self_attn.o_proj.weight_quantizer",
   "cfg": {"axis": null, "block_sizes": {"-1": 16, "scale_bits": [4, 3], "type": "dynamic"}, "num_bits": [2, 1]}
  },
  {
   "quantizer_name": "model.layers.0.mlp.up_proj.weight_quantizer",
   "cfg": {"axis": null, "block_sizes": {"-1": 16, "scale_bits": [4, 3], "type": "dynamic"}, "num_bits": [2, 1]}
  },
  {
   "quantizer_name": "model.layers.0.mlp.down_proj.weight_quantizer",
   "cfg": {"axis": null, "num_bits": [4, 3]}
  },
  {
   "quantizer_name": "model.layers.0.mlp.down_proj.input_quantizer",
   "cfg": {"axis": null, "num_bits": [4, 3]}
  },
  {
   "quantizer_name": "model.layers.0.mlp.gate_proj.weight_quantizer",
   "cfg": {"axis": null, "block_sizes": {"-1": 16, "scale_bits": [4, 3], "type": "dynamic"}, "num_bits": [2, 1]}
  }
 ],
 "algorithm": "max"
}
"#;
const QUANT_CFG_PY: &str = r#""""from quant_cfg import QUANT_CFG: the configuration beside this file, for mtq.quantize."""
import json
from pathlib import Path


def with_numbers(pairs):
    return {int(key) if key.lstrip("-").isdigit() else key: value for key, value in pairs}


QUANT_CFG = json.loads(Path(__file__).with_name("quant_cfg.json").read_text(), object_pairs_hook=with_numbers)
"#;

const HF_QUANT_CONFIG: &str = r#"{
 "quantization": {
  "quant_algo": "MIXED_PRECISION",
  "kv_cache_quant_algo": null,
  "quantized_layers": {
   "model.layers.0.self_attn.q_proj": {"quant_algo": "FP8"},
   "model.layers.0.self_attn.k_proj": {"quant_algo": "FP8"},
   "model.layers.0.self_attn.v_proj": {"quant_algo": "FP8"},
   "model.layers.0.self_attn.o_proj": {"group_size": 16, "quant_algo": "W4A16_NVFP4"},
   "model.layers.0.mlp.up_proj": {"group_size": 16, "quant_algo": "W4A16_NVFP4"},
   "model.layers.0.mlp.down_proj": {"quant_algo": "FP8"},
   "model.layers.0.mlp.gate_proj": {"group_size": 16, "quant_algo": "W4A16_NVFP4"}
  }
 }
}
"#;
const ADAPTER_CONFIG: &str = r#"{
 "peft_type": "LORA",
 "task_type": "CAUSAL_LM",
 "r": 8,
 "lora_alpha": 16,
 "lora_dropout": 0.0,
 "bias": "none",
 "target_modules": [
  "model.layers.0.self_attn.q_proj",
  "model.layers.0.self_attn.k_proj",
  "model.layers.0.self_attn.o_proj",
  "model.layers.0.mlp.up_proj",
  "model.layers.0.mlp.down_proj",
  "model.layers.0.mlp.gate_proj"
 ],
 "rank_pattern": {
  "model\\.layers\\.0\\.self_attn\\.o_proj": 16
 },
 "alpha_pattern": {
  "model\\.layers\\.0\\.self_attn\\.o_proj": 32
 }
}
"#;
const LORA: &str = r"adapter: lora
lora_r: 8
lora_alpha: 16
lora_target_modules:
- 'model.layers.0.self_attn.q_proj'
- 'model.layers.0.self_attn.k_proj'
- 'model.layers.0.self_attn.o_proj'
- 'model.layers.0.mlp.up_proj'
- 'model.layers.0.mlp.down_proj'
- 'model.layers.0.mlp.gate_proj'
lora_rank_pattern:
  'model\.layers\.0\.self_attn\.o_proj': 16
lora_alpha_pattern:
  'model\.layers\.0\.self_attn\.o_proj': 32
";
const UNFROZEN: &str = "unfrozen_parameters:
- '^model.layers.0.self_attn.v_proj.weight$'
";
const SNR: &str = r#"{
 "model.layers.0.self_attn.v_proj": {
  "snr": 2.0,
  "type": "self_attn.v_proj"
 }
}
"#;
const CHANGES: &str = "--change L0.attn.o=int4:g64
--change L0.mlp.up=int4:g64
--change L0.mlp.gate=int4:g64
";

/// A file of a client with one place changed, and what its matcher has to say of it.
struct Broken {
    client: &'static str,
    plan: fn() -> Plan,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    reason: &'static str,
}

fn llama() -> Plan {
    bits("q4_k", "q6_k", false)
}

fn joined() -> Plan {
    bits("int4-sym:g64", "int8-sym:g64", true)
}

/// Layer 5 gets no pairs.
fn ranks() -> Plan {
    plan(DIMS, Kind::Rank, |id| {
        let rank = match id.layer {
            1 => 16,
            5 => 0,
            _ => 8,
        };
        Choice::Rank { rank, alpha: 16 }
    })
}

fn trained() -> Plan {
    plan(DIMS, Kind::Train, |id| Choice::Train(id.layer == 1))
}

const BROKEN: &[Broken] = &[
    Broken {
        client: "llama.cpp",
        plan: llama,
        file: "tensor-types.txt",
        from: r"^blk\.1\.attn_v\.weight$",
        to: r"^blk\.1\.attn_w\.weight$",
        reason: "matches no tensor",
    },
    Broken {
        client: "llama.cpp",
        plan: llama,
        file: "tensor-types.txt",
        from: r"^blk\.1\.attn_v\.weight$=q8_0",
        to: r"^blk\.1.*attn_v=q8_0",
        reason: "blk.10.attn_v.weight",
    },
    Broken {
        client: "llama.cpp",
        plan: llama,
        file: "tensor-types.txt",
        from: r"^blk\.0\.attn_q\.weight$=q5_0",
        to: r"attn_q=q5_0",
        reason: "never counts",
    },
    Broken {
        client: "llama.cpp",
        plan: llama,
        file: "tensor-types.txt",
        from: r"^blk\.11\.ffn_down\.weight$=q6_k",
        to: "",
        reason: "no pattern matches blk.11.ffn_down.weight",
    },
    Broken {
        client: "llama.cpp",
        plan: llama,
        file: "tensor-types.txt",
        from: r"^blk\.0\.attn_q\.weight$=q5_0",
        to: r"^blk\.0\.attn_q\.weight$=q4_0",
        reason: "base type q4_0",
    },
    Broken {
        client: "llama.cpp",
        plan: llama,
        file: "tensor-types.txt",
        from: r"^blk\.0\.attn_q\.weight$=q5_0",
        to: r"^\Dlk\.0\.attn_q\.weight$=q5_0",
        reason: "matches no tensor",
    },
    Broken {
        client: "llama.cpp",
        plan: llama,
        file: "tensor-types.txt",
        from: r"^blk\.0\.attn_q\.weight$=q5_0",
        to: r"# layer 0",
        reason: "has no =",
    },
    Broken { client: "llama.cpp", plan: llama, file: "quantize.sh", from: "Q4_0", to: "F16", reason: "another Q4_0" },
    Broken {
        client: "llama.cpp",
        plan: llama,
        file: "quantize.sh",
        from: "--token-embedding-type q8_0",
        to: "--token-embedding-type q4_0",
        reason: "--token-embedding-type is not q8_0",
    },
    Broken {
        client: "llama.cpp",
        plan: llama,
        file: "quantize-flags.sh",
        from: r"'^blk\.1\.attn_v\.weight$=q8_0'",
        to: r"'^blk\.1\.attn_v\.weight$=q5_1'",
        reason: "q5_1 instead of q8_0",
    },
    Broken {
        client: "mistral.rs",
        plan: llama,
        file: "topology.yml",
        from: r"/^model\.layers\.11\.self_attn\.v_proj\.weight$/",
        to: r"/model.layers.1.*v_proj/",
        reason: "model.layers.10",
    },
    Broken {
        client: "mistral.rs",
        plan: llama,
        file: "topology.yml",
        from: r"'/^model\.layers\.1\.self_attn\.v_proj\.weight$/'",
        to: "1-2",
        reason: "no expression",
    },
    Broken {
        client: "mistral.rs",
        plan: llama,
        file: "topology.yml",
        from: "isq: Q6K",
        to: "isq: Q5K",
        reason: "q5k instead of q6k",
    },
    Broken {
        client: "mlx",
        plan: || bits("int4:g64", "int6:g64", false),
        file: "config.json",
        from: "model.layers.11.mlp.down_proj",
        to: "model.layers.11.mlp.down_proj.weight",
        reason: "quantization_config differs",
    },
    Broken {
        client: "mlx",
        plan: || bits("int4:g64", "int6:g64", false),
        file: "sensitivities.json",
        from: "model.layers.11.mlp.down_proj",
        to: "model.layers.12.mlp.down_proj",
        reason: "has no entry",
    },
    Broken {
        client: "mlx",
        plan: || bits("int4:g64", "int6:g64", false),
        file: "sensitivities.json",
        from: "[\"model.layers.11.mlp.down_proj\",1.0]",
        to: "[\"model.layers.11.mlp.down_proj\", 0.5]",
        reason: "would be",
    },
    Broken {
        client: "gptqmodel",
        plan: joined,
        file: "quantize_config.json",
        from: r"+:^model\\.layers\\.1\\.self_attn\\.(?:q|k|v|qkv)_proj$",
        to: r"+:^model\\.layers\\.1\\.self_attn\\.(?:q|k|v)_proj$",
        reason: "no pattern matches model.layers.1.self_attn.qkv_proj",
    },
    Broken {
        client: "gptqmodel",
        plan: joined,
        file: "quantize_config.json",
        from: r"+:^model\\.layers\\.1\\.mlp\\.down_proj$",
        to: r"+:model.layers.1.mlp.down_proj|lm_head|.*down",
        reason: "model.layers.0.mlp.down_proj",
    },
    Broken {
        client: "gptqmodel",
        plan: joined,
        file: "quantize_config.json",
        from: "\"bits\": 8",
        to: "\"bits\": 3",
        reason: "int3-sym:g64",
    },
    Broken {
        client: "gptqmodel",
        plan: joined,
        file: "quantize_config.json",
        from: "+:^model\\\\.layers\\\\.11\\\\.mlp\\\\.down",
        to: "-:^model\\\\.layers\\\\.11\\\\.mlp\\\\.down",
        reason: "left as it is instead of int8-sym:g64",
    },
    Broken {
        client: "llm-compressor",
        plan: joined,
        file: "recipe.yaml",
        from: "'model.layers.11.mlp.down_proj'",
        to: r"'re:model\.layers\.1'",
        reason: "also matches model.layers.1.input_layernorm",
    },
    Broken {
        client: "llm-compressor",
        plan: joined,
        file: "recipe.yaml",
        from: "- 'model.layers.11.mlp.down_proj'",
        to: "- 'Linear'",
        reason: "\"Linear\" matches no tensor",
    },
    Broken {
        client: "llm-compressor",
        plan: joined,
        file: "recipe.yaml",
        from: "integers_modifiers",
        to: "integers",
        reason: "would be passed over",
    },
    Broken {
        client: "modelopt",
        plan: || bits("nvfp4", "fp8", true),
        file: "quant_cfg.json",
        from: "model.layers.1.mlp.down_proj.weight_quantizer",
        to: "*.1.*weight_quantizer",
        reason: "model.layers.1.self_attn.o_proj.weight_quantizer",
    },
    Broken {
        client: "modelopt",
        plan: || bits("nvfp4", "fp8", true),
        file: "hf_quant_config.json",
        from: "\"model.layers.1.mlp.down_proj\": {\"quant_algo\": \"FP8\"}",
        to: "\"model.layers.1.mlp.down_proj\": {\"quant_algo\": \"NVFP4\"}",
        reason: "instead of",
    },
    Broken {
        client: "peft",
        plan: ranks,
        file: "adapter_config.json",
        from: r#""model.layers.11.mlp.down_proj""#,
        to: r#""down_proj""#,
        reason: "also matches model.layers.5.mlp.down_proj",
    },
    Broken {
        client: "peft",
        plan: ranks,
        file: "adapter_config.json",
        from: r#""model\\.layers\\.1\\.self_attn\\.q_proj": 16"#,
        to: r#""^q_proj": 16"#,
        reason: "matches no tensor",
    },
    Broken {
        client: "peft",
        plan: ranks,
        file: "adapter_config.json",
        from: r#""model\\.layers\\.1\\.self_attn\\.q_proj": 16"#,
        to: r#""q_proj": 16"#,
        reason: "model.layers.0.self_attn.q_proj",
    },
    Broken {
        client: "peft",
        plan: ranks,
        file: "adapter_config.json",
        from: "\"r\": 8",
        to: "\"r\": 4",
        reason: "which should be rank 8",
    },
    Broken {
        client: "axolotl",
        plan: ranks,
        file: "lora.yml",
        from: r"'model\.layers\.1\.self_attn\.q_proj': 16",
        to: r"'^model\.layers\.1\.self_attn\.k_proj': 16",
        reason: "no pattern matches model.layers.1.self_attn.q_proj",
    },
    Broken {
        client: "axolotl",
        plan: trained,
        file: "unfrozen.yml",
        from: "'^model.layers.1.self_attn.q_proj.weight$'",
        to: "'model.layers.1'",
        reason: "model.layers.10",
    },
    Broken {
        client: "axolotl",
        plan: trained,
        file: "unfrozen.yml",
        from: "'^model.layers.1.self_attn.q_proj.weight$'",
        to: r"'^model\.layers\.1\.self_attn\.q_proj\.weight$'",
        reason: "matches no tensor",
    },
    Broken {
        client: "axolotl",
        plan: trained,
        file: "unfrozen.yml",
        from: "'^model.layers.1.self_attn.q_proj.weight$'",
        to: "'layers.1.self_attn.q_proj.weight$'",
        reason: "matches no tensor",
    },
    Broken {
        client: "axolotl",
        plan: trained,
        file: "snr_results_org-tiny-model.json",
        from: "\"model.layers.1.mlp.down_proj\"",
        to: "\"model.layers.11.mlp.down_proj\"",
        reason: "no pattern matches model.layers.1.mlp.down_proj.weight",
    },
    Broken {
        client: "simulated",
        plan: || bits("int4:g64", "int6:g64", false),
        file: "changes.txt",
        from: "--change L1.mlp.down=int6:g64",
        to: "--change mlp.down=int6:g64",
        reason: "matches no tensor",
    },
];

#[test]
fn a_recipe_that_would_do_something_else_is_refused() {
    let mut wrong = Vec::new();
    for Broken { client: id, plan, file, from, to, reason } in BROKEN {
        let (client, plan) = (find_client(id).unwrap(), plan());
        let mut files = written(id, &plan);
        assert!((client.check)(&plan, &files).is_ok(), "{id}");
        let found = files.iter_mut().find(|f| f.name == *file).unwrap_or_else(|| panic!("{id} has no {file}"));
        let text = found.text.replacen(from, to, 1);
        assert!(text != found.text, "{id}: {file} has no {from}");
        found.text = text;
        let found = (client.check)(&plan, &files).map_or_else(|e| e.to_string(), |()| "it passed".to_owned());
        if !found.contains(reason) {
            wrong.push(format!("{id}: {file} with {to:?}, expected {reason:?}\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Every client takes a plan of every kind it says it takes, on a model whose layers 1 and 11 could be confused; a file less is noticed.
#[test]
fn every_client_checks_every_file_it_writes() {
    for client in CLIENTS {
        for kind in client.kinds {
            let plan = match kind {
                Kind::Bits => bits(client.usual[0], client.usual[client.usual.len() - 1], true),
                Kind::Rank => ranks(),
                Kind::Train => trained(),
                Kind::Sparsity => plan(DIMS, Kind::Sparsity, |id| Choice::Sparsity(f64::from(id.layer % 3) / 4.0)),
            };
            let files = written(client.id, &plan);
            for file in files.iter().filter(|file| !file.name.ends_with(".py")) {
                let fewer: Vec<Recipe> = files.iter().filter(|other| other.name != file.name).cloned().collect();
                assert!((client.check)(&plan, &fewer).is_err(), "{}: {} is not missed", client.id, file.name);
            }
        }
    }
}

#[test]
fn what_a_client_lacks_is_said() {
    let unsupported = refused("peft", &llama());
    assert!(unsupported.contains("peft has no recipes for a plan of bits"), "{unsupported}");
    for (id, plan, reason) in [
        ("mlx", llama(), "mlx cannot store L0.attn.q as q4_k"),
        ("gptqmodel", bits("int4-sym:g128", "int8-sym:g128", true), "rows of 576 weights"),
        ("mlx", bits("int4:g64", "int5-sym:g64", true), "int5-sym:g64"),
        ("gptqmodel", bits("int4-sym:g64", "int8-sym:g64", false), "L1.attn.q and L1.attn.v as one"),
        ("llm-compressor", bits("int4-sym:g64", "int8-sym:g64", false), "L1.attn.q and L1.attn.v as one"),
        ("modelopt", bits("nvfp4", "fp8", false), "L1.attn.q and L1.attn.v as one"),
        ("peft", plan(DIMS, Kind::Rank, |_| Choice::Rank { rank: 0, alpha: 8 }), "no cell gets a rank"),
        ("axolotl", plan(DIMS, Kind::Train, |_| Choice::Train(false)), "no cell is trained"),
    ] {
        let error = refused(id, &plan);
        assert!(error.contains(reason), "{id}: {error}");
    }
}

/// The flag for embeddings knows no fallback: 576 columns are no blocks of 256.
#[test]
fn llama_cpp_gets_the_final_type_of_embeddings_and_a_pattern_for_every_other_matrix() {
    let mut plan = one("q4_k", "q6_k");
    plan.others[1].stored = "Q6_K".to_owned();
    let mut extra = plan.others[1].clone();
    extra.names.gguf = Some("blk.0.extra.weight".to_owned());
    extra.stored = "F16".to_owned();
    plan.others.push(extra);
    let files = written("llama.cpp", &plan);
    assert!(files[1].text.contains("--token-embedding-type q8_0"), "{}", files[1].text);
    assert!(files[0].text.ends_with("^blk\\.0\\.extra\\.weight$=f16\n"), "{}", files[0].text);
}

#[test]
fn names_that_are_missing_or_cannot_be_written_are_refused() {
    let named = |gguf: Option<&str>| {
        let mut plan = llama();
        plan.cells[3].names.gguf = gguf.map(str::to_owned);
        refused("llama.cpp", &plan)
    };
    assert!(named(None).contains("L0.attn.o has none there"), "{}", named(None));
    for bad in ["blk.0.attn'$(id)'.weight", "blk.0 attn.weight", "blk.0.\u{1b}[31m.weight", ""] {
        let error = named(Some(bad));
        assert!(error.contains("cannot be written down safely") && !error.contains('\u{1b}'), "{error}");
    }
}

/// A layer of attention and two experts, named apart or stacked.
fn experts(stacked: bool, choice: impl Fn(CellId) -> Choice) -> Plan {
    let mut plan = plan(ONE, Kind::Bits, &choice);
    let mut cells: Vec<Decision> = Vec::new();
    for cell in plan.cells {
        if cell.id.component.index() < 4 {
            cells.push(cell);
            continue;
        }
        let (gguf, module) = match cell.id.component {
            Component::MlpUp => ("ffn_up_exps", "up_proj"),
            Component::MlpDown => ("ffn_down_exps", "down_proj"),
            _ => ("ffn_gate_exps", "gate_proj"),
        };
        for expert in [0, 1] {
            let id = CellId { expert: Some(expert), ..cell.id };
            let mlp = "model.layers.0.mlp.experts";
            let hugging_face = match (stacked, cell.id.component) {
                (true, Component::MlpDown) => format!("{mlp}.down_proj"),
                (true, _) => format!("{mlp}.gate_up_proj"),
                (false, _) => format!("{mlp}.{expert}.{module}.weight"),
            };
            let names = Names { gguf: Some(format!("blk.0.{gguf}.weight")), hugging_face: Some(hugging_face) };
            cells.push(Decision { id, names, choice: choice(id), ..cell.clone() });
        }
    }
    plan.kind = choice(cells[0].id).kind();
    Plan { cells, ..plan }
}

#[test]
fn experts_go_where_their_client_has_them() {
    let alike = |usual: &'static str, experts: &'static str| {
        move |id: CellId| Choice::Stored(if id.expert.is_some() { experts } else { usual }.parse().unwrap())
    };
    let one_differs = |usual: &'static str, other: &'static str| {
        move |id: CellId| {
            let differs = id.expert == Some(1) && id.component == Component::MlpDown;
            Choice::Stored(if differs { other } else { usual }.parse().unwrap())
        }
    };
    let files = written("llama.cpp", &experts(false, alike("q4_k", "q6_k")));
    assert!(files[0].text.contains(r"^blk\.0\.ffn_down_exps\.weight$=q6_k"), "{}", files[0].text);
    assert_eq!(files[0].text.lines().count(), 7);
    let error = refused("llama.cpp", &experts(false, one_differs("q4_k", "q6_k")));
    assert!(error.contains("L0.mlp.down[0] and L0.mlp.down[1] as one"), "{error}");
    assert!(error.contains("blk.0.ffn_down_exps.weight"), "{error}");

    for stacked in [false, true] {
        let files = written("mlx", &experts(stacked, alike("int4:g64", "int6:g64")));
        for module in ["up", "down", "gate"] {
            assert!(
                files[0].text.contains(&format!("\"model.layers.0.mlp.switch_mlp.{module}_proj\"")),
                "{}",
                files[0].text
            );
        }
    }
    assert!(refused("mlx", &experts(false, one_differs("int4:g64", "int6:g64"))).contains("L0.mlp.down[0] and"));

    let files = written("gptqmodel", &experts(false, alike("int4-sym:g64", "int8-sym:g64")));
    let rule = r"+:^model\\.layers\\.0\\.self_attn\\.(?:q|k|v|qkv)_proj$";
    assert!(files[0].text.contains(rule), "experts are most of the modules, so attention differs: {}", files[0].text);
    let files = written("gptqmodel", &experts(false, alike("int4-sym:g64", "original")));
    let rule = r"-:^model\\.layers\\.0\\.mlp\\.experts(?:\\.\\d+\\.(?:down_proj|gate_proj|up_proj))?$";
    assert!(files[0].text.contains(rule), "{}", files[0].text);
    assert!(refused("gptqmodel", &experts(true, alike("int4-sym:g64", "original"))).contains("stack of experts"));
    assert!(refused("mistral.rs", &experts(false, alike("q4_k", "q6_k"))).contains("L0.mlp.up[0]"));

    let rank = |id: CellId| Choice::Rank { rank: if id.expert.is_some() { 4 } else { 8 }, alpha: 16 };
    assert!(refused("peft", &experts(false, rank)).contains("L0.mlp.up[0]"));
    let attention_only = |id: CellId| Choice::Rank { rank: if id.expert.is_some() { 0 } else { 8 }, alpha: 16 };
    assert!(!written("peft", &experts(true, attention_only))[0].text.contains("experts"));
}

/// From a map to files, for every client and kind: allocation offers nothing that the recipe then refuses. Width 96 of the down
/// projection is no multiple of 64 or 256.
#[test]
fn what_allocation_plans_every_client_can_be_told() {
    let metrics = ["int2", "int3", "int4", "int5", "int6", "int8", "int3-sym", "int4-sym", "int8-sym", "nvfp4", "fp8"];
    let blocks = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_xs"];
    let names: Vec<String> = metrics.iter().chain(&blocks).map(|format| format!("quant-kl-{format}")).collect();
    let cost = |at: usize, _: &tomo_map::Cell| samples::importance(at);
    let worth = |at: usize, _: &tomo_map::Cell| 1.0 + samples::importance(at);
    let columns = names.iter().map(|name| (name.as_str(), &cost as samples::Of<'_>));
    let columns: Vec<_> = columns
        .chain([("gradient-norm", &worth as samples::Of<'_>), ("err-int2", &worth), ("spectrum-snr", &worth)])
        .collect();
    let mut map = samples::map(12, &columns);
    for client in CLIENTS {
        // Clients want groups of different lengths, and a map has one.
        let group =
            client.usual.iter().find_map(|usual| usual.split_once(":g")).map(|(_, group)| group.parse().unwrap());
        map.provenance.group = group.or(map.provenance.group);
        for kind in client.kinds {
            let ask = match kind {
                Kind::Bits => "13bpw",
                Kind::Rank => "rank:8",
                Kind::Train => "top:30%",
                Kind::Sparsity => "30%",
            };
            let plan = tomo_plan::make_plan(&map, client, &tomo_plan::Options::new(*kind, ask.parse().unwrap()));
            let plan = plan.unwrap_or_else(|e| panic!("{} {kind:?}: {e}", client.id));
            assert!(!written(client.id, &plan).is_empty());
        }
    }
}
