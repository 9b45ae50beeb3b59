#!/usr/bin/env python3
"""`tomograph quantize` beside llama-quantize, on the same model and types, two threads each.

    quantize.py MODEL.gguf LLAMA-QUANTIZE [--imatrix FILE] [--repeats 3] [--label TEXT] [--no-record]

MODEL is an f32, f16 or bf16 file whose cells have a tensor each. One plan per type, all cells stored so where rows are whole blocks (else
in the type of 32 weights that is dealt next), and one of all types. Runs alternate; wall and processor time, best of the repeats. Ours
includes reading the file back; both write to the same folder. Files have to be equal, tensor by tensor, or nothing is kept.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import machine

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tools" / "reference"))

import quantize_peer  # noqa: E402

BINARY = ROOT / "target" / "release" / "tomograph"
MIXED = "q4_0,q5_0,q8_0,q3_k,q4_k,q5_k,q6_k,iq4_xs,iq4_nl"
CASES = {"q4_0": "q4_0", "q8_0": "q8_0", "q4_k": "q4_k,q5_0", "q6_k": "q6_k,q8_0", "iq4_xs": "iq4_xs,iq4_nl", "all types": MIXED}


def timed(command):
    """Wall and processor time, in seconds."""
    environment = machine.clean_environment(2)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def case(model, kinds, args, folder):
    types, plan, ours, theirs = (folder / name for name in ("types.txt", "plan.json", "ours.gguf", "theirs.gguf"))
    quantize_peer.write_types(model, kinds, types)
    quantize_peer.write_plan(model, types, plan)
    imatrix = ["--imatrix", args.imatrix] if args.imatrix else []
    us = [BINARY, "quantize", model, plan, "-o", ours, "--force", "--threads", "2", *imatrix]
    # The base is a type that is asked for nowhere; the embedding stays as it is.
    tensors = quantize_peer.gguf.GGUFReader(model).tensors
    kept = next(t.tensor_type.name.lower() for t in tensors if t.name == "token_embd.weight")
    them = [args.llama_quantize, *imatrix, "--tensor-type-file", types, "--token-embedding-type", kept, model, theirs, "Q5_1", "2"]
    runs = [(timed(us), timed(them)) for _ in range(args.repeats)]
    if quantize_peer.compare(ours, theirs):
        sys.exit("the files differ: no time is kept")
    best = [[min(run[who][clock] for run in runs) for clock in (0, 1)] for who in (0, 1)]
    return {"ours": best[0], "llama-quantize": best[1], "ratio": [round(b / a, 2) for a, b in zip(*best)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("llama_quantize")
    parser.add_argument("--imatrix")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--label", default="")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = {name: case(args.model, kinds, args, pathlib.Path(folder)) for name, kinds in CASES.items()}
    for name, result in results.items():
        print(f"{name:10} wall, processor: ours {result['ours']}, llama-quantize {result['llama-quantize']}, ratio {result['ratio']}")
    if not args.no_record:
        record = {
            "label": args.label,
            "what": "seconds of wall and processor time to quantize a model with two threads, and how many times faster ours is",
            "model": os.path.basename(args.model),
            "imatrix": bool(args.imatrix),
            "facts": machine.facts(),
            "results": results,
        }
        path = HERE.parent / "records" / f"{time.strftime('%Y-%m-%d')}-quantize.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(path)


if __name__ == "__main__":
    main()
