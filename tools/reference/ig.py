"""Attribution of cells by gradients along a way between two inputs (EAP-IG, arXiv 2403.17806): fixtures/golden/ig.json.

    python tools/reference/ig.py

Small models and their two sequences from fixtures/parity (forward.py), run by transformers with everything in float64; `definition`
says what is computed. Gradients are torch's autograd at blended embeddings; the scores of cells that are modules of their own are
held against central differences of the loss as well.
"""

import contextlib
import json

import torch
import transformers
from safetensors.torch import load_file

from backward import double_model
from backward_taps import EverythingDouble, Gradients
from forward import ROOT, load
from forward_taps import MODULES, Taps, blocks
from golden_json import COMPONENTS, rounded

CASES = ("llama", "gpt2_reordered", "gemma3_hub")
STEPS = (1, 3, 5)
GOLDEN = ROOT.parent / "golden" / "ig.json"
DEFINITION = {
    "blend k of n": "the token embeddings k/n E[own] + (1 - k/n) E[next] at every position, k = 1 .. n; E[own] alone where the next sequence has no such position. "
    "What is added to embeddings (learned positions) or multiplies them is that of the model as always",
    "next": "the sequence after this one, the first after the last",
    "g_k": "gradient of the sum over tokens 1..T-1 of the sequence's own negative log-likelihoods (nats), by the output of the cell, on blend k",
    "y, y'": "output of the cell on the sequence and on the next one, unblended, at the same position",
    "score": "sum_t (y_t - y'_t) . (1/n) sum_k g_k,t, over the positions that both sequences have; signed, of one sequence",
    "n = 1": "the gradient at the sequence itself: attribution by resampling, with the other sign",
    "order": "scores[n][sequence][cell]",
}
# Of a score against central differences, relative to the largest score of the sequence.
DIFFERENCE = 1e-7
NOISE = 5e-6


@contextlib.contextmanager
def hooked(module, change):
    """`change(output)` in place of what the module gives."""
    hook = module.register_forward_hook(lambda m, args, out: change(out))
    try:
        yield
    finally:
        hook.remove()


def nll_sum(tokens):
    return lambda logits: -torch.log_softmax(logits[:-1], -1).gather(1, tokens[1:, None]).sum()


def blends(model, own, other, steps):
    """The embeddings of each step [1, T, D]."""
    embed = model.get_input_embeddings()
    with torch.no_grad():
        end, start = embed(own[None]), embed(own[None]).clone()
        both = min(len(own), len(other))
        start[:, :both] = embed(other[None])[:, :both]
    return [k / steps * end + (1 - k / steps) * start for k in range(1, steps + 1)]


def score(model, cells, clean, tokens, s, steps):
    """The score of every cell for sequence `s`, and the differences y - y' it was taken along."""
    own, other = tokens[s], (s + 1) % len(tokens)
    gradients = Gradients(model)
    found = []
    for blend in blends(model, own, tokens[other], steps):
        with hooked(model.get_input_embeddings(), lambda out, b=blend.requires_grad_(): b):
            found.append(gradients.run(own, nll_sum(own))[1])
    gradients.close()
    both = min(len(own), len(tokens[other]))
    apart = {c: torch.zeros_like(clean[s][f"{c}.out"]) for c in cells}
    for c, difference in apart.items():
        difference[:both] = clean[s][f"{c}.out"][:both] - clean[other][f"{c}.out"][:both]
    return [(apart[c] * sum(f[c] for f in found)).sum().item() / steps for c in cells], apart


def check(model, cells, scores, apart, tokens, s, steps):
    """The same scores from losses alone: the output of the cell is moved along y - y' on each blend."""
    own, other = tokens[s], tokens[(s + 1) % len(tokens)]
    h, worst = 1e-5, 0.0
    for at, cell in enumerate(cells):
        layer, component = cell.split(".", 1)
        parts = dict(blocks(model)[int(layer[1:])].named_modules())
        module = next((parts[n] for n in MODULES.get(component, ()) if n in parts), None)
        if module is None:
            continue
        total = 0.0
        for blend in blends(model, own, other, steps):
            losses = []
            for sign in (1, -1):
                moved = lambda out, step=sign * h * apart[cell]: out + step
                with torch.no_grad(), hooked(model.get_input_embeddings(), lambda out: blend), hooked(module, moved):
                    losses.append(nll_sum(own)(model(input_ids=own[None], use_cache=False).logits.squeeze(0)).item())
            total += (losses[0] - losses[1]) / (2 * h * steps)
        worst = max(worst, abs(total - scores[at]) / max(map(abs, scores)))
    assert worst < DIFFERENCE, worst
    return worst


def of_case(name, tokens, exact):
    """Cells, scores by steps and sequence, and the largest distance to central differences (0 without)."""
    model = double_model(ROOT / name) if exact else load(ROOT / name)
    worst = 0.0
    with EverythingDouble() if exact else contextlib.nullcontext():
        taps = Taps(model)
        clean = [taps.run(t) for t in tokens]
        taps.close()
        cells = [f"L{l}.{c}" for l in range(len(blocks(model))) for c in COMPONENTS if f"L{l}.{c}.out" in clean[0]]
        scores = {}
        for steps in STEPS:
            for s in range(len(tokens)):
                values, apart = score(model, cells, clean, tokens, s, steps)
                scores.setdefault(steps, []).append(values)
                if exact and steps == 3:
                    worst = max(worst, check(model, cells, values, apart, tokens, s, steps))
    return cells, scores, worst


def main():
    out = {}
    for name in CASES:
        forward = load_file(ROOT / name / "forward.safetensors")
        tokens = [forward[f"tokens.{s}"] for s in range(2)]
        cells, scores, worst = of_case(name, tokens, True)
        single = of_case(name, tokens, False)[1]
        noise = max(
            max(abs(a - b) for a, b in zip(x, y)) / max(map(abs, x)) for n in STEPS for x, y in zip(scores[n], single[n]))
        assert noise < NOISE, (name, noise)
        out[name] = {
            "tokens": [t.tolist() for t in tokens],
            "central_differences": float(f"{worst:.1g}"), "noise": float(f"{noise:.1g}"),
            "cells": cells,
            "scores": {str(n): [[rounded(v) for v in values] for values in scores[n]] for n in STEPS},
        }
        moved = max(abs(a - b) for a, b in zip(scores[1][0], scores[5][0])) / max(map(abs, scores[5][0]))
        print(f"{name}: central differences {worst:.1g}, float32 {noise:.1g}, one step against five {moved:.2g}")
    head = {
        "what": "attribution of cells by integrated gradients between two inputs (EAP-IG)",
        "script": "tools/reference/ig.py",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "arithmetic": "float64 throughout, eager attention, each sequence alone; ten significant digits. noise: the same in float32, largest distance over "
        "the largest score of a sequence; central_differences: likewise, of scores of cells that are modules of their own, 3 steps",
        "tolerance": "1e-4 of the largest absolute score of a sequence is what is asked for; 1e-5 what float32 supports",
        "definition": DEFINITION,
    }
    short = lambda value: json.dumps(value, separators=(",", ":"))
    lines = []
    for name, case in out.items():
        rows = [f'   {json.dumps(k)}: {short(v)}' for k, v in case.items() if k != "scores"]
        by_steps = [f'    "{n}": [\n     ' + ",\n     ".join(map(short, values)) + "\n    ]" for n, values in case["scores"].items()]
        rows.append('   "scores": {\n' + ",\n".join(by_steps) + "\n   }")
        lines.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(rows) + "\n  }")
    text = "{\n" + "".join(f" {json.dumps(k)}: {json.dumps(v)},\n" for k, v in head.items()) + ' "cases": {\n' + ",\n".join(lines) + "\n }\n}\n"
    json.loads(text)
    GOLDEN.write_text(text)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    main()
