"""Writes fixtures/golden/activations.json: activation metrics of tiny models, from the taps in fixtures/parity/<case>/.

    python tools/reference/activations.py

Plain numpy in float64 after the definitions in the metrics' manuals. Taps are transformers' (forward.py), weights are those
of the case's checkpoint, or of cells.safetensors where a cell is a part of a tensor. Outputs are W x from the inputs, not the
taps of outputs, so that biases are out by construction.

To have more than two sequences, the rows of both are cut into PARTS, and each part counts as a sequence: no metric here
knows what a token's neighbours are. Intervals are those of the *exact* bootstrap distribution: all 5^5 samples of five parts
with replacement. `low` and `high` bracket what 2000 random resamples give for the 2.5th and 97.5th percentile: the exact
distribution's percentiles at 2.5 +- 1.4 and 97.5 +- 1.4, four standard deviations of the sampled rank.
"""

import itertools
import json
import math
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file as load_torch

import golden_formats as formats

ROOT = Path(__file__).resolve().parents[2] / "fixtures"
CASES = ("llama", "gpt2", "gemma2", "stablelm_parallel", "mixtral", "qwen3_moe_sparse")
WITH_INTERVALS = ("llama", "mixtral")
# First and last row of each part, by sequence of the fixture (11 and 5 tokens).
PARTS = [(0, 0, 4), (0, 4, 8), (0, 8, 11), (1, 0, 3), (1, 3, 5)]
FACTOR = 2.0
GROUP = 128
PORTS = {"attn.q": "attn.in", "attn.k": "attn.in", "attn.v": "attn.in", "attn.o": "attn.o.in", "mlp.up": "mlp.in",
         "mlp.gate": "mlp.in", "mlp.down": "mlp.down.in"}


def q4_0(w):
    """A last short block is a block: zeros behind it change neither its scale nor the codes of the others."""
    pad = -w.shape[1] % 32
    return formats.q4_0(np.pad(w, ((0, 0), (0, pad))))[:, : w.shape[1]]


def rounded(w):
    """What every format makes of a matrix."""
    wide = w.astype(np.float64)
    return {
        "err-int4": formats.integer(wide, 4, GROUP), "err-int3": formats.integer(wide, 3, GROUP),
        "err-int2": formats.integer(wide, 2, GROUP), "err-nf4": formats.nf4(wide), "err-q4_0": q4_0(w),
        "err-nvfp4": formats.nvfp4(w), "err-mxfp4": formats.mxfp4(wide), "err-fp8": formats.fp8(w),
    }


def matrix_of(cell, names, tensors, cells):
    return cells[cell] if cell in cells else tensors[names["cells"][cell]]


class Case:
    def __init__(self, name):
        folder = ROOT / "parity" / name
        self.taps = {k: v.astype(np.float64) for k, v in load_numpy(folder / "forward.safetensors").items()}
        tensors = {k: v.float().numpy() for k, v in load_torch(folder / "model.safetensors").items()}
        exact = folder / "cells.safetensors"
        cells = {k: v.float().numpy() for k, v in load_torch(exact).items()} if exact.exists() else {}
        names = json.loads((ROOT / "names" / f"{name}.json").read_text())
        self.weights = {c: matrix_of(c, names, tensors, cells) for c in [*names["cells"], *cells]}
        self.experts = names["dims"]["experts"]
        self.errors = {c: {k: ((w - q) ** 2).sum(0) for k, q in rounded(w).items()} for c, w in self.weights.items()}

    def routing(self, layer, part):
        s, first, last = part
        return self.taps[f"L{layer}.router.{s}"][first:last] > 0

    def inputs(self, cell, part):
        """Rows that the cell reads in one part, `[tokens, n]`."""
        layer, component, expert = parse(cell)
        s, first, last = part
        if expert is None:
            return self.taps[f"L{layer}.{PORTS[component]}.{s}"][first:last]
        rows = self.routing(layer, part)[:, expert]
        if component != "mlp.down":
            return self.taps[f"L{layer}.mlp.in.{s}"][first:last][rows]
        # Rows of an expert's own tap are its tokens in order.
        before = self.taps[f"L{layer}.router.{s}"][:first, expert] > 0
        own = self.taps.get(f"L{layer}.mlp.down[{expert}].in.{s}", np.zeros((0, self.weights[cell].shape[1])))
        return own[before.sum() : before.sum() + rows.sum()]

    def residual(self, layer, part):
        s, first, last = part
        names = ("residual_in", "attention_add", "mlp_add", "residual_out")
        return [self.taps[f"L{layer}.{n}.{s}"][first:last] for n in names]


def parse(cell):
    head, _, tail = cell.partition(".")
    component, _, expert = tail.partition("[")
    return int(head[1:]), component, int(expert[:-1]) if expert else None


def norm(x):
    return np.linalg.norm(x, axis=-1)


def cosine(a, b):
    return (a * b).sum(-1) / (norm(a) * norm(b))


def scores(case, cell, parts, parallel):
    """Every metric of one cell over the given parts, repeated parts counting again."""
    layer, component, expert = parse(cell)
    w = case.weights[cell].astype(np.float64)
    out = {}
    stream = [np.concatenate(rows) for rows in zip(*(case.residual(layer, p) for p in parts))]
    before, attention, mlp, after = stream
    out["block-influence"] = 1 - cosine(before, after).mean()
    # In a parallel block both sublayers add to the residual before the block.
    against = {"attn.o": (attention, before), "mlp.down": (mlp, before if parallel else before + attention)}
    if component in against:
        a, h = against[component]
        out["write-ratio"] = (norm(a) / norm(h)).mean()
        out["write-cosine"] = cosine(a, h).mean()
    if expert is not None:
        sent = sum(case.routing(layer, p).sum(0) for p in parts)
        out["experts-load"] = case.experts * sent[expert] / sent.sum()
    x = np.concatenate([case.inputs(cell, p) for p in parts])
    if not len(x):
        return out
    a = (x**2).mean(0)
    out["input-energy"] = a.mean()
    s = np.abs(w) * np.sqrt(a)
    out["wanda"] = s.mean()
    out["owl-outliers"] = 100 * (s > FACTOR * s.mean()).mean()
    y = x @ w.T
    out["nfn"] = (norm(y) / norm(x)).mean() / (np.linalg.norm(w) / math.sqrt(w.shape[1]))
    out["output-energy"] = (y**2).sum(1).mean()
    out["input-kurtosis"] = ((x - x.mean()) ** 4).mean() / ((x - x.mean()) ** 2).mean() ** 2
    out["input-outliers"] = a.max() / np.median(a)
    for name, error in case.errors[cell].items():
        out[f"{name}@x"] = math.sqrt((error * a).sum() / ((w**2).sum(0) * a).sum())
    return out


def quantile(values, weights, at):
    """The value below which the share `at` of the weight lies."""
    order = np.argsort(values)
    share = np.cumsum(np.asarray(weights)[order]) / np.sum(weights)
    return float(np.asarray(values)[order][np.searchsorted(share, at)])


def intervals(case, cell, parallel):
    """Brackets for both ends, from every multiset of five parts and how many orders it has."""
    drawn = list(itertools.combinations_with_replacement(range(len(PARTS)), len(PARTS)))
    orders = [math.factorial(5) // math.prod(math.factorial(d.count(i)) for i in set(d)) for d in drawn]
    table = [scores(case, cell, [PARTS[i] for i in d], parallel) for d in drawn]
    out = {}
    for metric in sorted({m for row in table for m in row}):
        known = [(row[metric], n) for row, n in zip(table, orders) if metric in row]
        values, weights = zip(*known)
        at = lambda share: quantile(values, weights, share)
        out[metric] = {"low": [at(0.011), at(0.039)], "high": [at(0.961), at(0.989)]}
    return out


def digits(value):
    return float(f"{value:.10g}")


def main():
    out = {
        "script": "tools/reference/activations.py",
        "versions": {"numpy": np.__version__, "torch": torch.__version__, "transformers": transformers.__version__,
                     "gguf": version("gguf")},
        "outlier_factor": FACTOR, "group": GROUP, "parts": PARTS, "cases": {},
    }
    for name in CASES:
        case = Case(name)
        parallel = name == "stablelm_parallel"
        rows = {}
        for cell in sorted(case.weights):
            row = {m: {"value": digits(v)} for m, v in scores(case, cell, PARTS, parallel).items()}
            if name in WITH_INTERVALS and parse(cell)[0] == 1:
                for metric, ends in intervals(case, cell, parallel).items():
                    row[metric] |= {end: [digits(v) for v in bracket] for end, bracket in ends.items()}
            rows[cell] = row
        out["cases"][name] = rows
        print(name, len(rows), "cells")
    lines = json.dumps(out, separators=(",", ":"))
    (ROOT / "golden" / "activations.json").write_text(lines.replace('"L', '\n"L') + "\n")


if __name__ == "__main__":
    main()
