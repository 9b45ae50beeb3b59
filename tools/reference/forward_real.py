#!/usr/bin/env python3
"""SmolLM2 from its GGUF file, run by transformers: losses and activation metrics over given tokens.

    forward_real.py MODEL.gguf [--token-ids FILE] [--out FILE] [--double]        writes losses and metrics
    forward_real.py MODEL.gguf --token-ids FILE --losses-only --out -            prints losses; many times faster
    forward_real.py MODEL.gguf --windows N --length T --text FILE ... --token-ids FILE   makes the windows first

Without options: the windows of fixtures/golden/smollm2-tokens.json into fixtures/golden/smollm2-forward.json. Token ids are a
JSON array of arrays; each array is a sequence of its own, nothing is put before it. Transformers reads the file itself
(it needs `accelerate` for that); this script then holds every weight, the tied head, eps and the rope's base against what
the `gguf` package finds there. Float32, eager attention, losses and sums in float64. `--double` runs the model in float64 as
well and records how far each column is from it (norms, softmax and angles are float32 even then).
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import platform
import sys
import time
from importlib.metadata import version

import gguf
import numpy as np
import torch
import transformers

from forward_metrics import CELLS, DEFINITIONS, Metrics
from forward_taps import MODULES, Taps, blocks
from golden_json import COMPONENTS, one_line_per_row, rounded

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "golden"
PACKAGES = ["accelerate", "gguf", "numpy", "torch", "transformers"]


def load(path, dtype=torch.float32):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    )
    return model.to(dtype).eval()


def linear(model, layer, component):
    return blocks(model)[layer].get_submodule(MODULES[component][0])


def check_weights(model, path):
    """Every tensor of the file is the model's, bit for bit, rows of q and k in transformers' order."""
    reader = gguf.GGUFReader(path)
    field = lambda key: reader.get_field(f"llama.{key}").contents()
    config = model.config
    heads = {"attn.q": field("attention.head_count"), "attn.k": field("attention.head_count_kv")}
    tensors = {t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}
    expected = {
        "token_embd.weight": model.model.embed_tokens, "output_norm.weight": model.model.norm,
    }
    for layer, block in enumerate(blocks(model)):
        expected[f"blk.{layer}.attn_norm.weight"] = block.input_layernorm
        expected[f"blk.{layer}.ffn_norm.weight"] = block.post_attention_layernorm
        for component, part in COMPONENTS.items():
            name = f"blk.{layer}.{part}.weight"
            expected[name] = linear(model, layer, component)
            if component in heads:
                # llama.cpp keeps the two halves of a rotary pair side by side: [head, 2, pairs] became [head, pairs, 2].
                w = tensors[name]
                tensors[name] = w.reshape(heads[component], -1, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)
    assert set(expected) == set(tensors), set(expected) ^ set(tensors)
    for name, module in expected.items():
        assert np.array_equal(module.weight.numpy(force=True), tensors[name]), name
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert config.rms_norm_eps == field("attention.layer_norm_rms_epsilon")
    assert config.rope_parameters == {"rope_theta": field("rope.freq_base"), "rope_type": "default"}
    assert config.head_dim == field("rope.dimension_count") == config.hidden_size // heads["attn.q"]
    assert (config.num_attention_heads, config.num_key_value_heads) == (heads["attn.q"], heads["attn.k"])
    assert (config.hidden_act, len(blocks(model))) == ("silu", field("block_count"))


def make_windows(path, texts, windows, length):
    """`windows` sequences of `length` tokens, spread evenly over the joined texts, none overlapping."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    ids = tokenizer.encode("\n".join(t.read_text() for t in texts), add_special_tokens=False)
    assert len(ids) >= windows * length, (len(ids), windows * length)
    starts = [round(i * (len(ids) - length) / max(windows - 1, 1)) for i in range(windows)]
    return [ids[s : s + length] for s in starts]


def run(model, sequences, metrics):
    """Token losses per sequence; sums for the metrics go into `metrics`, unless it is None."""
    taps, losses = Taps(model) if metrics else None, []
    for at, sequence in enumerate(sequences):
        tokens = torch.tensor(sequence)
        if metrics:
            seen = taps.run(tokens)
            metrics.add(seen)
            logits = seen["logits"]
        else:
            with torch.no_grad():
                logits = model(input_ids=tokens.unsqueeze(0), use_cache=False).logits.squeeze(0)
        losses.append(-torch.log_softmax(logits.double(), -1)[:-1].gather(1, tokens[1:, None]).squeeze(1))
        print(f"\r{at + 1} of {len(sequences)} sequences", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if metrics:
        taps.close()
    return losses


def scores_of(model, sequences, losses_only):
    metrics = None if losses_only else Metrics(len(blocks(model)))
    losses = run(model, sequences, metrics)
    if losses_only:
        return losses, {}, {}
    weights = lambda layer, component: linear(model, layer, component).weight.float().numpy(force=True)
    return losses, *metrics.scores(weights)


def ten_digits(values):
    return [None if v is None else rounded(float(v)) for v in values]


def furthest(columns, exact):
    """By column: the largest relative distance between two runs."""
    def distance(name):
        pairs = [(a, b) for a, b in zip(columns[name], exact[name]) if a is not None]
        return max(abs(a - b) / max(abs(b), 1e-300) if a != b else 0.0 for a, b in pairs)

    return {name: float(f"{distance(name):.2g}") for name in columns}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path, nargs="+", default=[])
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--token-ids", type=pathlib.Path, default=GOLDEN / "smollm2-tokens.json")
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN / "smollm2-forward.json", help="- prints")
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--losses-only", action="store_true")
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    start = time.time()
    if args.text:
        windows = make_windows(args.model, args.text, args.windows, args.length)
        args.token_ids.write_text("[\n" + ",\n".join(json.dumps(w, separators=(",", ":")) for w in windows) + "\n]\n")
    sequences = json.loads(args.token_ids.read_text())
    model = load(args.model)
    check_weights(model, args.model)
    losses, columns, layers = scores_of(model, sequences, args.losses_only)
    record = {
        "what": "losses and activation metrics of SmolLM2-135M-Instruct (Q4_1) decoded to float32, run by transformers",
        "script": "tools/reference/forward_real.py",
        "model_file": args.model.name,
        "model_sha256": hashlib.sha256(args.model.read_bytes()).hexdigest(),
        "token_ids": args.token_ids.name,
        "token_ids_sha256": hashlib.sha256(args.token_ids.read_bytes()).hexdigest(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "arithmetic": "float32 activations, eager attention; losses from a float64 log-softmax; sums in float64; ten significant digits",
        "sequences": [{"tokens": len(s), "nll_sum": rounded(l.sum().item()), "nll_mean": rounded(l.mean().item())}
                      for s, l in zip(sequences, losses)],
        "nll_sum": rounded(torch.cat(losses).sum().item()),
        "nll_mean": rounded(torch.cat(losses).mean().item()),
        "predicted_tokens": sum(len(l) for l in losses),
        "definitions": {} if args.losses_only else DEFINITIONS,
    }
    if args.double:
        exact_losses, exact_columns, exact_layers = scores_of(load(args.model, torch.float64), sequences, args.losses_only)
        record["noise"] = {
            "what": "largest relative distance to the same model in float64, by column",
            "nll_mean": float(f"{abs(torch.cat(losses).mean() / torch.cat(exact_losses).mean() - 1).item():.2g}"),
            **furthest(columns | layers, exact_columns | exact_layers),
        }
    record["layers"] = {name: ten_digits(values) for name, values in layers.items()}
    record["cells"] = [{"layer": l, "component": c} for l in range(len(blocks(model))) for c in CELLS]
    record["columns"] = {name: ten_digits(values) for name, values in columns.items()}
    text = one_line_per_row(record)
    if str(args.out) == "-":
        sys.stdout.write(text)
    else:
        args.out.write_text(text)
    print(f"nll {record['nll_mean']}, {time.time() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    # One thread, so that sums have one order.
    torch.set_num_threads(1)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    main()
