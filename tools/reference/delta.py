#!/usr/bin/env python3
"""Writes what the metrics of a change must come to: fixtures/golden/demo-delta.json and delta-pairs.{safetensors,json}.

    python tools/reference/delta.py

demo-delta.json: every metric on every cell of the committed pair fixtures/demo/base and tuned (bf16), and the drift of their
norms. delta-pairs: made-up pairs in float32, with zeros, flipped signs, changes near 1e-5 and below the spacing of bf16, and one
pair large enough that singular vectors are found by iteration. Everything is numpy and scipy in float64, but for what is
defined by another package's code: the rule of `update-density-tol` (`torch.isclose` on bf16 tensors) and the tolerance of
`delta-rank` (`torch.linalg.matrix_rank` on float32). A few seconds.
"""

import argparse
import json
import pathlib
import platform
from importlib.metadata import version

import numpy as np
import scipy.linalg
import torch
from safetensors.torch import load_file, save_file

from golden_json import one_line_per_row, rounded

ROOT = pathlib.Path(__file__).resolve().parents[2]
RANK = 16
ETA = 1e-3
MODULES = {
    "attn.q": "self_attn.q_proj",
    "attn.k": "self_attn.k_proj",
    "attn.v": "self_attn.v_proj",
    "attn.o": "self_attn.o_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
    "mlp.gate": "mlp.gate_proj",
}
NORMS = {"the norm before attention": "input_layernorm", "the norm before the MLP": "post_attention_layernorm"}


def linear_scores(base, tuned):
    """Scores that need no decomposition; tensors of any float type."""
    w0, w1 = (w.to(torch.float64).numpy() for w in (base, tuned))
    d = w1 - w0
    norm0, norm1, change = (np.linalg.norm(x) for x in (w0, w1, d))
    c = np.sum(w0 * w1) / norm0**2
    half0, half1 = (w.to(torch.bfloat16) for w in (base, tuned))
    close = torch.isclose(half1 - half0, torch.zeros_like(half0), atol=1e-5)
    b0, b1 = (w.to(torch.float64).numpy() for w in (half0, half1))
    larger = np.maximum(np.abs(b0), np.abs(b1))
    was = w0 != 0
    return {
        "delta-relative": change / norm0,
        # <W0, W1> / ||W0||^2 - 1 without the difference of two numbers near 1.
        "delta-scale": abs(np.sum(w0 * d)) / norm0**2,
        "delta-direction": np.linalg.norm(w1 - c * w0) / norm1,
        "delta-cosine": np.sum(w0 * w1) / (norm0 * norm1),
        "update-density": np.mean(w0 != w1),
        "update-density-tol": 1 - close.to(torch.float64).mean().item(),
        "update-density-bf16": 1 - np.mean(np.abs(b1 - b0) <= ETA * larger),
        "density-lower-bound": np.mean(np.abs(d)) ** 2 / np.mean(d**2),
        "base-rms": np.sqrt(np.mean(w0**2)),
        "sign-flips": np.mean(np.sign(w0[was]) != np.sign(w1[was])),
    }


def spectral_scores(base, tuned, k):
    """Scores from singular values and vectors."""
    w0, w1 = (w.to(torch.float64).numpy() for w in (base, tuned))
    d = w1 - w0
    (u0, s0, v0), (u1, s1, v1) = (scipy.linalg.svd(w, full_matrices=False) for w in (w0, w1))
    sigma = scipy.linalg.svdvals(d)
    p = sigma[sigma > 0] / sigma.sum()
    rank = torch.linalg.matrix_rank(torch.from_numpy(d.astype(np.float32))).item()
    (m, n), short = w0.shape, min(w0.shape)
    core = np.linalg.norm(u0[:, :k].T @ d @ v0[:k].T)
    return {
        "delta-rank": rank / short,
        "delta-stable-rank": np.sum(sigma**2) / sigma[0] ** 2,
        "delta-effective-rank": np.exp(-np.sum(p * np.log(p))),
        "subspace-overlap-left": np.linalg.norm(u0[:, :k].T @ u1[:, :k]) ** 2 / k,
        "subspace-overlap-right": np.linalg.norm(v0[:k] @ v1[:k].T) ** 2 / k,
        "delta-on-principal": core / np.linalg.norm(d) / (k / np.sqrt(m * n)),
        "spectrum-drift": np.linalg.norm(s1 - s0) / np.linalg.norm(s0),
        # How far the k-th singular value is from the next, in units of the first: rounding moves the subspace by eps over it.
        "subspace:gap": min((s[k - 1] - s[k]) / s[0] for s in (s0, s1)),
    }


def scores(base, tuned, k=RANK):
    """Every score of one pair, in ten digits."""
    return {key: rounded(float(x)) for key, x in (linear_scores(base, tuned) | spectral_scores(base, tuned, k)).items()}


def versions():
    """What made the numbers."""
    return {"python": platform.python_version()} | {p: version(p) for p in ("numpy", "scipy", "torch", "safetensors")}


def demo(out):
    """The committed pair."""
    base, tuned = (load_file(ROOT / f"fixtures/demo/{name}/model.safetensors") for name in ("base", "tuned"))
    layers = 1 + max(int(name.split(".")[2]) for name in base if name.startswith("model.layers."))
    cells, columns = [], {}
    for layer in range(layers):
        for component, module in MODULES.items():
            name = f"model.layers.{layer}.{module}.weight"
            for key, value in scores(base[name], tuned[name]).items():
                columns.setdefault(key, []).append(value)
            rows, cols = base[name].shape
            cells.append({"layer": layer, "component": component, "tensor": name, "out": rows, "in": cols})

    def drift(name):
        g0, g1 = (w[name].to(torch.float64).numpy() for w in (base, tuned))
        return {"tensor": name, "drift": rounded(float(np.linalg.norm(g1 - g0) / np.linalg.norm(g0)))}

    norms = [
        {"layer": layer, "name": place} | drift(f"model.layers.{layer}.{module}.weight")
        for layer in range(layers)
        for place, module in NORMS.items()
    ]
    golden = {
        "script": "tools/reference/delta.py",
        "versions": versions(),
        "model_file": "fixtures/demo/tuned against fixtures/demo/base",
        "group": RANK,
        "norms": [*norms, {"layer": None, "name": "the last norm"} | drift("model.norm.weight")],
        "cells": cells,
        "columns": columns,
    }
    out.write_text(one_line_per_row(golden))


def made_up():
    """Pairs in float32 that visit every branch."""
    rng = np.random.default_rng(5)

    def pair(rows, cols, sd, change):
        w0 = rng.standard_normal((rows, cols)) * sd
        return w0, w0 + change(w0)

    noise = lambda sd: lambda w: rng.standard_normal(w.shape) * sd
    pairs = {
        "noise": pair(40, 56, 0.02, noise(0.002)),
        # Most changes are below the spacing of bf16, some near 1e-5.
        "small": pair(48, 33, 0.01, noise(2e-5)),
        "tiny-weights": pair(24, 40, 5e-4, noise(8e-6)),
        "flips": pair(31, 45, 0.02, lambda w: np.where(rng.random(w.shape) < 0.2, -2 * w, 0)),
        "pruned": pair(40, 40, 0.02, lambda w: np.where(rng.random(w.shape) < 0.3, -w, 0)),
        "regrown": pair(40, 40, 0.02, noise(0.01)),
        "low-rank": pair(64, 48, 0.02, lambda w: rng.standard_normal((64, 3)) @ rng.standard_normal((3, 48)) * 0.003),
        "rescaled": pair(36, 52, 0.02, lambda w: 0.38 * w + rng.standard_normal(w.shape) * 0.001),
        "large": pair(176, 224, 0.02, noise(0.004)),
    }
    w0, w1 = pairs["regrown"]
    gone = rng.random(w0.shape) < 0.25
    pairs["regrown"] = np.where(gone, 0.0, w0), w1
    # A few strong directions, so that there is a gap behind the sixteenth.
    w0, w1 = pairs["large"]
    strong = rng.standard_normal((176, 16)) @ rng.standard_normal((16, 224)) * 0.02
    pairs["large"] = w0 + strong, w1 + strong
    as_tensors = lambda w: torch.from_numpy(w.astype(np.float32))
    return {name: (as_tensors(a), as_tensors(b)) for name, (a, b) in pairs.items()}


def rounded_to(pair, dtype):
    """Both sides rounded to a type, in float32."""
    return tuple(w.to(dtype).to(torch.float32) for w in pair)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "fixtures/golden")
    args = parser.parse_args()
    demo(args.out / "demo-delta.json")
    pairs = made_up()
    tensors = {f"{side}/{name}": w for name, pair in pairs.items() for side, w in zip(("base", "tuned"), pair)}
    save_file(tensors, args.out / "delta-pairs.safetensors")
    casts = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
    about = {
        "script": "tools/reference/delta.py",
        "versions": versions(),
        "rank": RANK,
        "pairs": {
            name: {cast: scores(*rounded_to(pair, dtype)) for cast, dtype in casts.items()}
            for name, pair in pairs.items()
        },
    }
    (args.out / "delta-pairs.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
