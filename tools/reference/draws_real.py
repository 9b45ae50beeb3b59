#!/usr/bin/env python3
"""SmolLM2 from its GGUF file: what drawn labels say of the change of every cell, draw by draw, beside the KL that was measured.

    draws_real.py MODEL.gguf KL_INT4.json [--draws 24]     writes fixtures/golden/smollm2-draws.safetensors

`u.intN` `[210, draws, 4]`: sum over all tokens of a sequence of c_t = h_t . (dW x_t), h_t = dE/dy_t, E the sum of the negative log likelihoods
of labels drawn from the model (backward_real.py). `v.intN`: the sum over blocks of 8 neighbouring tokens of the square of the sum of c_t
in the block. `kl.intN` `[210]`: the KL that was measured with that cell alone replaced, nats per predicted token: of int3 from
smollm2-backward.json, of int4 from a list made by `measured_kl` of backward_real.py in the same way. The first draws are those of
smollm2-labels.json, the rest torch.multinomial's from seed 777. Asymmetric groups of 64 along a row, 508 predicted tokens.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

from backward_real import Ends, cells_of, draw_labels, forward, nll_sums
from forward_real import GOLDEN, linear, load
from golden_formats import integer
from importlib.metadata import version

BITS = (4, 3)
BLOCK = 8
SEED = 777


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("kl_int4", type=pathlib.Path)
    parser.add_argument("--draws", type=int, default=24)
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    tokens = torch.tensor(json.loads((GOLDEN / "smollm2-tokens.json").read_text()))
    model = load(args.model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.get_input_embeddings().weight.requires_grad_(True)
    cells, ends = cells_of(model), Ends(model)
    labels = json.loads((GOLDEN / "smollm2-labels.json").read_text())
    labels += draw_labels(model, tokens, args.draws - len(labels), SEED)
    logits = forward(model, tokens)
    changed = {}
    for cell in cells:
        w = linear(model, *cell).weight.numpy(force=True).astype(np.float64)
        for bits in BITS:
            changed[cell, bits] = ends.x[cell] @ torch.from_numpy(integer(w, bits, 64) - w).float().T
    shape = (len(cells), args.draws, len(tokens))
    out = {f"{name}.int{bits}": np.zeros(shape, np.float32) for name in "uv" for bits in BITS}
    for d in range(args.draws):
        energy = nll_sums(logits, torch.tensor(labels[d])).sum()
        found = torch.autograd.grad(energy, [ends.y[c] for c in cells], retain_graph=True)
        for at, (cell, h) in enumerate(zip(cells, found)):
            for bits in BITS:
                c = (h * changed[cell, bits]).sum(-1, dtype=torch.float64)
                out[f"u.int{bits}"][at, d] = c.sum(1)
                out[f"v.int{bits}"][at, d] = c.view(len(tokens), -1, BLOCK).sum(2).square().sum(1)
        print(f"\rdraw {d + 1} of {args.draws}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    backward = json.loads((GOLDEN / "smollm2-backward.json").read_text())
    out["kl.int3"] = np.array(backward["columns"]["kl-int3"], np.float64)
    out["kl.int4"] = np.array(json.loads(args.kl_int4.read_text()), np.float64)
    about = {
        "script": "tools/reference/draws_real.py", "model_sha256": backward["model_sha256"], "token_ids_sha256": backward["token_ids_sha256"],
        "predicted_tokens": "508", "block": str(BLOCK),
        "versions": ", ".join(f"{p} {version(p)}" for p in ("torch", "transformers", "numpy")),
    }
    save_file(out, GOLDEN / "smollm2-draws.safetensors", metadata=about)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
