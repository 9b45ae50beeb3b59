#!/usr/bin/env python3
"""The same sums over a pair of checkpoints as a competent user of PyTorch would take them.

    delta_peer.py TUNED.safetensors BASE.safetensors [--threads N]

Tensor by tensor from the mapped files, differences in float32, intermediate results shared. Prints one JSON object: seconds from opening
the files to the last sum, and the mean of every score over the cells, so that nothing can be left out unnoticed.
"""

import argparse
import json
import time

import torch
from safetensors import safe_open


def scores(b0, b1):
    """Every linear score of one cell."""
    w0, w1 = b0.float(), b1.float()
    d = w1 - w0
    base, tuned, change = (torch.linalg.vector_norm(w).item() for w in (w0, w1, d))
    dot = torch.dot(w0.view(-1), d.view(-1)).item()
    size = d.abs().sum(dtype=torch.float64).item()
    count = d.numel()
    half = b1.bfloat16() - b0.bfloat16()
    near = torch.isclose(half, torch.zeros((), dtype=half.dtype), atol=1e-5).count_nonzero().item()
    changed = (b0 != b1).count_nonzero().item()
    nonzero = (w0 != 0).count_nonzero().item()
    flipped = ((w0.sign() != w1.sign()) & (w0 != 0)).count_nonzero().item()
    along = dot / base**2
    return {
        "delta-relative": change / base,
        "delta-scale": abs(along),
        "delta-direction": max(change**2 - dot * along, 0.0) ** 0.5 / tuned,
        "delta-cosine": (base**2 + dot) / (base * tuned),
        "update-density": changed / count,
        "update-density-tol": 1 - near / count,
        "update-density-bf16": changed / count,
        "density-lower-bound": (size / count) * (size / change**2),
        "base-rms": base / count**0.5,
        "sign-flips": flipped / nonzero,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tuned")
    parser.add_argument("base")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.ones(1000, 1000).square().sum()  # the library is warm

    start = time.perf_counter()
    sums, cells = {}, 0
    with safe_open(args.tuned, "pt") as tuned, safe_open(args.base, "pt") as base, torch.no_grad():
        for name in tuned.keys():
            if "_proj" not in name:
                continue
            cells += 1
            for key, value in scores(base.get_tensor(name), tuned.get_tensor(name)).items():
                sums[key] = sums.get(key, 0.0) + value
    seconds = time.perf_counter() - start
    print(json.dumps({"compute_seconds": seconds, "cells": cells, "means": {k: v / cells for k, v in sums.items()}}))


if __name__ == "__main__":
    main()
