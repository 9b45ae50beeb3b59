#!/usr/bin/env python3
"""Times tomograph beside PyTorch and weightwatcher on the same weights in the same run, and keeps a record.

    speed.py FOLDER [--rounds 5] [--threads 2] [--only spectral,...] [--label TEXT] [--no-record]

FOLDER holds `model.safetensors` in f32 and `config.json` (see prepare.py). Rounds are interleaved: every round runs every side
of every comparison once, so that a slow minute of the machine hits all of them. The medians count. Run with the
Python that has torch and weightwatcher; build first with
`cargo build --release --workspace --bins --examples`.
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
BINARIES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"

SPECTRAL = "spectral-norm,stable-rank,effective-rank,participation-ratio,mp-excess,spectrum-snr,pl-alpha,pl-alpha-hill"
ERRORS = "err-int4,err-int3,err-int2,err-nf4,err-q4_0,err-nvfp4,err-mxfp4,err-fp8"
# name: our metrics, then per peer task how many times faster we mean to be (goal, aim).
COMPARISONS = {
    "spectral": (SPECTRAL, {"spectra": (1.8, 2.5), "weightwatcher": (4.0, 6.0)}),
    "statistics": ("rms,mean-abs,kurtosis,outlier-share", {"statistics-plain": (10.0, None), "statistics": (10.0, None)}),
    "errors": (ERRORS, {"rounding-errors-plain": (2.0, None), "rounding-errors": (2.0, None)}),
}
# Wall time of the computation, its processor time over all threads, wall time of the whole command.
KINDS = ("compute", "cpu", "whole")
TASKS = {
    "spectra": "torch.linalg.svdvals, f32",
    "weightwatcher": "weightwatcher analyze",
    "statistics-plain": "the same four in torch, one expression each",
    "statistics": "the same four in torch, intermediate results shared, in place",
    "rounding-errors-plain": "int4, int3, int2 in torch, one call each",
    "rounding-errors": "int4, int3, int2 in torch, ranges shared, in place",
}


def timed(command, environment):
    """Wall seconds of a command and its standard output; a failure stops everything, with its own words."""
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return seconds, done.stdout


def run_ours(folder, metrics, threads, environment):
    """Seconds inside the scan, measured in our process, and of the whole command with its files written."""
    _, text = timed([BINARIES / "examples/time_scan", folder, metrics, str(threads)], environment)
    inside = json.loads(text)
    if inside["missing"]:
        sys.exit(f"{inside['missing']} scores are missing: the comparison would be of unequal work")
    with tempfile.TemporaryDirectory() as out:
        whole, _ = timed([BINARIES / "tomograph", "map", folder, "--metric", metrics, "--out", out], environment)
    return {"compute": inside["scan_seconds"], "cpu": inside["scan_cpu_seconds"], "whole": whole}


def run_peer(folder, task, threads, environment):
    """The same two times of the other side."""
    command = [sys.executable, HERE / "peer.py", task, folder / "model.safetensors", "--threads", str(threads)]
    whole, text = timed(command, environment)
    inside = json.loads(text.splitlines()[-1])
    return {"compute": inside["compute_seconds"], "cpu": inside["compute_cpu_seconds"], "whole": whole}


def measure(args):
    """Rounds of everything, interleaved: {comparison: {side: {"compute": [..], "cpu": [..], "whole": [..]}}}."""
    environment = machine.clean_environment(args.threads)
    # Into the page cache, or the first side would pay for the disk.
    (args.folder / "model.safetensors").read_bytes()
    samples = {}
    for number in range(1, args.rounds + 1):
        for name in args.only:
            metrics, peers = COMPARISONS[name]
            runs = {"ours": run_ours(args.folder, metrics, args.threads, environment)}
            runs |= {task: run_peer(args.folder, task, args.threads, environment) for task in peers}
            for side, times in runs.items():
                kept = samples.setdefault(name, {}).setdefault(side, {kind: [] for kind in KINDS})
                for kind, seconds in times.items():
                    kept[kind].append(seconds)
            line = "  ".join(f"{side} {t['compute']:.3f}/{t['whole']:.3f}" for side, t in runs.items())
            print(f"round {number}  {name:12} {line}", file=sys.stderr, flush=True)
    return samples


def verdicts(samples):
    """One row per peer: medians, ratio of the medians, goal, whether it was met."""
    rows = []
    for name, sides in samples.items():
        medians = {side: {k: statistics.median(v) for k, v in times.items()} for side, times in sides.items()}
        for task, (goal, aim) in COMPARISONS[name][1].items():
            ratio = {k: medians[task][k] / medians["ours"][k] for k in KINDS}
            rows.append(
                {
                    "comparison": name,
                    "peer": TASKS[task],
                    "ours_seconds": medians["ours"],
                    "peer_seconds": medians[task],
                    "ratio": ratio,
                    "goal": goal,
                    "aim": aim,
                    "met": ratio["compute"] >= goal,
                }
            )
    return rows


def table(record):
    """The record as Markdown."""
    f = record["facts"]
    lines = [
        f"# Speed beside PyTorch and weightwatcher, {f['date'][:10]}",
        "",
        f"{record['label']}".strip(),
        "",
        f"{f['cpu']}, {f['cores']} cores ({', '.join(f['flags'])}), {f['memory_gib']} GiB, {f['system']}; {f['rustc']}; commit "
        f"{f['commit']}; Python {f['python']}, torch {f['torch']}, weightwatcher {f['weightwatcher']}, scipy {f['scipy']}, "
        f"numpy {f['numpy']}. {record['threads']} threads a side, medians of {record['rounds']} interleaved rounds; load "
        f"average {f['load']:.1f} before and {record['load_after']:.1f} after. Ours includes reading and decoding the weights, theirs does not.",
        "",
        "| | peer | ours, s | peer, s | ratio | goal | met | processor time: ours, s | peer, s | ratio | whole command: ours, s | peer, s | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in record["verdicts"]:
        goal = f"{r['goal']} (aim {r['aim']})" if r["aim"] else f"{r['goal']}"
        verdict = [r["comparison"], r["peer"], *three(r, "compute"), goal, "yes" if r["met"] else "no"]
        lines.append("| " + " | ".join([*verdict, *three(r, "cpu"), *three(r, "whole")]) + " |")
    return "\n".join(lines) + "\n"


def three(row, kind):
    """Ours, theirs, ratio, as text."""
    numbers = row["ours_seconds"][kind], row["peer_seconds"][kind], row["ratio"][kind]
    return [f"{x:.{digits}f}" for x, digits in zip(numbers, (3, 3, 2))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", type=lambda s: s.split(","), default=list(COMPARISONS))
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()

    facts = machine.facts()
    samples = measure(args)
    record = {
        "facts": facts,
        "label": args.label,
        "threads": args.threads,
        "rounds": args.rounds,
        "load_after": os.getloadavg()[0],
        "verdicts": verdicts(samples),
        "samples": samples,
    }
    text = table(record)
    print(text)
    if not args.no_record:
        at = HERE.parent / "records" / f"{facts['date'][:10]}-speed"
        at.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        at.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
