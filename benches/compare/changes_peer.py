#!/usr/bin/env python3
"""The other side of the comparison of changed models: transformers on PyTorch's CPU kernels, one forward pass per changed cell.

    changes_peer.py FOLDER TOKENS.json CELL... [--threads N] [--batch 4] [--zero-points]

FOLDER holds `model.safetensors` in f32 and `config.json` (prepare.py); TOKENS.json is an array of arrays of token numbers, all of one
length; a CELL is its number in the grid, 7 to a layer: q k v o up down gate. For each the weight is rounded to 3 bits in groups of 64
as `time_compare` does (with --zero-points as `quant-kl-int3` does), all sequences run, and the divergence from the original, whose logits are kept, is taken: what a plain loop
over cells has to do. Attention is `sdpa`, under inference_mode, no cache. Prints one JSON object: seconds per cell and KL.
"""

import argparse
import json
import os
import pathlib
import time

for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)

import torch
import torch.nn.functional as F
import transformers

import machine

COLUMNS = [
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj", "mlp.gate_proj",
]


def rounded(weight):
    """Symmetric, 3 bits, groups of 64, ties away from zero."""
    groups = weight.reshape(-1, 64)
    step = groups.abs().amax(dim=1, keepdim=True) / 3
    levels = groups / step
    levels = levels.sign() * (levels.abs() + 0.5).floor()
    return (levels.clamp(-4, 3) * step).reshape(weight.shape)


def rounded_with_zero_points(weight):
    """Asymmetric, 3 bits, groups of 64, ties to even: GPTQ's round to nearest."""
    groups = weight.reshape(-1, 64)
    low, high = groups.amin(dim=1, keepdim=True).clamp(max=0), groups.amax(dim=1, keepdim=True).clamp(min=0)
    step = (high - low) / 7
    zero = (-low / step).round()
    return (((groups / step).round() + zero).clamp(0, 7) - zero).mul(step).reshape(weight.shape)


def logits_of(model, tokens):
    return model(input_ids=tokens, use_cache=False).logits[:, :-1]


def divergence(reference, logits):
    """Sum of KL(reference || logits) over tokens; reference is log-probabilities."""
    return F.kl_div(F.log_softmax(logits, -1), reference, reduction="sum", log_target=True).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("cells", type=int, nargs="+")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--zero-points", action="store_true")
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    tokens = torch.tensor(json.loads(args.tokens.read_text()))
    model = transformers.AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    count = tokens.shape[0] * (tokens.shape[1] - 1)
    seconds, kls = [], []
    rounding = rounded_with_zero_points if args.zero_points else rounded
    with torch.inference_mode():
        references = [F.log_softmax(logits_of(model, part), -1) for part in tokens.split(args.batch)]
        for number, cell in enumerate([args.cells[0], *args.cells]):
            module = model.get_submodule(f"model.layers.{cell // 7}.{COLUMNS[cell % 7]}")
            clock = time.perf_counter()
            kept = module.weight.data
            module.weight.data = rounding(kept)
            parts = zip(tokens.split(args.batch), references)
            kl = sum(divergence(reference, logits_of(model, part)) for part, reference in parts) / count
            module.weight.data = kept
            # The first one warms the libraries up.
            if number > 0:
                seconds.append(time.perf_counter() - clock)
                kls.append(kl)
    print(json.dumps({
        "cells": args.cells, "seconds": seconds, "kl": kls, "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }))


if __name__ == "__main__":
    main()
