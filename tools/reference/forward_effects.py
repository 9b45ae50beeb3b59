"""Does a fixture see a switch? Each switch of a case is turned off (or to a neighbour) and the change of the logits recorded.

An effect is the largest absolute change of a logit over the largest absolute logit, over all sequences. Where it is not far above the
tolerance, a wrong implementation of the switch would pass: `witnesses` in forward.py names the case that sees each best.
"""

import torch

# Nearest relatives, so that a mix-up is seen, not only an omission.
NEIGHBOUR = {
    "silu": "gelu", "gelu": "gelu_pytorch_tanh", "gelu_pytorch_tanh": "gelu", "gelu_new": "gelu", "gelu_fast": "gelu", "relu": "gelu",
}
ACTIVATION_KEYS = ("hidden_activation", "hidden_act", "activation_function")
EPS_KEYS = ("rms_norm_eps", "layer_norm_eps", "norm_epsilon", "layer_norm_epsilon")
MULTIPLIERS = ("attention_multiplier", "residual_multiplier", "embedding_multiplier", "logits_scaling")


def ropes_of(config):
    ropes = getattr(config, "rope_parameters", None) or {}
    nested = [v for v in ropes.values() if isinstance(v, dict)]
    return nested or [ropes] * bool(ropes)


def changes(config):
    """Pairs of a switch and a function that changes the text config (in place)."""
    get = lambda key: getattr(config, key, None)
    put = lambda key, value: lambda c: setattr(c, key, value)
    out = rope_changes(config)
    if get("no_rope_layers") is not None and 0 in config.no_rope_layers:
        out["rope:none-in-some-layers"] = put("no_rope_layers", [1] * config.num_hidden_layers)
    if get("sliding_window") is not None:
        kinds = set(get("layer_types") or [])
        if "sliding_attention" in kinds:
            out["window:pattern, off"] = put("layer_types", ["full_attention"] * config.num_hidden_layers)
            out["window:pattern, everywhere"] = put("layer_types", ["sliding_attention"] * config.num_hidden_layers)
        elif not kinds:
            out["window:all"] = put("sliding_window", None)
        out["window:one wider"] = put("sliding_window", config.sliding_window + 1)
    if get("attn_logit_softcapping") and config.model_type == "gemma2":
        out["softcap:attention"] = put("attn_logit_softcapping", None)
    if get("final_logit_softcapping"):
        out["softcap:logits"] = put("final_logit_softcapping", None)
    out |= {f"multiplier:{k.split('_')[0]}": put(k, 1.0) for k in MULTIPLIERS if get(k) is not None}
    if get("query_pre_attn_scalar") is not None:
        out["multiplier:attention-query-pre-attn-scalar"] = put("query_pre_attn_scalar", config.head_dim)
    if get("scale_attn_by_inverse_layer_idx"):
        out["attention:inverse-layer-scale"] = put("scale_attn_by_inverse_layer_idx", False)
    if get("scale_attn_weights") is False:
        out["attention:unscaled"] = put("scale_attn_weights", True)
    if get("clip_qkv"):
        out["clip-qkv"] = put("clip_qkv", None)
    if get("use_parallel_residual") and config.model_type == "gpt_neox":
        out["block:parallel"] = put("use_parallel_residual", False)
    if get("qk_layernorm"):
        out["qk-norm:per-head"] = put("qk_layernorm", False)
    if get("norm_topk_prob") is not None:
        out["experts:normalised or not"] = put("norm_topk_prob", not config.norm_topk_prob)
    for key in EPS_KEYS:
        if get(key) is not None:
            out["norm:eps"] = put(key, get(key) * 2)
    key = next(k for k in ACTIVATION_KEYS if get(k) is not None)
    other = NEIGHBOUR.get(get(key), "gelu")
    out[f"activation:{get(key)} as {other}"] = put(key, other)
    return out


def rope_changes(config):
    def each(change):
        return lambda c: [change(rope) for rope in ropes_of(c)]

    out = {}
    ropes = ropes_of(config)
    if not ropes:
        return out
    out["rope:base"] = each(lambda r: r.update(rope_theta=r["rope_theta"] * 2))
    for kind in {r["rope_type"] for r in ropes} - {"default"}:
        out[f"rope:{kind}"] = each(lambda r: r.update(rope_type="default"))
    if len(ropes) > 1:
        def swap(c):
            p = c.rope_parameters
            p["full_attention"], p["sliding_attention"] = p["sliding_attention"], p["full_attention"]

        out["rope:per-layer, swapped"] = swap
    rope = ropes[0]
    if rope["rope_type"] == "longrope":
        out["rope:longrope, long as short"] = each(lambda r: r.update(long_factor=r["short_factor"]))
        out["rope:longrope, short as long"] = each(lambda r: r.update(short_factor=r["long_factor"]))
    if rope["rope_type"] in ("longrope", "yarn"):
        out["rope:attention-factor"] = each(lambda r: r.update(attention_factor=1.0))
    if rope["rope_type"] == "yarn":
        out["rope:yarn, truncate"] = each(lambda r: r.update(truncate=not r.get("truncate", True)))
    if rope.get("partial_rotary_factor", 1.0) != 1.0 and rope["rope_type"] != "longrope":
        out["rope:partial"] = each(lambda r: r.update(partial_rotary_factor=1.0))
    return out


def without_biases(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") and "norm" not in name and "ln_" not in name and "vision" not in name:
                parameter.zero_()


def effects(load, config, tokens, logits):
    """`load(config)` gives the model; `logits` are those of the unchanged one, per sequence."""
    def effect(model_of):
        largest = 0.0
        for ids, expected in zip(tokens, logits):
            with torch.no_grad():
                found = model_of()(input_ids=ids.unsqueeze(0), use_cache=False).logits.squeeze(0)
            assert found.isfinite().all()
            largest = max(largest, ((found - expected).abs().max() / expected.abs().max()).item())
        return float(f"{largest:.2g}")

    out = {}
    for switch, change in changes(config().get_text_config()).items():
        changed = config()
        change(changed.get_text_config())
        out[switch] = effect(lambda: load(changed))

    def unbiased():
        model = load(config())
        without_biases(model)
        return model

    out["biases"] = effect(unbiased)
    return {k: v for k, v in out.items() if k != "biases" or v}
