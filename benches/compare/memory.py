#!/usr/bin/env python3
"""Peak memory and time of a scan: runs `tomograph map` on a checkpoint and watches the process.

    memory.py FOLDER [--metric IDS] [--threads 2] [--limit-mb N] [--label TEXT] [--no-record] [--timeout SECONDS]

Peak resident memory is the kernel's own count (`ru_maxrss`, what `/usr/bin/time -v` prints). It includes pages of the mapped
file that happen to be in memory; the share that is the program's own (anonymous) is sampled from /proc beside it.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import machine
from speed import BINARIES, HERE


def kib_of(status, field):
    """A `Vm…`/`Rss…` field of /proc/PID/status, in KiB."""
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found.group(1)) if found else 0


def watch(command, environment, timeout):
    """Runs the command: its exit code, times and peaks."""
    start = time.perf_counter()
    # A file, not a pipe: a full pipe would stop the process that is being measured.
    errors = tempfile.TemporaryFile()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
    anonymous = mapped = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        try:
            text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            text = ""
        anonymous = max(anonymous, kib_of(text, "RssAnon"))
        mapped = max(mapped, kib_of(text, "RssFile"))
        if timeout and time.perf_counter() - start > timeout:
            process.send_signal(signal.SIGINT)
            timeout = 0
        time.sleep(0.02)
    code = os.waitstatus_to_exitcode(status)
    # wait4 has taken the exit status; Popen must not look for it again.
    process.returncode = code
    errors.seek(0)
    error = errors.read().decode(errors="replace")
    return {
        "exit_code": code,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_rss_bytes": usage.ru_maxrss * 1024,
        "peak_anonymous_bytes": anonymous * 1024,
        "peak_mapped_bytes": mapped * 1024,
        "stderr_tail": error[-500:],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--metric", default="", help="as for `tomograph map`; everything by default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit-mb", type=float, default=0)
    parser.add_argument("--timeout", type=float, default=0, help="interrupt after this many seconds")
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()

    facts = machine.facts()
    size = sum(f.stat().st_size for f in args.folder.glob("*.safetensors"))
    with tempfile.TemporaryDirectory() as out:
        command = [BINARIES / "tomograph", "map", args.folder, "--out", out]
        command += ["--metric", args.metric] if args.metric else []
        seen = watch(command, machine.clean_environment(args.threads), args.timeout)
    mb = seen["peak_rss_bytes"] / 1e6
    result = {"checkpoint_bytes": size, "label": args.label, "metric": args.metric or "every metric"} | seen
    result["met"] = not args.limit_mb or mb < args.limit_mb
    print(
        f"{args.label or args.folder.name}: exit {seen['exit_code']}, {seen['seconds']:.1f} s, peak {mb:.0f} MB "
        f"(own {seen['peak_anonymous_bytes'] / 1e6:.0f} MB, mapped {seen['peak_mapped_bytes'] / 1e6:.0f} MB), "
        f"checkpoint {size / 1e9:.2f} GB{'' if result['met'] else f', limit {args.limit_mb:.0f} MB NOT met'}"
    )
    if seen["exit_code"]:
        print(seen["stderr_tail"], file=sys.stderr)
    if not args.no_record and not seen["exit_code"]:
        append(facts, result | {"limit_mb": args.limit_mb, "threads": args.threads})
    sys.exit(seen["exit_code"] or not result["met"])


def append(facts, result):
    """Adds the run to the day's record."""
    at = HERE.parent / "records" / f"{facts['date'][:10]}-memory.json"
    runs = json.loads(at.read_text())["runs"] if at.exists() else []
    at.write_text(json.dumps({"runs": [*runs, {"facts": facts} | result]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
