#!/usr/bin/env python3
"""Times our reverse pass beside transformers on PyTorch, in one run, with the peak memory of each, and keeps a record.

    backward.py FOLDER TOKENS.json [--rounds 3] [--repeats 2] [--threads 2] [--modes cells weights parameters] [--batch 1 4]
                [--ours-modes cells weights] [--label TEXT] [--no-record] [--ours COMMAND ...]

FOLDER holds the weights as f32 safetensors (prepare.py); TOKENS.json is an array of arrays of token ids, all of one length (4 x 512
for the record). Modes are those of backward_peer.py. COMMAND (last on the line) is ours, `time_reverse MODEL TOKENS.json`; the mode is put
behind it, or in the place of `{mode}`. It prints a JSON object whose `seconds` are wall times of rounds over all sequences;
`nll_mean` and `norm` (see backward_peer.py) are shown when they are there.

Rounds are interleaved: each starts every side once, in a process of its own. Ours includes decoding the weights from the file in every
round, once per layer and direction; theirs starts with the weights in memory, and a warm-up is not counted. Times are medians
over all rounds and their repeats; peak memory is the kernel's count for the process (ru_maxrss), the largest of all rounds.
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


def run(command, environment):
    """What a process printed as JSON on its last line, and its peak resident memory in MB."""
    command = [str(c) for c in command]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        # wait4 has taken the exit status; Popen must not look for it again.
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        text, trouble = out.read().decode(errors="replace"), errors.read().decode(errors="replace")
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed ({process.returncode}):\n{text[-2000:]}{trouble[-4000:]}")
    try:
        found = json.loads(text.strip().splitlines()[-1])
        assert found["seconds"]
    except (IndexError, ValueError, KeyError, TypeError, AssertionError):
        sys.exit(f"{' '.join(command)} printed no JSON object with `seconds` on its last line:\n{text[-2000:]}")
    return found, usage.ru_maxrss // 1024


def sides(args):
    """(name, mode, command) of everything that is timed."""
    out = []
    if args.ours:
        for mode in args.ours_modes:
            placed = any("{mode}" in c for c in args.ours)
            out.append(("tomograph f32", mode, [c.replace("{mode}", mode) for c in args.ours] + ([] if placed else [mode])))
    for mode in args.modes:
        for batch in args.batch if mode == "cells" else [1]:
            command = [sys.executable, HERE / "backward_peer.py", args.folder, args.tokens, mode, "--batch", batch,
                       "--rounds", args.repeats, "--threads", args.threads]
            out.append((f"transformers float32 batch {batch}", mode, command))
    return out


def table(results, tokens):
    ours = {r["mode"]: r["median"] for r in results if r["side"].startswith("tomograph")}
    lines = [f"{'side':32} {'gradients of':12} {'seconds':>8} {'tokens/s':>9} {'over ours':>9} {'peak MB':>8} {'NLL':>9} {'norm':>11}"]
    for r in results:
        over = f"{r['median'] / ours[r['mode']]:.2f}" if r["mode"] in ours else "-"
        shown = lambda key, form: format(r[key], form) if r[key] is not None else "-"
        lines.append(
            f"{r['side']:32} {r['mode']:12} {r['median']:8.2f} {tokens / r['median']:9.0f} {over:>9} {r['peak_resident_mb']:8} "
            f"{shown('nll_mean', '.6f'):>9} {shown('norm', '.6g'):>11}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2, help="rounds of the other side inside a process")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--modes", nargs="+", default=["cells", "weights", "parameters"], choices=["cells", "weights", "parameters"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4], help="sequences at once, for `cells`")
    parser.add_argument("--ours-modes", nargs="+", default=["cells", "weights"])
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--ours", nargs=argparse.REMAINDER, help="our command, last on the line")
    args = parser.parse_args()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")} | {"RAYON_NUM_THREADS": str(args.threads)}
    sequences = json.loads(args.tokens.read_text())
    lengths = set(map(len, sequences))
    if len(lengths) != 1:
        sys.exit(f"{args.tokens} has sequences of {len(lengths)} lengths; all have to be equally long")
    tokens = sum(map(len, sequences))

    results = [{"side": side, "mode": mode, "command": command, "seconds": [], "peak_resident_mb": 0} for side, mode, command in sides(args)]
    versions = {}
    for _ in range(args.rounds):
        for r in results:
            found, peak = run(r["command"], environment)
            r["seconds"].append(found["seconds"])
            r["peak_resident_mb"] = max(r["peak_resident_mb"], peak)
            r |= {key: found.get(key) for key in ("nll_mean", "norm")}
            versions |= found.get("versions", {})
    for r in results:
        r["median"] = statistics.median(s for each in r["seconds"] for s in each)
        # Paths of the machine do not belong into a record.
        del r["command"]

    lines = table(results, tokens)
    print("\n".join(lines))
    if not args.no_record:
        day = time.strftime("%Y-%m-%d")
        record = {
            "label": args.label, "sequences": [len(sequences), *lengths], "threads": args.threads, "rounds": args.rounds,
            "sides": results, "versions": versions, "machine": machine.facts(),
        }
        folder = ROOT / "benches" / "records"
        (folder / f"{day}-backward.json").write_text(json.dumps(record, indent=1) + "\n")
        text = f"# Reverse pass, {day}\n\n{args.label}\n\n" + "\n".join(f"    {line}" for line in lines) + "\n"
        (folder / f"{day}-backward.md").write_text(text)


if __name__ == "__main__":
    main()
