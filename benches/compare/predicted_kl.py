#!/usr/bin/env python3
"""Predicted KL beside the KL that transformers measures cell by cell, on given tokens: agreement and cost, in one run.

    predicted_kl.py MODEL.gguf TOKENS.json TOMOGRAPH [--bits 3 4] [--seed 0] [--threads 2] [--label TEXT] [--no-record]

TOKENS.json is an array of arrays of token ids, all of one length; take others than those that the statistics were set with. TOMOGRAPH is the
program; it predicts all eight formats, groups of 64, default draws. Then the loop: for every cell one pass from the layer of that cell on (its
input is kept from the unchanged pass, which halves the loop), float32, tools/reference/backward_real.py. Times are wall times.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "reference"))
FORMATS = ("int4", "int3", "int2", "nf4", "q4_0", "nvfp4", "mxfp4", "fp8")
# Ends of a 90 % interval from those of the 95 % interval of a log-normal.
NARROWER = 1.644854 / 1.959964


def ranks(values):
    return np.argsort(np.argsort(values)).astype(float)


def agreement(scores, measured):
    value = np.array([s["value"] for s in scores])
    low, high = (np.log([s["interval"][end] for s in scores]) for end in (0, 1))
    middle, reach = (low + high) / 2, (high - low) / 2
    inside = lambda factor: float(np.mean(np.abs(np.log(measured) - middle) <= factor * reach))
    top = lambda x: set(np.argsort(-x)[: len(x) // 10].tolist())
    ratio = value / measured
    return {
        "rank_correlation": float(np.corrcoef(ranks(value), ranks(measured))[0, 1]),
        "of_the_highest_tenth": f"{len(top(value) & top(measured))} of {len(value) // 10}",
        "median_ratio": float(np.median(ratio)), "ratio_range": [float(ratio.min()), float(ratio.max())],
        "covered_by_90_percent": inside(NARROWER), "covered_by_95_percent": inside(1.0),
        "flagged": sum("reason" in s for s in scores),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("tomograph", type=pathlib.Path)
    parser.add_argument("--bits", type=int, nargs="+", default=[3, 4])
    parser.add_argument("--seed", default="0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        metrics = ",".join(f"predicted-kl-{f}" for f in FORMATS)
        command = [args.tomograph, "map", args.model, "--metric", metrics, "--group", "64", "--token-ids", args.tokens,
                   "--seed", args.seed, "--threads", str(args.threads), "--out", folder]
        start = time.time()
        subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        ours = time.time() - start
        found = json.loads((pathlib.Path(folder) / "map.json").read_text())

    for name in [n for n in os.environ if n.startswith("OPENBLAS")]:
        del os.environ[name]
    import torch
    import backward_real as real

    torch.set_num_threads(args.threads)
    tokens = torch.tensor(json.loads(args.tokens.read_text()))
    model = real.load(args.model)
    cells = real.cells_of(model)
    weights = {c: real.linear(model, *c).weight.numpy(force=True).astype(np.float64) for c in cells}
    changes = real.Doubled({(c, b, 64): torch.from_numpy(real.integer(w, b, 64) - w).float()
                            for c, w in weights.items() for b in args.bits})
    with torch.no_grad():
        real.forward(model, tokens)
        start = time.time()
        for _ in range(3):
            real.forward(model, tokens)
        one = (time.time() - start) / 3
    result = {"draws": found["provenance"]["draws"], "sequences": list(tokens.shape), "seed": args.seed,
              "seconds_of_ours_all_formats": ours, "seconds_of_one_forward_pass_of_transformers": one,
              "seconds_of_210_forward_passes": one * len(cells), "share_of_the_loop": ours / (one * len(cells)), "bits": {}}
    for bits in args.bits:
        start = time.time()
        measured = real.measured_kl(model, tokens, cells, changes, bits)
        scores = next(m for m in found["metrics"] if m["id"] == f"predicted-kl-int{bits}")["scores"]
        result["bits"][bits] = agreement(scores, np.array([measured[c] for c in cells])) | {
            "seconds_of_the_loop_with_kept_inputs": time.time() - start}
    text = json.dumps(result, indent=1)
    print(text)
    if not args.no_record:
        day = time.strftime("%Y-%m-%d")
        record = {"what": "predicted KL beside measured KL", "script": "benches/compare/predicted_kl.py", "label": args.label,
                  "versions": {"torch": torch.__version__, "transformers": real.transformers.__version__}, **result}
        (ROOT / "benches" / "records" / f"{day}-predicted-kl.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
