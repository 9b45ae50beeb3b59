#!/usr/bin/env python3
"""Times a whole grid of changed cells beside a plain loop of transformers passes, in one run, and keeps a record.

    changes.py MODEL.gguf FOLDER TOKENS.json [--rounds 3] [--cells 30] [--loop 4] [--threads 2] [--label TEXT] [--no-record]

FOLDER holds the same weights as f32 safetensors (prepare.py); TOKENS.json is an array of arrays of token ids, all of one length (4 x 256
for the record). Rounds are interleaved: each runs CELLS variants of ours together, which are spread over the grid and stand for it by
their operations, and LOOP of the same cells one by one in transformers, which stand for it by their number. Needs
`cargo build --release -p tomo-model --examples`.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import machine

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BINARIES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def output(command, environment):
    done = subprocess.run([str(c) for c in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", type=int, default=30)
    parser.add_argument("--loop", type=int, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    environment = machine.clean_environment(args.threads)
    sequences = json.loads(args.tokens.read_text())
    example = BINARIES / "examples/time_compare"

    ours, loop, shares, off = [], [], [], []
    for number in range(args.rounds):
        found = output([example, args.model, args.tokens, args.cells, args.threads], environment)
        ours.append(found["seconds_of_grid"])
        shares.append(found["gflops"] / found["gflops_of_matmul"])
        chosen = range(number % 2, len(found["cells"]), max(1, len(found["cells"]) // args.loop))
        cells = [found["cells"][i] for i in chosen]
        peer = output([sys.executable, HERE / "changes_peer.py", args.folder, args.tokens, *cells, "--threads", args.threads], environment)
        loop.append(statistics.mean(peer["seconds"]) * found["grid"])
        off += [abs(found["kl"][i] / kl - 1) for i, kl in zip(chosen, peer["kl"])]
    ratios = [theirs / own for theirs, own in zip(loop, ours)]
    lines = [
        f"{found['grid']} cells in 3 bits, {len(sequences)} x {len(sequences[0])} tokens, {args.threads} threads",
        f"tomograph, all cells together    {statistics.median(ours):8.1f} s",
        f"transformers, one cell at a time {statistics.median(loop):8.1f} s",
        f"ratio                            {statistics.median(ratios):8.2f}   (rounds: {', '.join(f'{r:.2f}' for r in ratios)})",
        f"share of the matmul limit        {statistics.median(shares):8.2f}   (the same threads on two matrices of 2048)",
        f"sharing alone                    {found['bound']:8.2f}   (operations of a plain loop over ours)",
        f"largest difference of a KL       {max(off):8.1e}",
    ]
    print("\n".join(lines))
    if not args.no_record:
        day = time.strftime("%Y-%m-%d")
        record = {
            "label": args.label, "sequences": [len(sequences), len(sequences[0])], "threads": args.threads, "cells": args.cells,
            "loop": args.loop, "seconds": {"tomograph": ours, "transformers": loop}, "ratios": ratios, "matmul_shares": shares,
            "bound": found["bound"], "plan": found["plan_of_grid"], "versions": peer["versions"], "machine": machine.facts(),
        }
        folder = ROOT / "benches" / "records"
        (folder / f"{day}-changes.json").write_text(json.dumps(record, indent=1) + "\n")
        text = f"# A grid of changed cells, {day}\n\n{args.label}\n\n" + "\n".join(f"    {line}" for line in lines) + "\n"
        (folder / f"{day}-changes.md").write_text(text)


if __name__ == "__main__":
    main()
