#!/usr/bin/env python3
"""SmolLM2 from its GGUF file with one cell changed at a time, run by transformers: what the changes do to its predictions.

    changes_real.py MODEL.gguf [--out FILE]     writes fixtures/golden/smollm2-changes.json

Over the sequences of fixtures/golden/smollm2-tokens.json, each run by itself in float32 with eager attention. Outputs are
replaced by hooks on the linear modules, weights by writing into them; the definitions of the changes are in `CHANGES` below and
in the file. From float32 logits, in float64: the mean over predicted tokens of KL(unchanged || changed), of the negative log
likelihood and of whether both find the same token most likely.

The second checkpoint of `patch` is made up: every layer holds the matrices of the layer PATCH_SHIFT further on, modulo the number
of layers. The noise is what `tomograph explain noise` says, in numpy. Tests know cells by index: seven per layer, in the order of
`CELLS`.
"""

import argparse
import datetime
import hashlib
import json
import math
import os
import pathlib
import platform
import sys
import time
from importlib.metadata import version

import numpy as np
import torch
import transformers

from forward_real import GOLDEN, PACKAGES, check_weights, linear, load
from forward_taps import blocks
from golden_formats import q4_0
from golden_json import COMPONENTS, one_line_per_row, rounded

CELLS = list(COMPONENTS)
DEPTHS = (1, 14, 28)
# Column by column another layer, so that cells are not all of three blocks.
LAYERS = [[depth - i % 2 for depth in DEPTHS] for i in range(len(CELLS))]
SEED, NOISE, RANK, SHARE, GROUP, PATCH_SHIFT = 7, 0.1, 32, 0.5, 64, 7
CHANGES = {
    "zero": "output := 0",
    "mean": "output := its mean over all positions of all sequences, summed in float64",
    "resample": "output := that of the next sequence (of the first after the last) at the same position",
    "int3:g64": "weights := asymmetric round to nearest, 3 bits, groups of 64 along a row, torch float32",
    "q4_0": "weights := gguf.quantize and gguf.dequantize, Q4_0",
    f"noise:{NOISE}:seed={SEED}": "weights := W + t ||W||_F / sqrt(m n) z in float64, z by numpy after the documented generator",
    f"rank:{RANK}": "weights := 32 largest singular values, torch.linalg.svd in float64",
    f"rank:{SHARE}": "weights := the larger half of the singular values, torch.linalg.svd in float64",
    "patch": f"weights := those of the layer {PATCH_SHIFT} further on, modulo the number of layers",
}


def mix(state, word):
    """The finalizer of SplitMix64 on a state and a word, modulo 2^64."""
    with np.errstate(over="ignore"):
        z = (state ^ word) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def normal(seed, layer, component, expert, count):
    """`count` standard normal numbers for one cell; `expert` is 0 for none."""
    key = np.uint64(0)
    for word in (seed, layer, component, expert):
        key = mix(key, np.uint64(word))
    random = mix(key, np.arange(count, dtype=np.uint64))
    u = ((random >> np.uint64(32)).astype(np.float64) + 0.5) / 2.0**32
    v = (random & np.uint64(0xFFFFFFFF)).astype(np.float64) / 2.0**32
    return np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)


def noisy(w, layer, component):
    w64 = w.numpy().astype(np.float64)
    z = normal(SEED, layer, CELLS.index(component), 0, w64.size).reshape(w64.shape)
    return torch.from_numpy((w64 + NOISE * math.sqrt(np.mean(w64**2)) * z).astype(np.float32))


def int3(w):
    """Round to nearest as in GPTQ, zero inside the range; `torch.round` takes ties to even."""
    out = torch.empty_like(w)
    for start in range(0, w.shape[1], GROUP):
        x = w[:, start : start + GROUP]
        low, high = x.amin(1, keepdim=True).clamp(max=0), x.amax(1, keepdim=True).clamp(min=0)
        scale = (high - low) / 7
        scale[scale == 0] = 1
        zero = torch.round(-low / scale)
        out[:, start : start + GROUP] = scale * (torch.clamp(torch.round(x / scale) + zero, 0, 7) - zero)
    return out


def low_rank(w, rank):
    u, s, vh = torch.linalg.svd(w.double(), full_matrices=False)
    return (u[:, :rank] * s[:rank] @ vh[:rank]).float()


def new_weights(model, edit, layer, component):
    w = linear(model, layer, component).weight.detach()
    match edit.split(":")[0]:
        case "int3":
            return int3(w)
        case "q4_0":
            return torch.from_numpy(q4_0(w.numpy()).astype(np.float32))
        case "noise":
            return noisy(w, layer, component)
        case "rank":
            return low_rank(w, RANK if edit == f"rank:{RANK}" else round(SHARE * min(w.shape)))
        case "patch":
            return linear(model, (layer + PATCH_SHIFT) % len(blocks(model)), component).weight.detach().clone()
    raise ValueError(edit)


class Outputs:
    """What the chosen cells put out on every sequence of the unchanged model."""

    def __init__(self, model, cells, sequences):
        self.rows = {cell: [] for cell in cells}
        hooks = [
            linear(model, *cell).register_forward_hook(lambda m, i, out, cell=cell: self.rows[cell].append(out[0].clone()))
            for cell in cells
        ]
        self.logits = [logits_of(model, s) for s in sequences]
        for hook in hooks:
            hook.remove()

    def replacement(self, edit, cell, sequence):
        own = self.rows[cell][sequence]
        if edit == "zero":
            return torch.zeros_like(own)
        if edit == "mean":
            return torch.cat(self.rows[cell]).double().mean(0).float().expand_as(own)
        partner = self.rows[cell][(sequence + 1) % len(self.rows[cell])]
        shared = min(len(own), len(partner))
        return torch.cat([partner[:shared], own[shared:]])


def logits_of(model, tokens):
    with torch.no_grad():
        return model(input_ids=tokens.unsqueeze(0), use_cache=False).logits.squeeze(0)


def changed_logits(model, edit, cell, outputs, sequences):
    module = linear(model, *cell)
    if edit in ("zero", "mean", "resample"):
        found = []
        for at, tokens in enumerate(sequences):
            hook = module.register_forward_hook(lambda m, i, out: outputs.replacement(edit, cell, at).unsqueeze(0))
            found.append(logits_of(model, tokens))
            hook.remove()
        return found
    before = module.weight.detach().clone()
    module.weight.data.copy_(new_weights(model, edit, *cell))
    found = [logits_of(model, tokens) for tokens in sequences]
    module.weight.data.copy_(before)
    return found


def compare(original, changed, sequences):
    """KL, NLL of the changed model and agreement, each a mean over the predicted tokens."""
    kl, nll, agree = [], [], []
    for p, q, tokens in zip(original, changed, sequences):
        log_p, log_q = (torch.log_softmax(x.double(), -1)[:-1] for x in (p, q))
        kl.append((log_p.exp() * (log_p - log_q)).sum(-1))
        nll.append(-log_q.gather(1, tokens[1:, None]).squeeze(1))
        agree.append((p.argmax(-1) == q.argmax(-1))[:-1].double())
    return [torch.cat(x).mean().item() for x in (kl, nll, agree)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN / "smollm2-changes.json")
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    start = time.time()
    tokens_file = GOLDEN / "smollm2-tokens.json"
    sequences = [torch.tensor(s) for s in json.loads(tokens_file.read_text())]
    model = load(args.model)
    check_weights(model, args.model)
    cells = [(layer, component) for component, layers in zip(CELLS, LAYERS) for layer in layers]
    outputs = Outputs(model, cells, sequences)
    _, nll_original, agreement = compare(outputs.logits, outputs.logits, sequences)
    assert agreement == 1
    columns = {}
    for edit in CHANGES:
        found = []
        for at, cell in enumerate(cells):
            found.append(compare(outputs.logits, changed_logits(model, edit, cell, outputs, sequences), sequences))
            print(f"\r{edit}: {at + 1} of {len(cells)} cells, {time.time() - start:.0f} s   ", end="", file=sys.stderr, flush=True)
        for name, values in zip(("kl", "nll", "top1"), zip(*found)):
            columns[f"{edit} {name}"] = [rounded(v) for v in values]
    print(file=sys.stderr)
    again = compare(outputs.logits, [logits_of(model, s) for s in sequences], sequences)
    assert again[0] == 0, "the model is not what it was"
    record = {
        "what": "one cell of SmolLM2-135M-Instruct (Q4_1, decoded to float32) changed at a time, run by transformers",
        "script": "tools/reference/changes_real.py",
        "model_file": args.model.name,
        "model_sha256": hashlib.sha256(args.model.read_bytes()).hexdigest(),
        "token_ids": tokens_file.name,
        "token_ids_sha256": hashlib.sha256(tokens_file.read_bytes()).hexdigest(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "arithmetic": "float32, eager attention; KL and NLL from a float64 log-softmax of float32 logits; nats per predicted token",
        "changes": CHANGES,
        "patch_shift": PATCH_SHIFT,
        "noise_draws": {"what": "first four draws: seed 7, layer 14, mlp.down", "values": [float(z) for z in normal(7, 14, 5, 0, 4)]},
        "nll_original": rounded(nll_original),
        "predicted_tokens": sum(len(s) - 1 for s in sequences),
        "cells": [{"layer": layer, "component": component} for layer, component in cells],
        "columns": columns,
    }
    args.out.write_text(one_line_per_row(record))
    print(f"{time.time() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    # One thread, so that sums have one order.
    torch.set_num_threads(1)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    main()
