"""What scans of large models cost on clusters, from what one core does here: measures each kind of metric on SmolLM2 with one thread, and
writes docs/cluster-costs.md's table from that and the assumptions below.

    python benches/compare/cluster_costs.py TOMOGRAPH MODEL.gguf [--record STEM]

Every number of the table is arithmetic on the measured rates; nothing of that size was run.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TOKENS = 2048
SEQUENCE = 256


@dataclass
class Shape:
    name: str
    layers: int
    hidden: int
    #: Weights in cells, and those that one token goes through.
    weights: float
    active: float
    vocabulary: int
    cells: int
    #: Bytes of a stored weight.
    width: float
    #: Sum over cells of m n min(m, n): what spectra cost.
    cubes: float


def llama_70b() -> Shape:
    d, f, kv, layers = 8192, 28672, 1024, 80
    sides = [(d, d), (kv, d), (kv, d), (d, d), (f, d), (d, f), (f, d)]
    weights = layers * sum(m * n for m, n in sides)
    return Shape("70B dense, bf16", layers, d, weights, weights, 128256, 7 * layers, 2, layers * sum(m * n * min(m, n) for m, n in sides))


def trillion() -> Shape:
    """Like the largest open mixtures: 61 layers, 384 experts of width 2048, 8 of them and attention at work, stored in 8 bits."""
    d, f, layers, experts, used = 7168, 2048, 61, 384, 9
    attention = [(d, d)] * 4
    expert = [(f, d), (d, f), (f, d)]
    one = lambda sides: sum(m * n for m, n in sides)  # noqa: E731
    cube = lambda sides: sum(m * n * min(m, n) for m, n in sides)  # noqa: E731
    weights = layers * (one(attention) + experts * one(expert))
    active = layers * (one(attention) + used * one(expert))
    cubes = layers * (cube(attention) + experts * cube(expert))
    return Shape("1T mixture, fp8", layers, d, weights, active, 160000, layers * (4 + 3 * experts), 1, cubes)


#: A node: cores, share of the measured rate that a core keeps when all are busy, bytes a second from the store.
CORES, KEPT, NETWORK = 32, 0.7, 1.25e9
#: The text: sequences and their tokens; of interventions.
TEXT, INTERVENTIONS = (128, 512), (16, 256)
NODES = (1, 8, 64)
#: SmolLM2: weights in cells, cubes, layers, hidden size, vocabulary.
SMOL = Shape("SmolLM2-135M", 30, 576, 106_168_320, 106_168_320, 49152, 210, 0.625, 30 * (576**3 * 2 + 2 * 192 * 576 * 192 + 3 * 1536 * 576 * 576))


def reverse_operations(shape: Shape, tokens: int, draws: int) -> float:
    """Forward, forward again, the changed weights' product once; each draw back through all products and the head."""
    product, head = 2 * shape.active, 2 * shape.hidden * shape.vocabulary
    return tokens * (3 * product + head + draws * (product + head))


def timed(program: str, model: str, metrics: str, *more: str) -> tuple[float, str]:
    """Seconds of the scan itself, as its map says; what it said on the way."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "map")
        words = [program, "map", model, "--metric", metrics, "--threads", "1", "--out", str(out), *more]
        ran = subprocess.run(words, capture_output=True, text=True, check=True)
        return json.loads((out / "map.json").read_text())["provenance"]["seconds"], ran.stderr


def rates(program: str, model: str) -> dict[str, float]:
    """Per second of one core: weights, operations of spectra, and operations of products in passes."""
    text = ["--tokens", str(TOKENS), "--sequence", str(SEQUENCE)]
    product = 2 * SMOL.active
    simple, _ = timed(program, model, "rms")
    error, _ = timed(program, model, "err-int4")
    spectrum, _ = timed(program, model, "stable-rank")
    forward, _ = timed(program, model, "input-energy,write-ratio", *text)
    reverse, _ = timed(program, model, "predicted-kl-int4", "--draws", "12", *text)
    causal, said = timed(program, model, "quant-kl-int3", "--exact", "--tokens", "512", "--sequence", "128", "--cells", "L15")
    whole = float(re.search(r"([\d,]+) GFLOP", said)[1].replace(",", "")) * 1e9
    return {
        "rms, weights/s": SMOL.weights / simple,
        "err-int4, weights/s": SMOL.weights / error,
        "spectra, m n min(m, n)/s": SMOL.cubes / spectrum,
        "forward, FLOP/s": TOKENS * product / forward,
        "reverse with draws, FLOP/s": reverse_operations(SMOL, TOKENS, 12) / reverse,
        "interventions, FLOP/s": whole * 7 / 210 / causal,
    }


def hours(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36e4 else f"{seconds / 86400:.1f} days"


def table(shape: Shape, rate: dict[str, float]) -> list[str]:
    """Wall time of each kind of metric, by number of nodes: the slower of computing and reading."""
    power = CORES * KEPT
    bytes_ = shape.weights * shape.width
    tokens = TEXT[0] * TEXT[1]
    product, head = 2 * shape.active, 2 * shape.hidden * shape.vocabulary
    changed = INTERVENTIONS[0] * INTERVENTIONS[1]
    work = {
        "`rms` and the like": (shape.weights / rate["rms, weights/s"], "cells"),
        "`err-int4`": (shape.weights / rate["err-int4, weights/s"], "cells"),
        "spectra": (shape.cubes / rate["spectra, m n min(m, n)/s"], "cells"),
        "activations, 128 x 512 tokens": (tokens * product / rate["forward, FLOP/s"], "sequences"),
        "`predicted-kl`, 4 draws, same text": (
            reverse_operations(shape, tokens, 4) / rate["reverse with draws, FLOP/s"],
            "sequences",
        ),
        # A changed model runs from its own layer on: half of the layers on average, and the head.
        "`quant-kl --exact`, 16 x 256 tokens": (
            changed * shape.cells * (product / 2 + head) / rate["interventions, FLOP/s"],
            "interventions",
        ),
    }
    passes = {"cells": 0, "sequences": 1, "interventions": 1}
    rows = [f"| {shape.name} | " + " | ".join(f"{n} node{'s' if n > 1 else ''}" for n in NODES) + " | reading takes over at |", "|:--|" + "--:|" * (len(NODES) + 1)]
    for what, (core_seconds, along) in work.items():
        cells = []
        most = shape.cells if along != "sequences" else TEXT[0]
        # Cut along cells, each node reads its share; else everything, forward and (of gradients) backward.
        reading = bytes_ / NETWORK * (2 if "predicted" in what else 1)
        limit = None
        for n in NODES:
            read = reading / n if passes[along] == 0 else reading
            compute = core_seconds / power / min(n, most)
            cells.append(hours(max(read, compute)) + (" (reading)" if read > compute else ""))
        if passes[along]:
            limit = core_seconds / power / reading
        elif core_seconds / power < reading:
            limit = 1
        text = "no number: both shrink alike" if limit is None else f"{max(1, round(limit)):,} node{'s' if round(limit) > 1 else ''}"
        rows.append(f"| {what} | " + " | ".join(cells) + f" | {text} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--record", help="writes STEM.json and STEM.md")
    asked = parser.parse_args()
    begun = time.strftime("%Y-%m-%d")
    rate = rates(asked.program, asked.model)
    lines = [f"Rates of one core, {begun}, SmolLM2-135M (Q4_1), one thread:", ""]
    lines += [f"- {name.split(', ')[0]}: {value:.3g} {name.split(', ', 1)[1]}" for name, value in rate.items()]
    for shape in (llama_70b(), trillion()):
        lines += ["", *table(shape, rate)]
    print("\n".join(lines))
    if asked.record:
        Path(asked.record + ".json").write_text(json.dumps({"date": begun, "rates": rate}, indent=1) + "\n")
        Path(asked.record + ".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
