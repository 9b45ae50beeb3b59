"""Writes the fixtures of the forward pass: fixtures/parity/<case>/forward.safetensors, forward.json, config.v4.json.

    python tools/reference/forward.py [case ...]

The models of families_cases.py are those that families.py wrote; the models of forward_cases.py are written here, as it does.

Weights are the bf16 file of the case, read by transformers into float32; eager attention and experts, one thread, no cache.
Every sequence runs alone, in a fresh model (dynamic rope keeps state), so there is no padding anywhere. The tensors are
listed in forward_taps.py; `tokens.{s}` are the token numbers, `losses.{s}` the negative log-likelihoods in nats of tokens 1..T-1,
from a float64 log-softmax of the float32 logits. A second run writes the same bytes.
"""

import copy
import json
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

import safetensors
import torch
import transformers
from safetensors.torch import load_file, save_file

from families import randomise
from families_cases import CASES
from forward_cases import FORWARD_CASES
from forward_effects import effects
from forward_taps import Taps, blocks
from forward_v4 import old_dialect

ROOT = Path(__file__).resolve().parents[2] / "fixtures" / "parity"
# More than twice the windows of the cases (5), and not above them.
LENGTHS = (11, 5)
LIMIT = 300_000
# Sharper attention, activations beyond their straight part, sublayers that count beside the embedding.
LOUDER = (
    "q_proj", "k_proj", "qkv", "query_key_value", "c_attn", "o_proj", "attention.dense", "up_proj", "gate_proj", "down_proj",
    "gate_up_proj", "c_fc", "c_proj", "dense_h_to_4h", "dense_4h_to_h",
)
# Below this a switch is not seen by any case: five times the tolerance of logits.
SEEN = 1e-4
# Above this a fixture would not support the tolerance of taps.
NOISE = 3e-6
TOLERANCES = {
    "logits": "2e-5 of the largest absolute logit of the sequence",
    "losses": "1e-6 of the mean loss",
    "taps": "1e-5 of the largest absolute value of the tensor",
    "why": "float32 sums of some 50 products, in another order, differ by a few 1e-7 per layer; a wrong eps, angle or "
    "multiplier moves a tap by 1e-4 or more",
}


def write_model(name, case):
    """A random model, bf16, as families.py writes them, with larger weights (LOUDER)."""
    seed = zlib.crc32(name.encode())
    torch.manual_seed(seed)
    model = case["model"](case["config"]()).eval()
    randomise(model, seed)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.dim() >= 2 and any(part in key for part in LOUDER):
                parameter.mul_(3)
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def load(folder, config=None, strict=True, dtype=torch.float32):
    """The case's model with a head."""
    config = copy.deepcopy(config) or transformers.AutoConfig.from_pretrained(folder)
    if config.model_type == "gemma3":
        kind = transformers.Gemma3ForConditionalGeneration
    else:
        kind = transformers.AutoModelForCausalLM
    model, info = kind.from_pretrained(
        folder, config=config, dtype=dtype, attn_implementation="eager", experts_implementation="eager",
        output_loading_info=True,
    )
    missing = [n for n in info["missing_keys"] if n != "lm_head.weight" or not config.tie_word_embeddings]
    assert not strict or not (missing or info["unexpected_keys"] or info["mismatched_keys"]), info
    assert all(p.dtype == dtype for p in model.parameters())
    return model.eval()


def losses_of(logits, tokens):
    return -torch.log_softmax(logits.double(), -1)[:-1].gather(1, tokens[1:, None]).squeeze(1)


def noise_of(folder, seen, tokens):
    """How far the taps are from the same model in float64, relative to the largest value of a tap; the worst and its name.

    Norms, softmax and angles stay float32 there, as transformers writes them, so this is a lower estimate.
    """
    config = transformers.AutoConfig.from_pretrained(folder)
    # gpt2's reordered attention refuses float64; it is the same arithmetic.
    config.reorder_and_upcast_attn = False
    exact = Taps(load(folder, config, dtype=torch.float64)).run(tokens)
    for name, routing in exact.items():
        if "router" in name:
            # A choice that rounding could turn over would make the fixture a matter of luck.
            assert torch.equal(routing > 0, seen[name] > 0), name
    error = {name: ((seen[name] - t).abs().max() / t.abs().max()).item() for name, t in exact.items()}
    worst = max(error, key=error.get)
    assert error[worst] < NOISE, (folder.name, worst, error[worst])
    return error[worst], worst


def check(seen, layers, vocab):
    """The residual law, and no number that is none."""
    for name, tensor in seen.items():
        assert tensor.isfinite().all(), name
    for layer in range(layers):
        at = f"L{layer}"
        out = seen[f"{at}.residual_out"]
        total = seen[f"{at}.residual_in"] + seen[f"{at}.attention_add"] + seen[f"{at}.mlp_add"]
        error = (out - total).abs().max() / out.abs().max()
        assert error < 1e-6, (layer, error)
        assert layer + 1 == layers or torch.equal(out, seen[f"L{layer + 1}.residual_in"]), layer
    assert seen["logits"].shape[-1] == vocab


def tokens_of(name, length, s, vocab):
    """Random tokens; 0, the padding token of most cases, is not among them."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{name}.tokens.{s}".encode()))
    return torch.randint(1, vocab, (length,), generator=generator)


def write_old_config(folder, tokens, logits):
    """config.v4.json, if transformers computes the same bits with it."""
    old = old_dialect(json.loads((folder / "config.json").read_text()))
    text = json.dumps(old, indent=2, sort_keys=True) + "\n"
    with tempfile.TemporaryDirectory() as other:
        (Path(other) / "config.json").write_text(text)
        config = transformers.AutoConfig.from_pretrained(other)
    for ids, expected in zip(tokens, logits):
        with torch.no_grad():
            found = load(folder, config)(input_ids=ids.unsqueeze(0), use_cache=False).logits.squeeze(0)
        assert torch.equal(found, expected), folder.name
    (folder / "config.v4.json").write_text(text)


def write_case(name):
    case = CASES.get(name) or FORWARD_CASES[name]
    folder = ROOT / name
    if name in FORWARD_CASES:
        write_model(name, case)
    lengths = LENGTHS
    tensors, means, sums, noise = {}, [], [], []
    for s, length in enumerate(lengths):
        model = load(folder)
        text = model.config.get_text_config()
        tokens = tokens_of(name, length, s, text.vocab_size)
        seen = Taps(model).run(tokens)
        check(seen, len(blocks(model)), text.vocab_size)
        noise.append(noise_of(folder, seen, tokens))
        losses = losses_of(seen["logits"], tokens)
        means.append(losses.mean().item())
        sums.append(losses.sum().item())
        tensors |= {f"{key}.{s}": tensor.contiguous() for key, tensor in seen.items()}
        tensors |= {f"tokens.{s}": tokens, f"losses.{s}": losses.float()}
    save_file(tensors, folder / "forward.safetensors")
    tokens, logits = ([tensors[f"{key}.{s}"] for s in range(len(lengths))] for key in ("tokens", "logits"))
    write_old_config(folder, tokens, logits)
    config = lambda: transformers.AutoConfig.from_pretrained(folder)
    count = sum(lengths) - len(lengths)
    record = {
        "script": "tools/reference/forward.py",
        "versions": {"transformers": transformers.__version__, "torch": torch.__version__, "safetensors": safetensors.__version__},
        "arithmetic": "float32 on the CPU, one thread, eager attention and experts; losses in float64",
        "seeds": {f"tokens.{s}": zlib.crc32(f"{name}.tokens.{s}".encode()) for s in range(len(lengths))},
        "family": case["family"],
        "lengths": list(lengths),
        "mean_loss": means,
        "mean_loss_over_tokens": sum(sums) / count,
        "switches": switches(model),
        "effects": effects(lambda c: load(folder, c, strict=False), config, tokens, logits),
        "noise": {"largest": float(f"{max(noise)[0]:.2g}"), "tap": max(noise)[1]},
        "tolerances": TOLERANCES,
    }
    (folder / "forward.json").write_text(json.dumps(record, indent=1) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir() if "backward" not in f.name)
    assert size < LIMIT, (name, size)
    print(f"{name}: loss {record['mean_loss_over_tokens']:.6f}, {size / 1000:.0f} kB, {' '.join(record['switches'])}")
    print("   ", ", ".join(f"{k} {v:g}" for k, v in (record["effects"] | {"noise": record["noise"]["largest"]}).items()))


def switches(model):
    """What the case exercises, read from the loaded config and the modules that were built from it."""
    c = model.config.get_text_config()
    get = lambda key: getattr(c, key, None)
    modules = {type(m).__name__ for m in model.modules()}
    parts = dict(blocks(model)[0].named_modules())
    out = []
    ropes = get("rope_parameters") or {}
    nested = [v for v in ropes.values() if isinstance(v, dict)]
    for rope in nested or [ropes] * bool(ropes):
        out.append(f"rope:{rope['rope_type']}")
        if rope.get("partial_rotary_factor", 1.0) != 1.0:
            out.append("rope:partial")
    out += ["rope:per-layer"] * (len(nested) > 1)
    out += ["rope:none-in-some-layers"] * (get("no_rope_layers") is not None and 0 in c.no_rope_layers)
    out += ["positions:learned"] * (not ropes)
    kinds = set(get("layer_types") or [])
    windowed = get("sliding_window") is not None and get("use_sliding_window") is not False
    if windowed and (not kinds or "sliding_attention" in kinds):
        out.append("window:pattern" if len(kinds) > 1 else "window:all")
    out += ["softcap:attention"] * bool(get("attn_logit_softcapping") and c.model_type == "gemma2")
    out += ["softcap:logits"] * bool(get("final_logit_softcapping"))
    out += [f"multiplier:{k.split('_')[0]}" for k in (
        "attention_multiplier", "residual_multiplier", "embedding_multiplier", "logits_scaling") if get(k) is not None]
    out += ["multiplier:embedding-sqrt-hidden"] * c.model_type.startswith("gemma")
    out += ["multiplier:attention-query-pre-attn-scalar"] * (get("query_pre_attn_scalar") is not None)
    out += ["attention:inverse-layer-scale"] * bool(get("scale_attn_by_inverse_layer_idx"))
    out += ["attention:upcast-and-reorder"] * bool(get("reorder_and_upcast_attn"))
    out += ["attention:unscaled"] * (get("scale_attn_weights") is False)
    heads, kv = c.num_attention_heads, get("num_key_value_heads") or c.num_attention_heads
    out.append("heads:equal" if heads == kv else "heads:grouped")
    if any(n.endswith(("q_norm", "q_layernorm")) for n in parts):
        out.append("qk-norm:all-heads" if c.model_type in ("olmo2", "olmoe") else "qk-norm:per-head")
    out += ["clip-qkv"] * bool(get("clip_qkv"))
    biased = [n for n, m in parts.items() if getattr(m, "bias", None) is not None and "norm" not in n and "ln_" not in n]
    out += sorted({f"bias:{n.split('.')[0].replace('self_attn', 'attn').replace('attention', 'attn')}" for n in biased})
    out.append("norm:layer" if "LayerNorm" in modules and c.model_type != "gemma3_text" else
               "norm:rms-plus-one" if c.model_type.startswith("gemma") else "norm:rms")
    out.append("norms:sandwich" if "pre_feedforward_layernorm" in parts else
               "norms:post" if "post_feedforward_layernorm" in parts else "norms:pre")
    if get("use_parallel_residual"):
        out.append("block:parallel-one-norm" if parts.get("post_attention_layernorm") is None else "block:parallel")
    act = get("hidden_activation") or get("hidden_act") or get("activation_function")
    gated = any(n.endswith(("gate_proj", "gate_up_proj", "experts")) for n in parts)
    out.append(f"{'gate' if gated else 'ungated'}:{act}")
    if any("experts" in n for b in blocks(model) for n, _ in b.named_modules()):
        normed = c.model_type == "mixtral" or c.norm_topk_prob
        out.append("experts:normalised" if normed else "experts:not-normalised")
        out += ["experts:dense-layers"] * (len({type(b.mlp) for b in blocks(model)}) > 1)
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    out.append("head:tied" if tied else "head:own")
    return sorted(set(out))


def witnesses():
    """For every switch the case whose logits see it best; fails when none does, or when a family's eps is seen nowhere."""
    best, eps = {}, {}
    for path in sorted(ROOT.glob("*/forward.json")):
        record = json.loads(path.read_text())
        for switch, effect in record["effects"].items():
            best[switch] = max(best.get(switch, (0.0, "")), (effect, path.parent.name))
        eps[record["family"]] = max(eps.get(record["family"], 0.0), record["effects"]["norm:eps"])
    for switch, (effect, case) in sorted(best.items()):
        print(f"{switch:50} {effect:8g}  {case}")
    assert all(effect >= SEEN for effect, _ in best.values()), best
    assert all(effect >= SEEN for effect in eps.values()), eps


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    for name in sys.argv[1:] or [*CASES, *FORWARD_CASES]:
        write_case(name)
    witnesses()
