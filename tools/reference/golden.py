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
import json
import pathlib
import platform
import sys
import time
from importlib.metadata import version

import gguf
import numpy as np
import scipy.linalg

from golden_formats import error_scores
from golden_power_law import weightwatcher_fits
from golden_scores import entry_scores, spectral_scores

# Our name of a component and the GGUF one, in the order of the map's columns.
COMPONENTS = {
    "attn.q": "attn_q",
    "attn.k": "attn_k",
    "attn.v": "attn_v",
    "attn.o": "attn_output",
    "mlp.up": "ffn_up",
    "mlp.down": "ffn_down",
    "mlp.gate": "ffn_gate",
}
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


def rounded(value):
    """Ten significant digits; a number that is not finite would make the file invalid JSON, so it stops the script."""
    if not np.isfinite(value):
        raise ValueError(f"not finite: {value}")
    return value if isinstance(value, int) else float(f"{value:.10g}")


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


def one_line_per_row(golden):
    """JSON with one cell and one column a line: compact, and a change shows which column changed."""
    def lines(items):
        return ",\n  ".join(items)

    head = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items() if k not in ("cells", "columns")]
    cells = lines(json.dumps(c) for c in golden["cells"])
    columns = lines(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in golden["columns"].items())
    body = [f' "cells": [\n  {cells}\n ]', f' "columns": {{\n  {columns}\n }}']
    return "{\n" + ",\n".join(head + body) + "\n}\n"


if __name__ == "__main__":
    main()
