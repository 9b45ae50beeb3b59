#!/usr/bin/env python3
"""The other side of the causal comparison: one hooked pass of transformers per cell, on PyTorch's CPU kernels.

    causal_peer.py FOLDER TOKENS.json [--cells 10] [--threads N] [--batch 1 4] [--bits 3] [--group 128]

FOLDER holds the weights as f32 safetensors (prepare.py); TOKENS.json is an array of arrays of token ids, all of one length. Cells are spread
over the grid. Changed weights are made beforehand and are not timed; log-probabilities of the unchanged model are kept in memory, as far as
that goes the fastest way there is. A hook puts out what the changed matrix would. Timed for every cell and batch size: the pass with logits,
and the pass with KL(original || changed) and NLL per token. Prints one JSON object.
"""

import argparse
import json
import os
import pathlib
import sys
import time

for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)

import numpy as np
import torch
import torch.nn.functional as F
import transformers

import machine

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "reference"))
from golden_formats import integer

MODULES = {
    "attn.q": "self_attn.q_proj", "attn.k": "self_attn.k_proj", "attn.v": "self_attn.v_proj", "attn.o": "self_attn.o_proj",
    "mlp.up": "mlp.up_proj", "mlp.down": "mlp.down_proj", "mlp.gate": "mlp.gate_proj",
}


def spread(layers, count):
    """`count` cells, evenly over the grid."""
    grid = [(layer, component) for layer in range(layers) for component in MODULES]
    return [grid[int((at + 0.5) * len(grid) / count)] for at in range(count)]


def log_probabilities(model, batch):
    return torch.log_softmax(model(input_ids=batch, use_cache=False).logits[:, :-1], -1)


def damage(model, tokens, batch, original):
    """Mean KL and NLL per predicted token."""
    kl = nll = 0.0
    for part, before in zip(tokens.split(batch), original.split(batch)):
        after = log_probabilities(model, part)
        kl += F.kl_div(after, before, reduction="sum", log_target=True).item()
        nll -= after.gather(2, part[:, 1:, None]).sum().item()
    predicted = tokens.shape[0] * (tokens.shape[1] - 1)
    return kl / predicted, nll / predicted


def logits_alone(model, tokens, batch):
    for part in tokens.split(batch):
        model(input_ids=part, use_cache=False)


def timed(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4], help="sequences per forward call")
    parser.add_argument("--bits", type=int, default=3)
    parser.add_argument("--group", type=int, default=128)
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    tokens = torch.tensor(json.loads(args.tokens.read_text()))
    model = transformers.AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    found = []
    with torch.inference_mode():
        original = torch.cat([log_probabilities(model, part) for part in tokens.split(args.batch[0])])
        for layer, component in spread(len(model.model.layers), args.cells):
            module = model.model.layers[layer].get_submodule(MODULES[component])
            weight = module.weight.numpy().astype(np.float64)
            changed = torch.from_numpy(integer(weight, args.bits, args.group)).float()
            hook = module.register_forward_hook(lambda m, inputs, out, w=changed: F.linear(inputs[0], w, m.bias))
            for batch in args.batch:
                alone, _ = timed(logits_alone, model, tokens, batch)
                whole, (kl, nll) = timed(damage, model, tokens, batch, original)
                found.append({"layer": layer, "component": component, "batch": batch, "kl": kl, "nll": nll,
                              "seconds_logits": alone, "seconds_kl": whole})
            hook.remove()
    print(json.dumps({
        "grid": len(model.model.layers) * len(MODULES), "threads": torch.get_num_threads(), "cells": found,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }))


if __name__ == "__main__":
    main()
