"""What Python costs: a scan by the program beside the same scan by `tomograph.scan`, interleaved.

    python benches/compare/python_overhead.py MODEL [--metric all] [--runs 9] [--program target/release/tomograph]

Python has to have the release wheel installed. Four ratios, Python over the program, with their spread over the runs:

command   `python -m tomograph map …` beside the program: the same work, files and pictures included, and an interpreter to start
cpu       the same in seconds of processor time, which other work on the machine disturbs less
scan      the scan alone, as both report it in the map's provenance: what the binding costs while the scan runs
whole     from a call to numbers: `tomograph map MODEL --out FOLDER` writes tables, a report and pictures, `tomograph.scan(MODEL)` returns a map
          and an array; so Python is not charged for pictures, nor the program for starting an interpreter
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: One scan in a fresh interpreter, as the program is a fresh process.
CALL = """
import json, sys, time
import tomograph
began = time.perf_counter()
map = tomograph.scan(sys.argv[1], metrics=sys.argv[2])
map.array(map.metrics[0])
print(json.dumps({"scan": map.provenance["seconds"], "whole": time.perf_counter() - began}))
"""


def command(words: list[str], model: str, metric: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        began, used = time.perf_counter(), processor_seconds()
        subprocess.run([*words, "map", model, "--metric", metric, "--out", folder], check=True, capture_output=True)
        whole, cpu = time.perf_counter() - began, processor_seconds() - used
        return {"scan": json.loads(Path(folder, "map.json").read_text())["provenance"]["seconds"], "whole": whole, "cpu": cpu}


def processor_seconds() -> float:
    """Of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def by_python(model: str, metric: str) -> dict[str, float]:
    ran = subprocess.run([sys.executable, "-c", CALL, model, metric], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--metric", default="all")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--program", default="target/release/tomograph")
    options = parser.parse_args()
    ratios: dict[str, list[float]] = {"command": [], "cpu": [], "scan": [], "whole": []}
    times: dict[str, list[float]] = {name: [] for name in ratios}
    sides = {
        "program": lambda: command([options.program], options.model, options.metric),
        "script": lambda: command([sys.executable, "-m", "tomograph"], options.model, options.metric),
        "python": lambda: by_python(options.model, options.metric),
    }
    # The first of either warms the page cache and the baselines of random matrices.
    for run in range(options.runs + 1):
        # Whoever goes first changes from run to run.
        order = list(sides)[run % 3 :] + list(sides)[: run % 3]
        took = {side: sides[side]() for side in order}
        if not run:
            continue
        for name, side, what in (("command", "script", "whole"), ("cpu", "script", "cpu"), ("scan", "python", "scan"), ("whole", "python", "whole")):
            ratios[name].append(took[side][what] / took["program"][what])
            times[name].append(took["program"][what])
    for name, of in ratios.items():
        middle, low, high = statistics.median(of), min(of), max(of)
        print(f"{name:<8} program {statistics.median(times[name]):.3f} s; Python / program {middle:.4f} [{low:.4f}, {high:.4f}] over {len(of)} runs")


if __name__ == "__main__":
    main()
