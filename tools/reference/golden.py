#!/usr/bin/env python3
"""Writes fixtures/golden/smollm2-weights.json: every weight score of SmolLM2-135M-Instruct, made without our own code.

    nice python tools/reference/golden.py MODEL.gguf [--out FILE] [--layers N]

Weights are the float32 values to which the `gguf` package decodes the file. Singular values are LAPACK's in float64
(`scipy.linalg.svdvals`); alpha is what the weightwatcher package reports for the same matrices; everything else is numpy.
About four minutes on two cores.
"""

import argparse
import datetime
import hashlib
import pathlib
import platform
import sys
import time
from importlib.metadata import version

import gguf
import numpy as np
import scipy.linalg

from golden_formats import error_scores
from golden_json import COMPONENTS, one_line_per_row, rounded
from golden_power_law import weightwatcher_fits
from golden_scores import entry_scores, spectral_scores

GROUP = 128
PACKAGES = ["gguf", "numpy", "scipy", "torch", "weightwatcher"]


def cells_of(path, layers):
    """Yields (layer, component, tensor name, float32 [out, in])."""
    tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}
    count = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blk."))
    for layer in range(min(count, layers or count)):
        for component, part in COMPONENTS.items():
            name = f"blk.{layer}.{part}.weight"
            t = tensors[name]
            yield layer, component, name, gguf.dequantize(t.data, t.tensor_type).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--out", type=pathlib.Path, default=here.parents[1] / "fixtures/golden/smollm2-weights.json")
    parser.add_argument("--layers", type=int, default=0, help="only the first N layers, for a dry run")
    args = parser.parse_args()

    start = time.time()
    cells, matrices, columns = [], {}, {}
    for layer, component, name, w in cells_of(args.model, args.layers):
        entries = entry_scores(w)
        sigma = scipy.linalg.svdvals(w.astype(np.float64))
        scores = entries | spectral_scores(w.shape, sigma, entries["robust-sd"]) | error_scores(w, GROUP)
        for key, value in scores.items():
            columns.setdefault(key, []).append(rounded(value))
        cells.append({"layer": layer, "component": component, "tensor": name, "out": w.shape[0], "in": w.shape[1]})
        matrices[f"L{layer}.{component}"] = w
        print(f"\r{len(cells):4} cells  {time.time() - start:6.1f} s", end="", file=sys.stderr, flush=True)

    print("\nweightwatcher", file=sys.stderr)
    for key, values in weightwatcher_fits(matrices).items():
        columns[key] = [rounded(v) for v in values]

    golden = {
        "what": "weight scores of SmolLM2-135M-Instruct (Q4_1), decoded to float32, computed in float64",
        "script": "tools/reference/golden.py",
        "model_file": args.model.name,
        "model_sha256": hashlib.sha256(args.model.read_bytes()).hexdigest(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "group": GROUP,
        "cells": cells,
        "columns": columns,
    }
    args.out.write_text(one_line_per_row(golden))
    print(f"{args.out}: {args.out.stat().st_size} bytes, {time.time() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
