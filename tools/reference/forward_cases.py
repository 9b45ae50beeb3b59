"""More cases for forward.py, beside those of families_cases.py: every variant of the arithmetic once, where it can be seen.

A case here has two layers unless its pattern needs three, large eps (at 1e-6 a wrong one would hide below float32's noise) and
weights three times as large, so that attention is far from uniform, angles matter and activations bend. Sequences are 11 and 5
tokens long (forward.py): only the first crosses the windows (5) and the original maxima of dynamic and longrope (8).
"""

import transformers as t

from families_cases import WINDOWED, base

EPS = 0.02


def small(**changes):
    return base(**{"num_hidden_layers": 2, "rms_norm_eps": EPS, **changes})


def layernormed(key="layer_norm_eps", **changes):
    common = small(**{key: EPS, **changes})
    del common["rms_norm_eps"]
    return common


def rope(kind, theta=60.0, **changes):
    return {"rope_type": kind, "rope_theta": theta, **changes}


def llama(**changes):
    return lambda: t.LlamaConfig(**small(**changes))


def case(family, config, model):
    return {"family": family, "config": config, "model": model}


def of_llama(**changes):
    return case("llama", llama(**changes), t.LlamaForCausalLM)


def phi3(rope_parameters, **changes):
    return case("phi3", lambda: t.Phi3Config(**small(
        hidden_size=48, intermediate_size=44, max_position_embeddings=32, original_max_position_embeddings=8,
        rope_parameters=rope_parameters, **changes,
    )), t.Phi3ForCausalLM)


def gpt2(**changes):
    return case("gpt2", lambda: t.GPT2Config(**{**dict(
        vocab_size=61, n_positions=64, n_embd=36, n_layer=2, n_head=6, n_inner=52, bos_token_id=1, eos_token_id=2,
        layer_norm_epsilon=EPS), **changes,
    }), t.GPT2LMHeadModel)


def gpt_neox(**changes):
    config = layernormed(**{"hidden_size": 48, "intermediate_size": 52, **changes})
    del config["num_key_value_heads"]
    return case("gpt_neox", lambda: t.GPTNeoXConfig(**config), t.GPTNeoXForCausalLM)


LONG = dict(short_factor=[1.0, 1.3, 1.7], long_factor=[2.0, 3.5, 6.0], original_max_position_embeddings=8)
LONG_WIDE = dict(short_factor=[1.0, 1.2, 1.4, 1.9], long_factor=[1.5, 3.0, 5.0, 9.0], original_max_position_embeddings=8)

FORWARD_CASES = {
    # Rope scalings. Heads are 8 wide: wavelengths 6.3, 17, 49 and 136 at base 60.
    "llama_linear": of_llama(head_dim=8, rope_parameters=rope("linear", factor=2.5)),
    "llama_dynamic": of_llama(head_dim=8, max_position_embeddings=8, rope_parameters=rope("dynamic", factor=3.0)),
    "llama_llama3": of_llama(head_dim=8, rope_parameters=rope(
        "llama3", factor=6.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)),
    "llama_yarn": of_llama(head_dim=8, rope_parameters=rope("yarn", factor=4.0, original_max_position_embeddings=64)),
    "llama_yarn_mscale": of_llama(head_dim=8, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=40, beta_fast=3.0, beta_slow=0.5, mscale=1.2, mscale_all_dim=0.4,
        truncate=False)),
    "llama_yarn_attention_factor": of_llama(head_dim=8, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=64, attention_factor=0.8)),
    "llama_longrope": of_llama(head_dim=8, rope_parameters=rope("longrope", factor=3.0, **LONG_WIDE)),
    "llama_longrope_attention_factor": of_llama(head_dim=8, rope_parameters=rope(
        "longrope", attention_factor=1.4, **LONG_WIDE)),
    "phi3_longrope": phi3(rope("longrope", partial_rotary_factor=0.75, **LONG)),
    "phi3_plain": phi3(rope("default"), tie_word_embeddings=True),
    "qwen2_yarn": case("qwen2", lambda: t.Qwen2Config(**small(
        hidden_size=48, max_position_embeddings=96, tie_word_embeddings=True,
        rope_parameters=rope("yarn", factor=4.0, original_max_position_embeddings=24),
    )), t.Qwen2ForCausalLM),
    # Activations of a gate, biases of one half only, heads without grouping.
    "llama_gelu": of_llama(hidden_act="gelu", num_key_value_heads=6, mlp_bias=True),
    "llama_gelu_tanh": of_llama(hidden_act="gelu_pytorch_tanh", num_key_value_heads=1),
    "llama_relu": of_llama(hidden_act="relu", attention_bias=True),
    # Windows: every layer, none, and by layer.
    "mistral_plain": case("llama", lambda: t.MistralConfig(**small(head_dim=8, sliding_window=None)), t.MistralForCausalLM),
    "qwen3_plain": case("qwen3", lambda: t.Qwen3Config(**small(head_dim=10, tie_word_embeddings=True)), t.Qwen3ForCausalLM),
    "qwen3_moe_window": case("qwen3_moe", lambda: t.Qwen3MoeConfig(**small(
        num_hidden_layers=3, head_dim=10, num_experts=4, num_experts_per_tok=3, moe_intermediate_size=12,
        decoder_sparse_step=2, norm_topk_prob=True, use_sliding_window=True, sliding_window=5,
    )), t.Qwen3MoeForCausalLM),
    "smollm3_interval": case("smollm3", lambda: t.SmolLM3Config(**small(
        no_rope_layer_interval=2, use_sliding_window=True, sliding_window=5, attention_bias=True, tie_word_embeddings=True,
    )), t.SmolLM3ForCausalLM),
    # Gemmas: caps that bend, exact scalars, biases.
    "gemma_bias": case("gemma", lambda: t.GemmaConfig(**small(
        head_dim=8, attention_bias=True, tie_word_embeddings=True)), t.GemmaForCausalLM),
    "gemma2_caps": case("gemma2", lambda: t.Gemma2Config(**small(
        head_dim=8, query_pre_attn_scalar=5, sliding_window=5, attn_logit_softcapping=1.5, final_logit_softcapping=2.0,
        attention_bias=True, tie_word_embeddings=True,
    )), t.Gemma2ForCausalLM),
    "gemma2_uncapped": case("gemma2", lambda: t.Gemma2Config(**small(
        head_dim=8, query_pre_attn_scalar=8, sliding_window=5, attn_logit_softcapping=None, final_logit_softcapping=None,
        tie_word_embeddings=True,
    )), t.Gemma2ForCausalLM),
    "gemma3_caps": case("gemma3", lambda: t.Gemma3TextConfig(**small(
        num_hidden_layers=3, head_dim=8, query_pre_attn_scalar=5, sliding_window=5, layer_types=WINDOWED,
        attention_bias=True, final_logit_softcapping=2.0, tie_word_embeddings=True,
        rope_parameters={"full_attention": rope("linear", 900.0, factor=8.0), "sliding_attention": rope("default", 40.0)},
    )), t.Gemma3ForCausalLM),
    # Norms, multipliers, parallel blocks.
    "olmo2_bias": case("olmo2", lambda: t.Olmo2Config(**small(attention_bias=True, num_key_value_heads=6)), t.Olmo2ForCausalLM),
    "granite_tied": case("granite", lambda: t.GraniteConfig(**small(
        embedding_multiplier=6.0, attention_multiplier=0.6, residual_multiplier=0.22, logits_scaling=4.0,
        tie_word_embeddings=True,
    )), t.GraniteForCausalLM),
    "stablelm_parallel_norms": case("stablelm", lambda: t.StableLmConfig(**layernormed(
        hidden_size=48, use_qkv_bias=True, qk_layernorm=True, use_parallel_residual=True,
        rope_parameters={**rope("default"), "partial_rotary_factor": 0.25},
    )), t.StableLmForCausalLM),
    "stablelm_sequential": case("stablelm", lambda: t.StableLmConfig(**layernormed(
        hidden_size=48, num_key_value_heads=6, rope_parameters={**rope("default"), "partial_rotary_factor": 1.0},
    )), t.StableLmForCausalLM),
    "starcoder2_plain": case("starcoder2", lambda: t.Starcoder2Config(**layernormed(
        "norm_epsilon", use_bias=False, sliding_window=None, hidden_act="gelu", num_key_value_heads=1, tie_word_embeddings=True,
    )), t.Starcoder2ForCausalLM),
    "gpt_neox_sequential": gpt_neox(
        use_parallel_residual=False, attention_bias=False, hidden_act="gelu_fast",
        rope_parameters={**rope("default"), "partial_rotary_factor": 1.0}),
    "gpt_neox_linear": gpt_neox(
        use_parallel_residual=True, hidden_act="gelu_new", tie_word_embeddings=True,
        rope_parameters={**rope("linear", factor=2.0), "partial_rotary_factor": 0.5}),
    "gpt2_reordered": gpt2(scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True, activation_function="gelu"),
    "gpt2_unscaled": gpt2(scale_attn_weights=False, activation_function="relu", tie_word_embeddings=False),
    # Routing.
    "mixtral_one": case("mixtral", lambda: t.MixtralConfig(**small(
        head_dim=10, intermediate_size=20, num_local_experts=4, num_experts_per_tok=1, sliding_window=None,
    )), t.MixtralForCausalLM),
    "olmoe_plain": case("olmoe", lambda: t.OlmoeConfig(**small(
        intermediate_size=20, num_experts=4, num_experts_per_tok=2, norm_topk_prob=False, num_key_value_heads=6,
    )), t.OlmoeForCausalLM),
    "olmoe_clip": case("olmoe", lambda: t.OlmoeConfig(**small(
        intermediate_size=20, num_experts=4, num_experts_per_tok=3, norm_topk_prob=True, clip_qkv=0.4, attention_bias=True,
    )), t.OlmoeForCausalLM),
    # The switches of the published models, which are also all that a GGUF file can say (forward_gguf.py). Base 10000 where the
    # converter does not write it.
    "gemma_hub": case("gemma", lambda: t.GemmaConfig(**small(
        head_dim=10, num_key_value_heads=1, tie_word_embeddings=True, rope_parameters=rope("default", 10000.0),
    )), t.GemmaForCausalLM),
    "gemma2_hub": case("gemma2", lambda: t.Gemma2Config(**small(
        num_hidden_layers=3, head_dim=8, query_pre_attn_scalar=8, sliding_window=5, attn_logit_softcapping=2.0,
        final_logit_softcapping=3.0, tie_word_embeddings=True, rope_parameters=rope("default", 10000.0),
    )), t.Gemma2ForCausalLM),
    # Five windows and a full layer, twice over, as `sliding_window_pattern` is 6 where nothing is said.
    "gemma3_hub": case("gemma3", lambda: t.Gemma3TextConfig(**small(
        num_hidden_layers=7, hidden_size=20, intermediate_size=28, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
        query_pre_attn_scalar=8, sliding_window=5, tie_word_embeddings=True, rope_parameters={
            "full_attention": rope("linear", 900.0, factor=8.0), "sliding_attention": rope("default", 10000.0),
        },
    )), t.Gemma3ForCausalLM),
    # Angles in every layer but each fourth.
    "smollm3_hub": case("smollm3", lambda: t.SmolLM3Config(**small(
        num_hidden_layers=4, hidden_size=24, intermediate_size=28, num_attention_heads=3, num_key_value_heads=1,
        tie_word_embeddings=True, rope_parameters=rope("default"),
    )), t.SmolLM3ForCausalLM),
    "starcoder2_hub": case("starcoder2", lambda: t.Starcoder2Config(**layernormed(
        "norm_epsilon", use_bias=True, tie_word_embeddings=True)), t.Starcoder2ForCausalLM),
    "stablelm_hub": case("stablelm", lambda: t.StableLmConfig(**layernormed(
        hidden_size=48, use_qkv_bias=True, rope_parameters={**rope("default", 10000.0), "partial_rotary_factor": 0.5},
    )), t.StableLmForCausalLM),
    "gpt2_hub": gpt2(n_embd=30, n_head=5, n_inner=None),
    "gpt_neox_hub": gpt_neox(
        use_parallel_residual=True, rope_parameters={**rope("default", 10000.0), "partial_rotary_factor": 0.5}),
    "mixtral_hub": case("mixtral", lambda: t.MixtralConfig(**small(
        intermediate_size=20, num_local_experts=4, num_experts_per_tok=2, sliding_window=None,
        rope_parameters=rope("default", 700.0),
    )), t.MixtralForCausalLM),
    "qwen3_moe_hub": case("qwen3_moe", lambda: t.Qwen3MoeConfig(**small(
        head_dim=10, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=12, norm_topk_prob=True,
    )), t.Qwen3MoeForCausalLM),
    # The eps that the converter writes whatever config.json says.
    "olmoe_hub": case("olmoe", lambda: t.OlmoeConfig(**small(
        intermediate_size=20, num_experts=5, num_experts_per_tok=2, norm_topk_prob=False, num_key_value_heads=6, rms_norm_eps=1e-5,
    )), t.OlmoeForCausalLM),
    "olmo2_hub": case("olmo2", lambda: t.Olmo2Config(**small(num_key_value_heads=6)), t.Olmo2ForCausalLM),
}
