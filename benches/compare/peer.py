#!/usr/bin/env python3
"""The other side of the comparison: what a competent user of PyTorch or weightwatcher would run on the same weights.

    peer.py TASK MODEL.safetensors [--threads N]

Prints one JSON object: seconds to load the 210 matrices as f32, seconds to compute, and a checksum of the results, so that
nothing can be left out unnoticed. Whole-process time is taken by the caller.
"""

import argparse
import json
import math
import time

import torch
from safetensors.torch import load_file

GROUP = 128


def spectra(matrices):
    """Singular values of every matrix: what every spectral metric starts from."""
    return sum(float(torch.linalg.svdvals(w)[0]) for w in matrices.values())


def weightwatcher_analyze(matrices):
    """weightwatcher's own scan, defaults throughout."""
    import weightwatcher

    model = torch.nn.Module()
    for name, w in matrices.items():
        layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
        layer.weight.data = w
        model.add_module(name.replace(".", "_"), layer)
    details = weightwatcher.WeightWatcher(model=model).analyze()
    return float(details["alpha"].sum())


def statistics_plain(matrices):
    """rms, mean |w|, excess kurtosis and the share beyond six rms, each written down as it is defined."""
    total = 0.0
    for w in matrices.values():
        rms = w.square().mean().sqrt()
        mean_abs = w.abs().mean()
        kurtosis = (w - w.mean()).pow(4).mean() / w.var(correction=0).square() - 3
        outliers = (w.abs() > 6 * rms).float().mean()
        total += float(rms + mean_abs + outliers + kurtosis)
    return total


def statistics(matrices):
    """The same four in as few sweeps as torch allows: what they share is computed once, buffers are written in place."""
    total = 0.0
    for w in matrices.values():
        magnitude = w.abs()
        rms = torch.linalg.vector_norm(w) / math.sqrt(w.numel())
        outliers = (magnitude > 6 * rms).count_nonzero() / w.numel()
        centred2 = (w - w.mean()).square_()
        kurtosis = centred2.square().mean() / centred2.mean() ** 2 - 3
        total += float(rms + magnitude.mean() + outliers + kurtosis)
    return total


def grouped(w):
    """The matrix as [groups, GROUP] views: whole groups, and the short last group of every row if there is one."""
    whole = w.shape[1] // GROUP * GROUP
    yield w[:, :whole].reshape(-1, GROUP)
    if whole < w.shape[1]:
        yield w[:, whole:]


def rounded(g, bits):
    """Asymmetric round-to-nearest of [groups, GROUP] with zero inside the range, as published quantizers write it."""
    top = 2**bits - 1
    low = g.amin(1, keepdim=True).clamp(max=0)
    high = g.amax(1, keepdim=True).clamp(min=0)
    step = ((high - low) / top).clamp(min=torch.finfo(torch.float32).tiny)
    zero = (-low / step).round()
    code = ((g / step).round() + zero).clamp(0, top)
    return (code - zero) * step


def rounding_errors_plain(matrices):
    """Relative errors at 4, 3 and 2 bits in groups of 128, one call per width."""
    total = 0.0
    for w in matrices.values():
        for bits in (4, 3, 2):
            squares = sum((g - rounded(g, bits)).square().sum() for g in grouped(w))
            total += float(squares.sqrt() / torch.linalg.vector_norm(w))
    return total


def rounding_errors(matrices):
    """The same three errors with ranges found once and buffers written in place."""
    total = 0.0
    for w in matrices.values():
        squares = {4: 0.0, 3: 0.0, 2: 0.0}
        for g in grouped(w):
            low = g.amin(1, keepdim=True).clamp_(max=0)
            high = g.amax(1, keepdim=True).clamp_(min=0)
            for bits in squares:
                top = 2**bits - 1
                step = ((high - low) / top).clamp_(min=torch.finfo(torch.float32).tiny)
                zero = (-low / step).round_()
                code = (g / step).round_().add_(zero).clamp_(0, top)
                back = code.sub_(zero).mul_(step)
                squares[bits] += back.sub_(g).square_().sum()
        size = torch.linalg.vector_norm(w)
        total += sum(float(s.sqrt() / size) for s in squares.values())
    return total


TASKS = {
    "spectra": spectra,
    "weightwatcher": weightwatcher_analyze,
    "statistics-plain": statistics_plain,
    "statistics": statistics,
    "rounding-errors-plain": rounding_errors_plain,
    "rounding-errors": rounding_errors,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    with torch.inference_mode(args.task != "weightwatcher"):
        start = time.perf_counter()
        # Projections only; embeddings are no cells. Touching every page keeps reading the file out of the computation.
        matrices = {k: v.float() for k, v in load_file(args.model).items() if k.startswith("model.layers.") and v.ndim == 2}
        touched = sum(float(w[:, ::1024].sum()) for w in matrices.values())
        # The first call of each library function pays for starting threads and loading kernels.
        TASKS[args.task]({"warm.up": torch.randn(64, 192)})
        loaded, cpu_loaded = time.perf_counter(), time.process_time()
        checksum = TASKS[args.task](matrices)
        done, cpu_done = time.perf_counter(), time.process_time()
    print(
        json.dumps(
            {
                "task": args.task,
                "cells": len(matrices),
                "load_seconds": loaded - start,
                "compute_seconds": done - loaded,
                "compute_cpu_seconds": cpu_done - cpu_loaded,
                "checksum": checksum,
                "touched": touched,
            }
        )
    )


if __name__ == "__main__":
    main()
