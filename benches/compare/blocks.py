#!/usr/bin/env python3
"""Encoding of GGUF's types beside ggml's own, on the same rows, one thread each.

    blocks.py LIBGGML_BASE [--columns 1536] [--rows 512] [--label TEXT] [--no-record]

Ours is `target/release/examples/encode` of tomo-blocks; theirs `ggml_quantize_chunk` of a libggml-base.so that llama-quantize uses. Both
count processor time, best of three, so that a busy machine changes little. Runs alternate.
"""

import argparse
import ctypes
import json
import pathlib
import subprocess
import tempfile
import time

import gguf
import numpy as np

import machine

HERE = pathlib.Path(__file__).resolve().parent
BINARY = HERE.parents[1] / "target" / "release" / "examples" / "encode"
SEED = 20261127


def ours(file, columns):
    """MB/s by type, without importances and with."""
    table = subprocess.run([BINARY, file, str(columns)], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in table.splitlines()[2:]]
    return {row[0]: (float(row[1]), float(row[4])) for row in rows}


def theirs(lib, rows, kind):
    qtype = gguf.GGMLQuantizationType[kind.upper()]
    elements, size = gguf.GGML_QUANT_SIZES[qtype]
    out = np.zeros(rows.size // elements * size, np.uint8)
    importance = (1 + np.arange(rows.shape[1]) % 7).astype(np.float32)
    rates = []
    for weights in (None, importance.ctypes.data):
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            lib.ggml_quantize_chunk(int(qtype), rows.ctypes.data, out.ctypes.data, 0, *rows.shape, weights)
            best = min(best, time.process_time() - start)
        rates.append(rows.nbytes / 1e6 / best)
    return tuple(rates)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lib")
    parser.add_argument("--columns", type=int, default=1536)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    lib = ctypes.CDLL(args.lib)
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    lib.ggml_version.restype = lib.ggml_commit.restype = ctypes.c_char_p

    rows = np.random.default_rng(SEED).normal(0, 0.02, (args.rows, args.columns)).astype(np.float32)
    with tempfile.NamedTemporaryFile() as file:
        rows.tofile(file.name)
        runs = []
        for _ in range(3):
            mine = ours(file.name, args.columns)
            runs.append((mine, {kind: theirs(lib, rows, kind) for kind in mine}))
    rates = {}
    for kind in runs[0][0]:
        side = [[max(run[who][kind][with_] for run in runs) for with_ in (0, 1)] for who in (0, 1)]
        rates[kind] = {"ours": side[0], "ggml": side[1], "ratio": [round(a / b, 2) for a, b in zip(*side)]}
        print(f"{kind:7} ours {side[0][0]:6.0f} {side[0][1]:6.0f}   ggml {side[1][0]:6.0f} {side[1][1]:6.0f}   ratio {rates[kind]['ratio']}")
    if not args.no_record:
        facts = machine.facts() | {"ggml": f"{lib.ggml_version().decode()} {lib.ggml_commit().decode()}"}
        record = {
            "label": args.label,
            "what": "MB of f32 weights encoded per second of one thread: without importances, with importances",
            "shape": list(rows.shape),
            "rates": rates,
            "machine": facts,
        }
        target = HERE.parent / "records" / f"{facts['date'][:10]}-blocks.json"
        target.write_text(json.dumps(record, indent=1) + "\n")
        print(target)


if __name__ == "__main__":
    main()
