#!/usr/bin/env python3
"""The other side of the forward comparison: transformers on PyTorch's CPU kernels, forward with loss.

    forward_peer.py FOLDER TOKENS.json [--rounds 5] [--threads N] [--batch 1 4] [--dtype float32 bfloat16]

FOLDER holds `model.safetensors` in f32 and `config.json` (prepare.py); TOKENS.json is an array of arrays of token numbers, all of one
length, as `tomograph ... --save-token-ids` or `tools/reference/forward_real.py --text` writes it. Each dtype and batch is a
configuration: one warm-up round, then N rounds of all sequences; rounds of configurations are interleaved. Attention is `sdpa`, under
inference_mode, no cache; the loss is float32 cross entropy over float32 logits of tokens 1..T-1 (which is itself some 3e-6 off).
Prints one JSON object: seconds of wall and processor time per round, mean loss, facts of the machine.
"""

import argparse
import gc
import json
import os
import pathlib
import resource
import statistics
import time

for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)

import torch
import torch.nn.functional as F
import transformers

import machine


def load(folder, dtype):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
    return model.eval()


def loss_sum(model, tokens):
    """Sum of the token losses of a batch [B, T]."""
    logits = model(input_ids=tokens, use_cache=False).logits[:, :-1].float()
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="sum").item()


def one_round(model, tokens, batch):
    """Wall seconds, processor seconds and the mean loss of one pass over all sequences."""
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        total = sum(loss_sum(model, part) for part in tokens.split(batch))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, cpu, total / (tokens.shape[0] * (tokens.shape[1] - 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4], help="sequences per forward call")
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    tokens = torch.tensor(json.loads(args.tokens.read_text()))

    models = {dtype: load(args.folder, getattr(torch, dtype)) for dtype in args.dtype}
    gc.collect()
    configurations = [(dtype, batch) for dtype in args.dtype for batch in args.batch]
    times = {key: {"wall": [], "cpu": []} for key in configurations}
    losses = {}
    for round_ in range(-1, args.rounds):
        for dtype, batch in configurations:
            wall, cpu, losses[dtype, batch] = one_round(models[dtype], tokens, batch)
            # Round -1 warms the libraries up.
            if round_ >= 0:
                times[dtype, batch]["wall"].append(round(wall, 4))
                times[dtype, batch]["cpu"].append(round(cpu, 4))

    print(json.dumps({
        "task": "forward with loss, transformers on PyTorch, CPU",
        "sequences": list(tokens.shape),
        "threads": torch.get_num_threads(),
        "configurations": [
            {
                "dtype": dtype, "batch": batch, "attention": "sdpa", "nll_mean": losses[dtype, batch],
                "seconds": times[dtype, batch]["wall"], "cpu_seconds": times[dtype, batch]["cpu"],
                "median": statistics.median(times[dtype, batch]["wall"]), "best": min(times[dtype, batch]["wall"]),
            }
            for dtype, batch in configurations
        ],
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "machine": machine.facts(),
    }))


if __name__ == "__main__":
    main()
