#!/usr/bin/env python3
"""A causal map beside the loop of hooked transformers passes that it replaces, in one run: time, scores, memory, and what racing saves.

    causal.py MODEL.gguf FOLDER TOKENS.json TOMOGRAPH [--cells 10] [--threads 2] [--memory 1GiB] [--label TEXT] [--no-record]

FOLDER holds the same weights as f32 safetensors (prepare.py); TOKENS.json is an array of arrays of token ids, all of one length (16 x 256 for the
record). Ours maps the whole grid (quant-kl-int3, decoding of the GGUF file included), once with --exact and once with racing; theirs runs
--cells cells before and as many after, in the batch size that is faster, and is extrapolated to the grid.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import machine

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
METRIC = "quant-kl-int3"


def run(command, environment, **options):
    done = subprocess.run([str(c) for c in command], env=environment, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{(done.stderr or '')[-4000:]}")
    return done


def ours(args, environment, *options):
    """Seconds, peak memory in MB, and the map's scores."""
    with tempfile.TemporaryDirectory() as folder:
        command = [args.tomograph, "map", args.model, "--metric", METRIC, "--token-ids", args.tokens, "--threads", args.threads,
                   "--out", folder, *options]
        start = time.perf_counter()
        run(command, environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        seconds = time.perf_counter() - start
        found = json.loads((pathlib.Path(folder) / "map.json").read_text())
    scores = {(c["layer"], c["component"]): s["value"]
              for c, s in zip(found["grid"]["cells"], next(m for m in found["metrics"] if m["id"] == METRIC)["scores"])}
    return {"options": [str(o) for o in options], "seconds": seconds,
            "peak_resident_mb": found["provenance"]["peak_rss_bytes"] / 1e6}, scores


def theirs(args, environment):
    peer = [sys.executable, HERE / "causal_peer.py", args.folder, args.tokens, "--cells", args.cells, "--threads", args.threads]
    return json.loads(run(peer, environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout)


def top(scores, count):
    return set(sorted(scores, key=lambda cell: -scores[cell])[:count])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("tomograph", type=pathlib.Path)
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory", help="a further exact scan within this budget")
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    environment = machine.clean_environment(args.threads)
    sequences = json.loads(args.tokens.read_text())

    peers = [theirs(args, environment)]
    exact, scores = ours(args, environment, "--exact")
    peers.append(theirs(args, environment))
    raced, quick = ours(args, environment)
    budgeted = ours(args, environment, "--exact", "--memory", args.memory)[0] if args.memory else None

    cells = [cell for peer in peers for cell in peer["cells"]]
    loops = {}
    for what in ("seconds_logits", "seconds_kl"):
        by_batch = {b: statistics.median(c[what] for c in cells if c["batch"] == b) for b in {c["batch"] for c in cells}}
        batch = min(by_batch, key=by_batch.get)
        loops[what] = {"batch": batch, "one_pass": by_batch[batch], "grid": by_batch[batch] * peers[0]["grid"]}
    difference = max(abs(scores[c["layer"], c["component"]] - c["kl"]) for c in cells)
    tenth = len(scores) // 10
    result = {
        "sequences": [len(sequences), len(sequences[0])], "threads": args.threads, "exact": exact, "raced": raced, "budgeted": budgeted,
        "loop_with_kl": loops["seconds_kl"], "loop_with_logits_alone": loops["seconds_logits"],
        "times_faster_than_the_loop_with_kl": loops["seconds_kl"]["grid"] / exact["seconds"],
        "times_faster_than_the_loop_with_logits_alone": loops["seconds_logits"]["grid"] / exact["seconds"],
        "largest_difference_from_the_loop_in_nats": difference,
        "racing_times_faster": exact["seconds"] / raced["seconds"],
        "racing_finds_of_the_highest_tenth": f"{len(top(scores, tenth) & top(quick, tenth))} of {tenth}",
    }
    text = json.dumps(result, indent=1)
    print(text)
    if not args.no_record:
        day = time.strftime("%Y-%m-%d")
        record = {"what": "causal map beside the loop it replaces", "script": "benches/compare/causal.py", "label": args.label,
                  **result, "versions": peers[0]["versions"], "machine": machine.facts()}
        (ROOT / "benches" / "records" / f"{day}-causal.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
