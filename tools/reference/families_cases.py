"""The cases of families.py: one tiny config per family, every switch of the family on, sizes that are no powers of two."""

import transformers as t

LAYERS, VOCAB = 3, 61
ROPE = {"rope_type": "default", "rope_theta": 5000.0}


def in_model(model):
    return model.model.layers


def dims(config, experts=None, expert_ffn=None, ffn="intermediate_size"):
    heads = config.num_attention_heads
    return {
        "layers": config.num_hidden_layers,
        "hidden": config.hidden_size,
        "heads": heads,
        "kv_heads": getattr(config, "num_key_value_heads", None) or heads,
        "head_dim": getattr(config, "head_dim", None) or config.hidden_size // heads,
        "ffn": getattr(config, ffn) if ffn else None,
        "vocab": config.vocab_size,
        "experts": getattr(config, experts) if experts else None,
        "expert_ffn": getattr(config, expert_ffn) if expert_ffn else None,
    }


def base(**changes):
    common = dict(
        vocab_size=VOCAB, hidden_size=36, intermediate_size=52, num_hidden_layers=LAYERS, num_attention_heads=6,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False, rope_parameters=dict(ROPE),
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )
    return {**common, **changes}


LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 5000.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
WINDOWED = ["sliding_attention", "full_attention", "sliding_attention"]


def case(family, config, model, gguf=None, **more):
    out = {"family": family, "config": config, "model": model, "layers": in_model, "dims": dims, **more}
    return {**out, "gguf": gguf} if gguf else out


def gemma3_text(**changes):
    return t.Gemma3TextConfig(**base(
        head_dim=10, query_pre_attn_scalar=9, sliding_window=5, layer_types=WINDOWED, attention_bias=False,
        rope_parameters={
            "full_attention": {"rope_type": "linear", "rope_theta": 8000.0, "factor": 2.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
        },
        tie_word_embeddings=True, **changes,
    ))


def gemma3_multimodal():
    vision = t.SiglipVisionConfig(
        hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4,
    )
    return t.Gemma3Config(text_config=gemma3_text(), vision_config=vision, mm_tokens_per_image=4)


CASES = {
    "llama": case(
        "llama", lambda: t.LlamaConfig(**base(head_dim=8, attention_bias=True, mlp_bias=True, rope_parameters=dict(LLAMA3))),
        t.LlamaForCausalLM, "llama", pairs=True,
    ),
    "llama_base": case(
        "llama", lambda: t.LlamaConfig(**base(tie_word_embeddings=True)), t.LlamaModel, layers=lambda m: m.layers,
    ),
    "mistral": case(
        "llama", lambda: t.MistralConfig(**base(head_dim=10, sliding_window=5)), t.MistralForCausalLM, "llama", pairs=True,
    ),
    "qwen2": case(
        "qwen2",
        lambda: t.Qwen2Config(**base(use_sliding_window=True, sliding_window=5, max_window_layers=1)),
        t.Qwen2ForCausalLM, "qwen2",
    ),
    "qwen3": case(
        "qwen3", lambda: t.Qwen3Config(**base(head_dim=10, attention_bias=True, use_sliding_window=True, sliding_window=5,
                                              max_window_layers=1)),
        t.Qwen3ForCausalLM, "qwen3",
    ),
    "gemma": case(
        "gemma", lambda: t.GemmaConfig(**base(head_dim=10, num_key_value_heads=1, tie_word_embeddings=True)),
        t.GemmaForCausalLM, "gemma",
    ),
    "gemma2": case(
        "gemma2",
        lambda: t.Gemma2Config(**base(
            head_dim=10, query_pre_attn_scalar=9, sliding_window=5, layer_types=WINDOWED, attn_logit_softcapping=20.0,
            final_logit_softcapping=15.0, tie_word_embeddings=True,
        )),
        t.Gemma2ForCausalLM, "gemma2",
    ),
    "gemma3": case("gemma3", gemma3_text, t.Gemma3ForCausalLM, "gemma3"),
    "gemma3_multimodal": case(
        "gemma3", gemma3_multimodal, t.Gemma3ForConditionalGeneration,
        layers=lambda m: m.model.language_model.layers, dims=lambda c: dims(c.text_config),
    ),
    "phi3": case(
        "phi3",
        lambda: t.Phi3Config(**base(
            hidden_size=48, intermediate_size=44, sliding_window=5, original_max_position_embeddings=32,
            rope_parameters={
                "rope_type": "longrope", "rope_theta": 5000.0, "partial_rotary_factor": 0.75,
                "short_factor": [1.0, 1.1, 1.2], "long_factor": [2.0, 2.5, 3.0], "original_max_position_embeddings": 32,
            },
        )),
        t.Phi3ForCausalLM, "phi3", fused="phi3",
    ),
    "olmo2": case("olmo2", lambda: t.Olmo2Config(**base(attention_bias=False)), t.Olmo2ForCausalLM, "olmo2"),
    "granite": case(
        "granite",
        lambda: t.GraniteConfig(**base(
            embedding_multiplier=3.0, attention_multiplier=0.3, residual_multiplier=0.7, logits_scaling=2.5,
            attention_bias=True, mlp_bias=True,
        )),
        t.GraniteForCausalLM, "granite", pairs=True,
    ),
    "smollm3": case(
        "smollm3",
        lambda: t.SmolLM3Config(**base(
            no_rope_layers=[1, 0, 1], use_sliding_window=True, sliding_window=5, layer_types=WINDOWED, mlp_bias=True,
        )),
        t.SmolLM3ForCausalLM, "smollm3", pairs=True,
    ),
    "stablelm": case(
        "stablelm",
        lambda: t.StableLmConfig(**base(
            hidden_size=48, use_qkv_bias=True, qk_layernorm=True, use_parallel_residual=False,
            rope_parameters={**ROPE, "partial_rotary_factor": 0.5},
        )),
        t.StableLmForCausalLM, "stablelm",
    ),
    "stablelm_parallel": case(
        "stablelm",
        lambda: t.StableLmConfig(**base(
            hidden_size=48, use_parallel_residual=True, rope_parameters={**ROPE, "partial_rotary_factor": 0.25},
        )),
        t.StableLmForCausalLM, "stablelm",
    ),
    "starcoder2": case(
        "starcoder2", lambda: t.Starcoder2Config(**base(use_bias=True, sliding_window=5)), t.Starcoder2ForCausalLM,
        "starcoder2", up="mlp.c_fc", down="mlp.c_proj", missing=["mlp.gate"],
    ),
    "gpt2": case(
        "gpt2",
        lambda: t.GPT2Config(
            vocab_size=VOCAB, n_positions=64, n_embd=36, n_layer=LAYERS, n_head=6, n_inner=52,
            scale_attn_by_inverse_layer_idx=True, bos_token_id=1, eos_token_id=2,
        ),
        t.GPT2LMHeadModel, "gpt2", layers=lambda m: m.transformer.h, fused="gpt2", missing=["mlp.gate"],
        dims=lambda c: dims(c, ffn="n_inner"),
    ),
    "gpt2_base": case(
        "gpt2",
        lambda: t.GPT2Config(
            vocab_size=VOCAB, n_positions=64, n_embd=20, n_layer=LAYERS, n_head=5, bos_token_id=1, eos_token_id=2,
        ),
        t.GPT2Model, layers=lambda m: m.h, fused="gpt2", missing=["mlp.gate"],
        dims=lambda c: {**dims(c, ffn=None), "ffn": 80},
    ),
    "gpt_neox": case(
        "gpt_neox",
        lambda: t.GPTNeoXConfig(
            vocab_size=VOCAB, hidden_size=48, intermediate_size=52, num_hidden_layers=LAYERS, num_attention_heads=6,
            max_position_embeddings=64, use_parallel_residual=True, attention_bias=True, tie_word_embeddings=False,
            rope_parameters={**ROPE, "partial_rotary_factor": 0.25}, bos_token_id=1, eos_token_id=2,
        ),
        t.GPTNeoXForCausalLM, "gptneox", layers=lambda m: m.gpt_neox.layers, fused="gpt_neox", missing=["mlp.gate"],
        o="attention.dense", up="mlp.dense_h_to_4h", down="mlp.dense_4h_to_h",
    ),
    "mixtral": case(
        "mixtral",
        lambda: t.MixtralConfig(**base(
            head_dim=10, intermediate_size=20, num_local_experts=3, num_experts_per_tok=2, sliding_window=5,
        )),
        t.MixtralForCausalLM, "llama", fused="experts", pairs=True,
        dims=lambda c: dims(c, "num_local_experts", "intermediate_size", ffn=None),
    ),
    # gguf-py knows no dense layers in this architecture, so the case with one has no GGUF names.
    "qwen3_moe": case(
        "qwen3_moe",
        lambda: t.Qwen3MoeConfig(**base(
            head_dim=10, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=12, mlp_only_layers=[1],
            decoder_sparse_step=1, norm_topk_prob=True, attention_bias=True,
        )),
        t.Qwen3MoeForCausalLM, fused="experts", dims=lambda c: dims(c, "num_experts", "moe_intermediate_size"),
    ),
    "qwen3_moe_sparse": case(
        "qwen3_moe",
        lambda: t.Qwen3MoeConfig(**base(
            num_hidden_layers=2, head_dim=10, num_experts=3, num_experts_per_tok=2, moe_intermediate_size=12,
        )),
        t.Qwen3MoeForCausalLM, "qwen3moe", fused="experts",
        dims=lambda c: dims(c, "num_experts", "moe_intermediate_size"),
    ),
    "olmoe": case(
        "olmoe",
        lambda: t.OlmoeConfig(**base(
            intermediate_size=20, num_experts=3, num_experts_per_tok=2, norm_topk_prob=True, clip_qkv=1.5,
        )),
        t.OlmoeForCausalLM, "olmoe", fused="experts",
        dims=lambda c: dims(c, "num_experts", "intermediate_size", ffn=None),
    ),
    "arcee": case(
        "arcee",
        lambda: t.ArceeConfig(**base(
            head_dim=10, attention_bias=True, mlp_bias=True, rms_norm_eps=0.02,
            rope_parameters={
                "rope_type": "yarn", "rope_theta": 5000.0, "factor": 4.0, "original_max_position_embeddings": 16,
            },
        )),
        t.ArceeForCausalLM, "arcee", pairs=True, missing=["mlp.gate"],
    ),
}
