#!/usr/bin/env python3
"""The other side of the comparison of reverse passes: transformers on PyTorch's CPU kernels, float32, autograd.

    backward_peer.py FOLDER TOKENS.json MODE [--batch 1] [--rounds 2] [--threads N]

FOLDER and TOKENS.json as for forward_peer.py. The loss is the sum of the token losses. MODE says what is differentiated:

    cells        the outputs of all linear maps in layers: weights are frozen, the graph starts at the embeddings' output
    weights      the weights of these maps, sequence by sequence; G (the sum) and F (the sum of squares, Fisher's diagonal) are kept
    parameters   the same of every parameter, embedding and head included

One process is one mode, so that its peak memory is its own. A warm-up on the first sequence, then rounds over all of them. Attention is
`sdpa`. Prints one JSON object; `norm` is sqrt(sum ||g||^2) over sequences and what was differentiated, to see that two programs did the same.
"""

import argparse
import json
import math
import os
import pathlib
import time

for _name in [n for n in os.environ if n.startswith("OPENBLAS_")]:
    os.environ.pop(_name)

import torch
import torch.nn.functional as F
import transformers


def maps_of(model):
    """The linear maps inside the layers."""
    return [m for m in model.model.layers.modules() if isinstance(m, torch.nn.Linear)]


def loss_sum(model, tokens):
    logits = model(input_ids=tokens, use_cache=False).logits[:, :-1].float()
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="sum")


def square(tensors):
    return sum(t.square().sum(dtype=torch.float64).item() for t in tensors)


class Outputs:
    """Gradients of the maps' outputs, of a batch at once."""

    def __init__(self, model):
        self.model, self.kept = model, []
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        model.get_input_embeddings().register_forward_hook(lambda m, args, out: out.requires_grad_())
        for module in maps_of(model):
            module.register_forward_hook(lambda m, args, out: self.kept.append(out))

    def run(self, tokens):
        loss = loss_sum(self.model, tokens)
        kept, self.kept = self.kept, []
        return loss.item(), square(torch.autograd.grad(loss, kept))


class Weights:
    """Gradients of weights, their sum and the sum of their squares; a batch has to be one sequence."""

    def __init__(self, model, every):
        self.model = model
        for parameter in model.parameters():
            parameter.requires_grad_(every)
        self.watched = list(model.parameters()) if every else [m.weight for m in maps_of(model)]
        for parameter in self.watched:
            parameter.requires_grad_(True)
        self.total, self.fisher = ([torch.zeros_like(p) for p in self.watched] for _ in range(2))
        model.get_input_embeddings().register_forward_hook(lambda m, args, out: out if every else out.requires_grad_())

    def run(self, tokens):
        loss = loss_sum(self.model, tokens)
        found = torch.autograd.grad(loss, self.watched)
        with torch.no_grad():
            for g, total, fisher in zip(found, self.total, self.fisher):
                total.add_(g)
                fisher.addcmul_(g, g)
        return loss.item(), square(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("mode", choices=["cells", "weights", "parameters"])
    parser.add_argument("--batch", type=int, default=1, help="sequences at once, for `cells`")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    if args.mode != "cells" and args.batch != 1:
        parser.error("gradients of weights are taken sequence by sequence")
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    tokens = torch.tensor(json.loads(args.tokens.read_text()))
    model = transformers.AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    side = Outputs(model) if args.mode == "cells" else Weights(model, args.mode == "parameters")
    side.run(tokens[:1])
    seconds = []
    for _ in range(args.rounds):
        start = time.perf_counter()
        found = [side.run(part) for part in tokens.split(args.batch)]
        seconds.append(round(time.perf_counter() - start, 4))
    print(json.dumps({
        "seconds": seconds,
        "nll_mean": sum(loss for loss, _ in found) / (tokens.shape[0] * (tokens.shape[1] - 1)),
        "norm": math.sqrt(sum(norm for _, norm in found)),
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }))


if __name__ == "__main__":
    main()
