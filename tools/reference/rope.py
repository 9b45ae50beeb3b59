"""Writes fixtures/golden/rope.json: the frequencies transformers rotates by, for many rope settings and lengths.

    python tools/reference/rope.py

Every case is a config.json as it could lie in a folder, in the newer dialect or the older one. transformers reads it, builds
the model's own rotary module, and runs it once, fresh, on the positions of a sequence; what is written is the module's
inv_freq and its multiplier of cosine and sine after that, per kind of layer, and names and shapes of the model's tensors, so
that a reader can open the same model.
"""

import json
from pathlib import Path

import torch
import transformers

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "golden" / "rope.json"
SIZES = dict(
    hidden_size=128, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2, vocab_size=16, tie_word_embeddings=True,
    max_position_embeddings=64,
)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)


def case(model_type, lengths=(8,), **config):
    return lengths, {"model_type": model_type, **SIZES, **config}


def new(**settings):
    return {"rope_parameters": settings}


def factors(start, step, count):
    return [round(start + step * i, 3) for i in range(count)]


PHI3 = dict(
    rope_type="longrope", short_factor=factors(1.0, 0.01, 24), long_factor=factors(1.5, 0.5, 24), partial_rotary_factor=0.75,
)
PHI3_SIZES = dict(original_max_position_embeddings=16, pad_token_id=0)

CASES = {
    "default": case("llama", **new(rope_type="default", rope_theta=10000.0)),
    "default, nothing said": case("llama"),
    "default, older dialect": case("llama", rope_theta=500000.0, rope_scaling=None),
    "default of smollm3": case("smollm3", num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=2),
    "default of mixtral": case("mixtral", num_local_experts=2, num_key_value_heads=2),
    "default of gpt_neox": case("gpt_neox"),
    "linear": case("llama", **new(rope_type="linear", rope_theta=10000.0, factor=4.0)),
    "linear, older dialect": case("llama", rope_theta=1000000.0, rope_scaling={"type": "linear", "factor": 2.5}),
    "dynamic": case("llama", (8, 64, 65, 200), **new(rope_type="dynamic", rope_theta=10000.0, factor=2.0)),
    "dynamic, older dialect": case("llama", (300,), rope_theta=10000.0, rope_scaling={"type": "dynamic", "factor": 4.0}),
    "llama3": case("llama", **new(rope_theta=500000.0, **LLAMA3)),
    "llama3, released sizes": case(
        "llama", (8, 9000), rope_theta=500000.0, max_position_embeddings=131072,
        rope_scaling={**LLAMA3, "factor": 32.0, "original_max_position_embeddings": 8192},
    ),
    "yarn": case("qwen2", num_key_value_heads=2, **new(rope_theta=1000000.0, **YARN)),
    "yarn, older dialect": case(
        "qwen2", num_key_value_heads=2, rope_theta=1000000.0, max_position_embeddings=131072,
        rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
    ),
    "yarn, no rounding of dims": case("llama", **new(rope_theta=10000.0, truncate=False, **YARN)),
    "yarn, attention factor": case("llama", **new(rope_theta=10000.0, attention_factor=1.25, **YARN)),
    "yarn, mscale": case("llama", **new(rope_theta=10000.0, mscale=1.0, mscale_all_dim=0.5, **YARN)),
    "yarn, betas": case("llama", **new(rope_theta=10000.0, beta_fast=4.0, beta_slow=0.5, **YARN)),
    "longrope": case("phi3", (8, 16, 17, 64), **PHI3_SIZES, **new(rope_theta=10000.0, **PHI3)),
    "longrope, attention factor": case(
        "phi3", (8, 40), **PHI3_SIZES, **new(rope_theta=10000.0, attention_factor=1.1, factor=2.0, **PHI3)
    ),
    "longrope, older dialect": case(
        "phi3", (8, 40), **PHI3_SIZES, rope_theta=10000.0, partial_rotary_factor=0.75,
        rope_scaling={**{k: PHI3[k] for k in ("short_factor", "long_factor")}, "type": "su", "original_max_position_embeddings": 16},
    ),
    "longrope called yarn": case(
        "phi3", (8, 40), **PHI3_SIZES, rope_theta=10000.0,
        rope_scaling={"type": "yarn", "short_factor": factors(1.0, 0.01, 32), "long_factor": factors(1.5, 0.5, 32)},
    ),
    "partial": case("stablelm", num_key_value_heads=2, **new(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)),
    "partial, nothing said": case("stablelm", num_key_value_heads=2, rope_theta=10000.0),
    "partial, older dialect": case("gpt_neox", rotary_pct=0.5, rotary_emb_base=20000, rope_scaling={"type": "linear", "factor": 2.0}),
    "per layer": case(
        "gemma3_text", head_dim=64, num_key_value_heads=1, layer_types=["sliding_attention", "full_attention"],
        **new(
            full_attention={"rope_type": "linear", "rope_theta": 1000000.0, "factor": 8.0},
            sliding_attention={"rope_type": "default", "rope_theta": 20000.0},
        ),
    ),
    "per layer, older dialect": case(
        "gemma3_text", head_dim=64, num_key_value_heads=1, sliding_window_pattern=2, rope_theta=1000000.0,
        rope_local_base_freq=30000.0, rope_scaling={"rope_type": "linear", "factor": 8.0},
    ),
    "per layer, nothing said": case("gemma3_text", head_dim=64, num_key_value_heads=1, sliding_window_pattern=2),
}


def rotary_of(model):
    return next(module for module in model.modules() if type(module).__name__.endswith("RotaryEmbedding"))


def seen(config, length):
    """What each layer rotates by in a sequence of `length` tokens, from a module that has seen no other; once where all agree."""
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    rotary = type(rotary_of(model))(config)
    kinds = list(config.layer_types) if hasattr(rotary, "layer_types") else [None] * config.num_hidden_layers
    layers = []
    for kind in kinds:
        args = () if kind is None else (kind,)
        rotary(torch.zeros(1), torch.arange(length)[None], *args)
        prefix = "" if kind is None else f"{kind}_"
        frequencies = getattr(rotary, f"{prefix}inv_freq")
        assert frequencies.dtype == torch.float32
        layers.append({
            "frequencies": [float(x) for x in frequencies],
            "attention_factor": float(getattr(rotary, f"{prefix}attention_scaling")),
        })
    return layers if layers[0] != layers[-1] else layers[:1]


def record(lengths, raw):
    config = transformers.AutoConfig.for_model(**json.loads(json.dumps(raw)))
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    tensors = {n: list(t.shape) for n, t in model.state_dict().items() if n != "lm_head.weight"}
    return {"config": raw, "tensors": tensors, "lengths": {str(n): seen(config, n) for n in lengths}}


if __name__ == "__main__":
    torch.set_num_threads(1)
    out = {
        "__comment": "written by tools/reference/rope.py",
        "versions": {"transformers": transformers.__version__, "torch": torch.__version__},
        "cases": {name: record(*case) for name, case in CASES.items()},
    }
    OUT.write_text(json.dumps(out, indent=1) + "\n")
    print(f"{len(CASES)} cases, {OUT.stat().st_size / 1000:.0f} kB")
