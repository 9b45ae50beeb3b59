"""Gradient metrics of two made-up cells by plain numpy and scipy in float64: fixtures/golden/gradients.json.

    python tools/reference/gradient_metrics.py

Inputs, weights and gradients are random decimals of four digits, read as float32; formats are those of golden_formats.py. Everything
is written as the definition says it, with no sum shared between metrics.
"""

import json
import pathlib
from importlib.metadata import version

import numpy as np
from scipy import stats

from golden_formats import rounded_weights
from golden_json import rounded

OUT = pathlib.Path(__file__).resolve().parents[2] / "fixtures/golden/gradients.json"
LENGTHS, SCORED = (5, 7, 4), (4, 6, 2)
DRAWS, INPUTS, GROUP = 2, 64, 32
FORMATS = ("int4", "int3", "int2", "nf4", "q4_0", "nvfp4", "mxfp4", "fp8")
SEED = 20260411


def made(rng, *shape, size=1.0):
    return np.round(rng.standard_normal(shape) * size, 4)


def read(values):
    """What a reader of float32 makes of the decimals, in float64."""
    return np.asarray(values, np.float32).astype(np.float64)


def cell(rng, outputs, x):
    w, b = made(rng, outputs, INPUTS, size=0.2), made(rng, outputs)
    return {
        "weights": w, "bias": b,
        # A stand-in for what a float32 product gives: y need not be exactly W x + b for the definitions to be checked.
        "output": np.round(read(x) @ read(w).T + read(b), 4),
        "gradients": [made(rng, sum(LENGTHS), outputs) for _ in range(1 + DRAWS)],
    }


def spans():
    ends = np.cumsum(LENGTHS)
    return [slice(e - n, e) for e, n in zip(ends, LENGTHS)]


def jackknife(statistic):
    """Delete-one jackknife of the logarithm, Student's t."""
    n = len(LENGTHS)
    logs = np.log([statistic([s for s in range(n) if s != out]) for out in range(n)])
    error = np.sqrt((n - 1) / n * np.square(logs - logs.mean()).sum())
    reach = stats.t.ppf(0.975, n - 1) * error
    value = statistic(range(n))
    return {"value": value, "low": value * np.exp(-reach), "high": value * np.exp(reach)}


def taylor(cell, x, chosen):
    return np.abs(read(cell["weights"]) * gradient(cell, x, chosen)).sum()


def gradient(cell, x, chosen):
    """dL/dW of the mean over the scored tokens of the chosen sequences."""
    total = 0.0
    for s in chosen:
        rows = spans()[s]
        total = total + read(cell["gradients"][0])[rows].T @ read(x)[rows]
    return total / sum(SCORED[s] for s in chosen)


def scores(cell, cells, x):
    w, b, y, g = (read(v) for v in (cell["weights"], cell["bias"], cell["output"], cell["gradients"][0]))
    n, everything = sum(SCORED), range(len(LENGTHS))
    found = {
        "taylor": jackknife(lambda chosen: taylor(cell, x, chosen)),
        "snip": jackknife(lambda chosen: taylor(cell, x, chosen) / sum(taylor(c, x, chosen) for c in cells)),
        "gradient-norm": jackknife(lambda chosen: np.linalg.norm(gradient(cell, x, chosen))),
        "relative-gradient-norm": jackknife(lambda chosen: np.linalg.norm(gradient(cell, x, chosen)) / np.linalg.norm(w)),
        "fisher": {"value": np.mean([np.square(gradient(cell, x, [s])).sum() for s in everything])},
    }
    product, zero, mean, resample = [], [], [], []
    centre = y.mean(0)
    for s, rows in enumerate(spans()):
        product.append((g[rows] * (y[rows] - b)).sum())
        zero.append((g[rows] * (0 - y[rows])).sum())
        mean.append((g[rows] * (centre - y[rows])).sum())
        other = spans()[(s + 1) % len(LENGTHS)]
        exchanged = y[rows].copy()
        both = min(LENGTHS[s], LENGTHS[(s + 1) % len(LENGTHS)])
        exchanged[:both] = y[other][:both]
        resample.append((g[rows] * (exchanged - y[rows])).sum())
    found["taylor-group"] = {"value": (sum(product) / n) ** 2, "sums": product}
    for name, sums in (("zero", zero), ("mean", mean), ("resample", resample)):
        found[f"attribution-{name}"] = {"value": sum(sums) / n, "sums": sums}
    quantized = rounded_weights(np.asarray(cell["weights"], np.float32), GROUP)
    for name in FORMATS:
        dy = read(x) @ (quantized[f"err-{name}"] - w).T
        sums = [(np.square(g[rows]) * np.square(dy[rows])).sum() for rows in spans()]
        found[f"quant-taylor-{name}"] = {"value": sum(sums) / n**2, "sums": sums}
        products = [[(read(h)[rows] * dy[rows]).sum(1) for rows in spans()] for h in cell["gradients"][1:]]
        u = np.array([[p.sum() for p in draw] for draw in products])
        found[f"predicted-kl-{name}"] = {
            "direct": 0.5 * np.square(u).sum(1).mean() / n,
            "u": u.tolist(), "v": [[np.square(p).sum() for p in draw] for draw in products],
        }
    return found


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return rounded(float(value))


def main():
    rng = np.random.default_rng(SEED)
    x = made(rng, sum(LENGTHS), INPUTS)
    cells = [cell(rng, outputs, x) for outputs in (6, 3)]
    record = {
        "what": "gradient metrics of two made-up cells that read the same inputs; gradients are of sums over the scored tokens of a sequence",
        "script": "tools/reference/gradient_metrics.py",
        "versions": {p: version(p) for p in ("numpy", "scipy", "torch", "gguf")},
        "arithmetic": "float64 throughout, from decimals read as float32",
        "lengths": LENGTHS, "scored": SCORED, "draws": DRAWS, "group": GROUP, "inputs": x.ravel().tolist(),
        "cells": [
            {k: np.asarray(v).ravel().tolist() if k != "gradients" else [h.ravel().tolist() for h in v] for k, v in c.items()}
            | {"scores": plain(scores(c, cells, x))}
            for c in cells
        ],
    }
    OUT.write_text(json.dumps(record, separators=(",", ":")).replace('},"', '},\n"').replace('],"', '],\n"') + "\n")


if __name__ == "__main__":
    main()
