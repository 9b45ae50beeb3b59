#!/usr/bin/env python3
"""Times the linear metrics of a change beside `cat` of the same files and beside PyTorch, in one interleaved run.

    delta.py TUNED BASE [--rounds 5] [--threads 2] [--label TEXT] [--no-record]

TUNED and BASE are folders with one `model.safetensors` each, which fit in the page cache together:

    cargo run --release -p tomo-phantom --example shaped -- /tmp/pair/base like-1.5b
    cargo run --release -p tomo-phantom --example shaped -- /tmp/pair/tuned like-1.5b --nudge 2e-5
    cargo build --release -p tomo-metrics --example time_scan

`cat` reads whole files; we and PyTorch read the cells (85 % of them), so rates are bytes read over seconds. Ours is the whole scan
including the opening of both files.
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
from speed import BINARIES, timed

HERE = pathlib.Path(__file__).resolve().parent
LINEAR = (
    "delta-relative,delta-scale,delta-direction,delta-cosine,update-density,update-density-tol,update-density-bf16,"
    "density-lower-bound,base-rms,sign-flips"
)
SHARE_GOAL, TORCH_GOAL, PEAK_GOAL_MB = 0.60, 5.0, 500


def cat(files):
    """Seconds that `cat` of the files to /dev/null takes."""
    start = time.perf_counter()
    subprocess.run(["cat", *files], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure(args):
    """Interleaved rounds of all three sides."""
    environment = machine.clean_environment(args.threads)
    files = [folder / "model.safetensors" for folder in (args.tuned, args.base)]
    size = sum(f.stat().st_size for f in files)
    cat(files)  # into the page cache, or the first side would pay for the disk
    rounds = []
    for number in range(args.rounds):
        before = cat(files)
        ours = json.loads(timed([BINARIES / "examples/time_scan", args.tuned, LINEAR, str(args.threads), args.base], environment)[1])
        after = cat(files)
        peer = [sys.executable, HERE / "delta_peer.py", *files, "--threads", str(args.threads)]
        theirs = json.loads(timed(peer, environment)[1])
        if ours["missing"] or ours["cells"] != theirs["cells"]:
            sys.exit("the comparison would be of unequal work")
        for key, value in theirs["means"].items():
            # PyTorch sums in float32.
            if abs(value - ours["means"][key]) > 1e-3 * abs(value) + 1e-9:
                sys.exit(f"{key}: {ours['means'][key]} here, {value} there")
        one = {
            "cat_gb_per_second": size / min(before, after) / 1e9,
            "ours_seconds": ours["open_seconds"] + ours["scan_seconds"],
            "ours_gb_per_second": ours["cell_bytes"] / (ours["open_seconds"] + ours["scan_seconds"]) / 1e9,
            "ours_peak_mb": ours["peak_bytes"] / 1e6,
            "torch_seconds": theirs["compute_seconds"],
        }
        rounds.append(one | {"bytes": ours["cell_bytes"]})
        print(f"round {number + 1}  " + "  ".join(f"{k} {v:.3g}" for k, v in one.items()), file=sys.stderr, flush=True)
    return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tuned", type=pathlib.Path)
    parser.add_argument("base", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()

    facts = machine.facts()
    rounds = measure(args)
    median = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    # Round by round: a slow minute of the machine hits both sides.
    share = statistics.median(r["ours_gb_per_second"] / r["cat_gb_per_second"] for r in rounds)
    faster = statistics.median(r["torch_seconds"] / r["ours_seconds"] for r in rounds)
    verdict = {
        "share_of_cat": {"is": share, "goal": SHARE_GOAL, "met": share >= SHARE_GOAL},
        "times_faster_than_torch": {"is": faster, "goal": TORCH_GOAL, "met": faster >= TORCH_GOAL},
        "peak_mb": {
            "is": max(r["ours_peak_mb"] for r in rounds),
            "goal": PEAK_GOAL_MB,
            "met": all(r["ours_peak_mb"] < PEAK_GOAL_MB for r in rounds),
        },
    }
    record = {
        "facts": facts,
        "label": args.label,
        "threads": args.threads,
        "load_after": os.getloadavg()[0],
        "verdict": verdict,
        "median": median,
        "rounds": rounds,
    }
    text = json.dumps(record, indent=1) + "\n"
    print(text)
    if not args.no_record:
        (HERE.parent / "records" / f"{facts['date'][:10]}-delta.json").write_text(text)


if __name__ == "__main__":
    main()
