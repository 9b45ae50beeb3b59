"""Writes fixtures/golden/config-defaults.json: what transformers computes with when config.json leaves a key out.

    python tools/reference/config_defaults.py

Per model_type the config of a class made without arguments, reduced to the keys that change what a forward pass computes. `null` is a value
(no window, no cap); a key that is not listed does not exist in that class and is ignored there, `head_dim` and `num_key_value_heads`
excepted: where they are null or absent they follow from `hidden_size` and `num_attention_heads`. Layer patterns that are derived
(`layer_types`, `no_rope_layers`) are cut to twelve layers.
"""

import json
from pathlib import Path

import transformers

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "golden" / "config-defaults.json"
TYPES = (
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "olmo2", "granite", "smollm3", "stablelm",
    "starcoder2", "gpt2", "gpt_neox", "mixtral", "qwen3_moe", "olmoe",
)
KEYS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    "hidden_act", "hidden_activation", "activation_function", "max_position_embeddings", "original_max_position_embeddings",
    "rms_norm_eps", "layer_norm_eps", "norm_epsilon", "layer_norm_epsilon", "tie_word_embeddings", "rope_parameters",
    "attention_bias", "mlp_bias", "use_bias", "use_qkv_bias", "qk_layernorm", "use_parallel_residual", "clip_qkv",
    "use_sliding_window", "sliding_window", "max_window_layers", "layer_types", "no_rope_layers", "no_rope_layer_interval",
    "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping", "use_bidirectional_attention",
    "attention_multiplier", "residual_multiplier", "embedding_multiplier", "logits_scaling", "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "add_cross_attention", "n_positions", "n_embd", "n_layer", "n_head",
    "n_inner", "num_local_experts", "num_experts", "num_experts_per_tok", "moe_intermediate_size", "norm_topk_prob",
    "decoder_sparse_step", "mlp_only_layers", "router_jitter_noise",
)
LAYERS = 12


def main():
    out = {}
    for kind in TYPES:
        config = transformers.AutoConfig.for_model(kind)
        stated = config.to_dict()
        values = {key: stated[key] for key in KEYS if key in stated}
        for key in ("layer_types", "no_rope_layers"):
            if values.get(key):
                values[key] = values[key][:LAYERS]
        out[kind] = values
    record = {
        "script": "tools/reference/config_defaults.py",
        "versions": {"transformers": transformers.__version__},
        "defaults": out,
    }
    OUT.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{OUT}: {len(out)} classes")


if __name__ == "__main__":
    main()
