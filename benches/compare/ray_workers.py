"""Two workers of one core on Ray against one, on SmolLM2: the same map as one process makes, and how much sooner; then with a worker killed
three times over.

    python benches/compare/ray_workers.py MODEL.gguf [--record STEM]

Takes the wheel with ray. Weight, gradient and causal scans; each is timed with one worker and with two in turn, ROUNDS times, the cluster
being up already. The machine should be quiet and have two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import threading
import time
from pathlib import Path

import ray

import tomograph
import tomograph.ray

ROUNDS = 3
SCANS = {
    "weights": {"metrics": ["weights", "error", "stable-rank"]},
    "gradients": {"metrics": ["fisher", "predicted-kl-int4"], "tokens": 1024, "sequence": 64, "draws": 6},
    "causal": {"metrics": ["quant-kl-int3"], "exact": True, "tokens": 96, "sequence": 32},
}


def workers() -> list[int]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cmdline").read_bytes().startswith(b"ray::_part"):
                found.append(int(process.name))
        except OSError:
            pass
    return found


def nap() -> None:
    time.sleep(0.3)


def kill_three(over: threading.Event, killed: list[int]) -> None:
    while len(killed) < 3 and not over.is_set():
        time.sleep(1.5)
        for pid in workers()[:1]:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--record", help="writes STEM.json and STEM.md")
    asked = parser.parse_args()
    rows = []
    for name, options in SCANS.items():
        alone = tomograph.scan(asked.model, threads=1, **options)
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(ROUNDS):
            for count in (1, 2):
                ray.init(num_cpus=count, include_dashboard=False, log_to_driver=False, logging_level="error")
                # Workers are there before the clock runs, as on any cluster that is in use.
                ray.get([ray.remote(num_cpus=1)(nap).remote() for _ in range(count)])
                started = time.monotonic()
                made = tomograph.ray.scan(asked.model, shards=6, **options)
                seconds[count].append(time.monotonic() - started)
                assert made.table().equals(alone.table()), name
                ray.shutdown()
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
        killed: list[int] = []
        over = threading.Event()
        killer = threading.Thread(target=kill_three, args=(over, killed))
        killer.start()
        made = tomograph.ray.scan(asked.model, shards=6, retries=9, **options)
        over.set()
        killer.join()
        same = made.table().equals(alone.table())
        ray.shutdown()
        ratios = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
        rows.append({"scan": name, "one": seconds[1], "two": seconds[2], "ratios": ratios, "killed": len(killed), "same_after": same})
        print(json.dumps(rows[-1]), flush=True)
    lines = ["| scan | one worker, s | two workers, s | sooner | killed, and the same map |", "|:--|--:|--:|--:|:--|"]
    for row in rows:
        one, two = (statistics.median(row[key]) for key in ("one", "two"))
        spread = f"{min(row['ratios']):.2f} to {max(row['ratios']):.2f}"
        lines.append(
            f"| {row['scan']} | {one:.1f} | {two:.1f} | {statistics.median(row['ratios']):.2f}x ({spread}) | "
            f"{row['killed']} times: {'yes' if row['same_after'] else 'NO'} |"
        )
    print("\n".join(lines))
    if asked.record:
        Path(asked.record + ".json").write_text(json.dumps({"rounds": ROUNDS, "scans": rows}, indent=1) + "\n")
        Path(asked.record + ".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
