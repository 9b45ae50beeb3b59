#!/usr/bin/env python3
"""Times a whole grid of changed cells beside a plain loop of transformers passes, in one run, and keeps a record.

    changes.py MODEL.gguf FOLDER TOKENS.json [--rounds 3] [--cells 30] [--loop 4] [--threads 2] [--label TEXT] [--no-record]
    changes.py MODEL.gguf FOLDER TOKENS.json --whole OUT [--loop 10] [--memory 1GiB] …

FOLDER holds the same weights as f32 safetensors (prepare.py); TOKENS.json is an array of arrays of token ids, all of one length (4 x 256
for the record). Rounds are interleaved: each runs CELLS variants of ours together, which are spread over the grid and stand for it by
their operations, and LOOP of the same cells one by one in transformers, which stand for it by their number. Needs
`cargo build --release -p tomo-model --examples`.

With --whole nothing of ours stands for anything: `tomograph map --metric quant-kl-int3 --exact` scans the grid into OUT, from its start
to the written report, with half of LOOP before it and half after it; its peak memory is the kernel's count. Needs
`cargo build --release -p tomograph`.
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
from memory import watch

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BINARIES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def output(command, environment):
    done = subprocess.run([str(c) for c in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return json.loads(done.stdout)


def whole(args, environment):
    """The whole grid by the program itself, beside passes of the loop before and after it."""
    count = len(json.loads(args.tokens.read_text()))
    grid = 7 * json.loads((args.folder / "config.json").read_text())["num_hidden_layers"]
    # Spread over layers and columns: neighbours among the chosen are in different columns.
    chosen = [round((i + 0.5) * grid / args.loop) for i in range(args.loop)]
    half = len(chosen) // 2

    def peer(cells):
        command = [sys.executable, HERE / "changes_peer.py", args.folder, args.tokens, *cells, "--threads", args.threads, "--zero-points"]
        return output(command, environment)

    command = [BINARIES / "tomograph", "map", args.model, "--metric", "quant-kl-int3", "--exact", "--group", "64"]
    command += ["--token-ids", args.tokens, "--out", args.whole] + (["--memory", args.memory] if args.memory else [])
    before = peer(chosen[:half])
    seen = watch(command, environment, 0)
    if seen["exit_code"]:
        sys.exit(seen["stderr_tail"])
    after = peer(chosen[half:])
    seconds, kls = before["seconds"] + after["seconds"], before["kl"] + after["kl"]
    loop = statistics.mean(seconds) * grid
    scores = json.loads((args.whole / "map.json").read_text())["metrics"][0]["scores"]
    off = [abs(scores[cell]["value"] / kl - 1) for cell, kl in zip(chosen, kls)]
    ratios = [statistics.mean(part) * grid / seen["seconds"] for part in (before["seconds"], after["seconds"])]
    lines = [
        f"{grid} cells in 3 bits, {count} sequences, {args.threads} threads, the whole scan{' with --memory ' + args.memory if args.memory else ''}",
        f"tomograph, all cells together    {seen['seconds']:8.1f} s   peak {seen['peak_rss_bytes'] / 1e6:.0f} MB",
        f"transformers, one cell at a time {loop:8.1f} s   ({len(chosen)} cells of {grid}: {min(seconds):.1f} to {max(seconds):.1f} s)",
        f"ratio                            {loop / seen['seconds']:8.2f}   (before it {ratios[0]:.2f}, after it {ratios[1]:.2f})",
        f"largest difference of a KL       {max(off):8.1e}",
    ]
    facts = {"loop": seconds, "cells": chosen, "tomograph": seen, "ratio": loop / seen["seconds"], "off": off, "versions": before["versions"]}
    return lines, facts


def spread(args, environment):
    """Interleaved rounds of a few cells on either side, which stand for the grid."""
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
    facts = {
        "sequences": [len(sequences), len(sequences[0])], "cells": args.cells, "loop": args.loop,
        "seconds": {"tomograph": ours, "transformers": loop}, "ratios": ratios, "matmul_shares": shares, "bound": found["bound"],
        "plan": found["plan_of_grid"], "versions": peer["versions"],
    }
    return lines, facts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("--whole", type=pathlib.Path, metavar="OUT", help="scan the whole grid into OUT")
    parser.add_argument("--memory", default="", help="as for `tomograph map`, with --whole")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", type=int, default=30)
    parser.add_argument("--loop", type=int, default=0, help="passes of the loop: 4 a round, 10 with --whole")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    args.loop = args.loop or (10 if args.whole else 4)
    lines, facts = (whole if args.whole else spread)(args, machine.clean_environment(args.threads))
    print("\n".join(lines))
    if args.no_record:
        return
    name = f"{time.strftime('%Y-%m-%d')}-changes" + ("-whole" if args.whole else "") + (f"-{args.memory}" if args.memory else "")
    record = {"label": args.label, "threads": args.threads} | facts | {"machine": machine.facts()}
    folder = ROOT / "benches" / "records"
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    text = f"# A grid of changed cells, {time.strftime('%Y-%m-%d')}\n\n{args.label}\n\n" + "\n".join(f"    {line}" for line in lines) + "\n"
    (folder / f"{name}.md").write_text(text)


if __name__ == "__main__":
    main()
