"""Time of all spectral metrics beside torch and weightwatcher, on the same weights, in one sitting.

Tomograph reads the GGUF file itself; the others read the same weights from one float32 safetensors file, dequantized once
and not timed. Each side is run `--rounds` times in turn; medians and their ratios are printed as JSON. Build ours first:

    cargo build --release -p tomo-metrics --example spectra
    python tools/reference/spectral_speed.py MODEL.gguf target/release/examples/spectra
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import logging
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import gguf
import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

LINEAR = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down", "ffn_gate")


def linear_weights(path):
    """name -> float32 [out, in] of every linear projection."""
    found = {}
    for tensor in gguf.GGUFReader(path).tensors:
        parts = tensor.name.split(".")
        if len(parts) == 4 and parts[0] == "blk" and parts[2] in LINEAR:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            found[tensor.name] = np.ascontiguousarray(values, dtype=np.float32)
    return found


def torch_svdvals(path):
    for weight in safetensors.torch.load_file(path).values():
        torch.linalg.svdvals(weight)


def weightwatcher_analyze(path):
    import weightwatcher

    logging.disable(logging.WARNING)
    layers = []
    for weight in safetensors.torch.load_file(path).values():
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight.data = weight
        layers.append(layer)
    with contextlib.redirect_stdout(io.StringIO()):
        weightwatcher.WeightWatcher(model=torch.nn.Sequential(*layers)).analyze()


def ours(program, model):
    def run(_):
        subprocess.run([program, model, "spectrum,spectrum@null"], check=True, capture_output=True)

    return run


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gguf")
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip-weightwatcher", action="store_true")
    args = parser.parse_args()
    sides = {"tomograph spectrum,spectrum@null": ours(args.program, args.gguf), "torch svdvals": torch_svdvals}
    if not args.skip_weightwatcher:
        sides["weightwatcher analyze"] = weightwatcher_analyze
    seconds = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "model.safetensors")
        weights = linear_weights(args.gguf)
        safetensors.numpy.save_file(weights, path)
        for _ in range(args.rounds):
            for name, run in sides.items():
                clock = time.perf_counter()
                run(path)
                seconds[name].append(time.perf_counter() - clock)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    mine = medians["tomograph spectrum,spectrum@null"]
    page = {
        "cells": len(weights),
        "threads": os.cpu_count(),
        "load_at_end": os.getloadavg()[0],
        "versions": {p: importlib.metadata.version(p) for p in ("torch", "weightwatcher", "numpy")},
        "seconds": seconds,
        "medians": medians,
        "times_faster": {name: median / mine for name, median in medians.items()},
    }
    print(json.dumps(page, indent=1))


main()
