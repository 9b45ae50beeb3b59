"""The same configs as files of transformers 4 wrote them, which is what most repositories on the hub still hold.

`old_dialect(config)` turns the dict of a config.json of today into one that means the same: `rope_theta` and `rope_scaling` in
place of `rope_parameters`, `torch_dtype`, a window's pattern by its parameters in place of `layer_types`. A key with the value
that its class assumes anyway is left out: such files are often incomplete, and config.json has it.
"""

import transformers

# Keys that files of that time do not have; the value follows from others or from the class's default.
NEW_KEYS = (
    "dtype", "layer_types", "rope_parameters", "use_bidirectional_attention", "_sliding_window_pattern", "head_dim",
)
# Families whose files of that time do state these.
KEEPS = {
    "smollm3": ("layer_types",), "qwen3": ("head_dim",), "qwen3_moe": ("head_dim",), "gemma": ("head_dim",),
    "gemma2": ("head_dim",), "gemma3_text": ("head_dim",),
}


def old_dialect(config):
    if config["model_type"] == "gemma3":
        text = old_dialect(config["text_config"])
        del text["torch_dtype"], text["transformers_version"]
        vision = {k: v for k, v in config["vision_config"].items() if k != "dtype"}
        kept = {k: v for k, v in config.items() if k not in ("dtype", "text_config", "vision_config")}
        return {**kept, "text_config": text, "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0", "vision_config": vision}
    kind = config["model_type"]
    keeps = KEEPS.get(kind, ())
    out = {k: v for k, v in config.items() if k not in NEW_KEYS or k in keeps}
    if config.get("head_dim") not in (None, config.get("hidden_size", 0) // config.get("num_attention_heads", 1)):
        out["head_dim"] = config["head_dim"]
    out |= {"torch_dtype": "bfloat16", "transformers_version": "4.44.0"}
    if kind == "gemma3_text":
        out |= gemma3_rope(config)
    elif kind != "gpt2":
        out |= flat_rope(config)
    if kind in ("gemma", "gemma2"):
        # The first files name the exact GELU and mean the other; gemma2's second key is the one that counts.
        out["hidden_act"] = "gelu" if kind == "gemma" else "gelu_pytorch_tanh"
        out.setdefault("hidden_activation", None)
    if kind == "gemma2":
        out["cache_implementation"] = "hybrid"
    if kind in ("qwen2", "qwen3", "qwen3_moe") and not config["use_sliding_window"]:
        # A window that is switched off is still written down.
        out["sliding_window"] = 5
        out["max_window_layers"] = 1
    if kind == "smollm3":
        interval = out["no_rope_layer_interval"]
        if out["no_rope_layers"] == [int((i + 1) % interval != 0) for i in range(config["num_hidden_layers"])]:
            del out["no_rope_layers"], out["layer_types"]
    if kind == "gpt2":
        out["n_ctx"] = config["n_positions"]
    if kind == "qwen3_moe":
        out["num_experts"] = out.pop("num_local_experts")
    return without_defaults(out)


def without_defaults(config):
    assumed = transformers.AutoConfig.for_model(config["model_type"]).to_dict()
    return {k: v for k, v in config.items() if k == "model_type" or k not in assumed or assumed[k] != v}


def flat_rope(config):
    kind, rope = config["model_type"], dict(config["rope_parameters"])
    theta, partial, type_ = rope.pop("rope_theta"), rope.pop("partial_rotary_factor", None), rope.pop("rope_type")
    if kind == "gpt_neox":
        out = {"rotary_emb_base": theta, "rotary_pct": partial}
    else:
        out = {"rope_theta": theta} | ({} if partial is None else {"partial_rotary_factor": partial})
    if type_ == "default":
        return {**out, "rope_scaling": None}
    if kind == "phi3" and config["max_position_embeddings"] == 32:
        # The first name of it. transformers 5 reads it only with the original length inside, which such files have outside.
        type_ = "su"
    elif kind == "phi3":
        rope.pop("original_max_position_embeddings")
    return {**out, "rope_scaling": {"rope_type" if type_ == "llama3" else "type": type_, **rope}}


def gemma3_rope(config):
    ropes = {k: dict(v) for k, v in config["rope_parameters"].items()}
    full, local = ropes["full_attention"], ropes["sliding_attention"]
    assert local["rope_type"] == "default"
    kinds = config["layer_types"]
    pattern = kinds.index("full_attention") + 1
    assert kinds == ["sliding_attention" if (i + 1) % pattern else "full_attention" for i in range(len(kinds))]
    theta, kind = full.pop("rope_theta"), full.pop("rope_type")
    return {
        "rope_theta": theta, "rope_local_base_freq": local["rope_theta"], "sliding_window_pattern": pattern,
        "rope_scaling": None if kind == "default" else {"factor": full["factor"], "rope_type": kind},
    }
