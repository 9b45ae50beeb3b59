#!/usr/bin/env python3
"""Times our forward pass beside transformers on PyTorch and llama-bench, in one run, and keeps a record.

    forward.py MODEL.gguf FOLDER TOKENS.json [--rounds 5] [--threads 2] [--llama-bench PATH] [--label TEXT] [--no-record]

FOLDER holds the same weights as f32 safetensors (prepare.py); TOKENS.json is an array of arrays of token ids, all of one length (4 x 512
for the record; `tomograph perplexity --save-token-ids` writes one). Rounds are interleaved: each runs every side once. Ours
includes decoding the weights from the GGUF file; theirs starts with the weights in memory and the libraries warm. llama-bench
computes on the quantized weights with the logits of the last token alone, so it is no equal comparison, but it is what users know.
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
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--llama-bench", type=pathlib.Path)
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    sequences = json.loads(args.tokens.read_text())
    tokens = sum(map(len, sequences))

    seconds = {}
    losses = {}
    for _ in range(args.rounds):
        ours = json.loads(output([BINARIES / "examples/time_forward", args.model, args.tokens, 2, args.threads], environment))
        seconds.setdefault("tomograph f32", []).append(min(ours["seconds"]))
        losses["tomograph f32"] = ours["nll_mean"]
        peer = json.loads(output(
            [sys.executable, HERE / "forward_peer.py", args.folder, args.tokens, "--rounds", 2, "--threads", args.threads],
            environment,
        ))
        for configuration in peer["configurations"]:
            name = f"transformers {configuration['dtype']} batch {configuration['batch']}"
            seconds.setdefault(name, []).append(min(configuration["seconds"]))
            losses[name] = configuration["nll_mean"]
        if args.llama_bench:
            bench = json.loads(output(
                [args.llama_bench, "-m", args.model, "-p", len(sequences[0]), "-n", 0, "-t", args.threads, "-r", 3, "-o", "json"],
                environment,
            ))[0]
            seconds.setdefault("llama-bench pp", []).append(tokens / bench["avg_ts"])

    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ours = medians["tomograph f32"]
    lines = [
        f"{'side':34} {'seconds':>8} {'tokens/s':>9} {'over ours':>9}  NLL",
        *(
            f"{name:34} {m:8.2f} {tokens / m:9.0f} {m / ours:9.2f}  {losses.get(name, float('nan')):.6f}"
            for name, m in medians.items()
        ),
    ]
    print("\n".join(lines))
    if not args.no_record:
        day = time.strftime("%Y-%m-%d")
        record = {
            "label": args.label, "sequences": [len(sequences), len(sequences[0])], "threads": args.threads,
            "seconds": seconds, "nll_mean": losses, "versions": peer["versions"], "machine": machine.facts(),
        }
        folder = ROOT / "benches" / "records"
        (folder / f"{day}-forward.json").write_text(json.dumps(record, indent=1) + "\n")
        text = f"# Forward pass with loss, {day}\n\n{args.label}\n\n" + "\n".join(f"    {line}" for line in lines) + "\n"
        (folder / f"{day}-forward.md").write_text(text)


if __name__ == "__main__":
    main()
