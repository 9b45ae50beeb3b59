#!/usr/bin/env python3
"""SmolLM2 from its GGUF file, run by transformers: gradient metrics over given tokens, by autograd.

    backward_real.py MODEL.gguf [--draws 8] [--measure 21 | all] [--double]     writes fixtures/golden/smollm2-backward.json
    backward_real.py MODEL.gguf --only-kl 4 2 [--measure 21 | all]              measures these KL columns of that file anew

Tokens: fixtures/golden/smollm2-tokens.json, each sequence alone. Labels drawn from the model: fixtures/golden/smollm2-labels.json
(read when it is there; `--draw-labels` draws them anew, `--draws` says how many). Float32, eager attention; `definitions` says what
each column is. `--double` runs the gradients of the text in float64 as well (everything, norms and angles included) and records how far
each column is from it.
"""

import argparse
import datetime
import hashlib
import json
import pathlib
import platform
import sys
import time
from importlib.metadata import version

import numpy as np
import torch
import transformers

from backward_taps import EverythingDouble
from forward_real import GOLDEN, PACKAGES, check_weights, furthest, linear, load, ten_digits
from forward_taps import blocks
from golden_formats import integer
from golden_json import COMPONENTS, one_line_per_row, rounded

GROUPS = {"": 64, ":group=128": 128}
BITS = (4, 3, 2)
SEED = 20260704
CONVENTIONS = {
    "predicted tokens": "tokens 1..T-1 of a sequence, each from the position before; the last position predicts nothing. N: their number over all "
    "sequences (508), N_s: in sequence s (127)",
    "L": "(1/N) sum of the negative log-likelihoods (nats) of all predicted tokens of all sequences",
    "L_s": "the same over one sequence, divided by N_s",
    "x_t, y_t, g_t": "input and output of a cell at position t (y_t = W x_t), dL/dy_t; over all positions of all sequences, the last one of a sequence included",
    "G": "dL/dW = sum_t g_t x_t^T; G_s = dL_s/dW",
    "dW": "Q(W) - W; Q: err-intN of golden_formats.py (asymmetric, round to nearest), groups along a row; from the decoded float32 weights",
    "per sequence": "columns ending in :s=<number>, zero-based: the same with L_s for L and over the positions of s alone",
}
DEFINITIONS = {
    "taylor": "sum_ij |W_ij G_ij|",
    "taylor-group": "(sum_ij W_ij G_ij)^2, which is (sum_t g_t . y_t)^2",
    "snip": "taylor over the sum of taylor over all cells",
    "fisher": "mean over sequences of sum_ij (G_s)_ij^2",
    "gradient-norm": "||G||_F",
    "relative-gradient-norm": "||G||_F / ||W||_F",
    "attribution-zero": "sum_t g_t . (0 - y_t), signed: the first-order change of L when y becomes 0",
    "attribution-mean": "sum_t g_t . (m - y_t), m: the mean of y over all positions of all sequences",
    "attribution-resample": "sum_t g_t . (y'_t - y_t), y': the output at the same position of the next sequence (the first after the last)",
    "quant-taylor-intN": "sum_t sum_k g_tk^2 dy_tk^2, dy_t = dW x_t; groups of 64; with :group=128 groups of 128. Per sequence with L_s, so that the "
    "whole is the sum over s of (N_s / N)^2 times the value of s",
    "obd-intN": "1/2 sum_ij F_ij dW_ij^2, F_ij = mean over sequences of (G_s)_ij^2; groups of 64",
    "predicted-kl-intN": "1/2 mean over draws d of sum over sequences s of u_ds^2, over N. u_ds = sum_t h_t . (dW x_t) = <sum_t h_t x_t^T, dW>, over all t of "
    "the sequence; h_t = dE/dy_t, E = the *sum* over positions 0..T-2 of -log p(label), labels of smollm2-labels.json[d][s]; groups of 64",
    "predicted-kl-intN:u:d=D:s=S": "u_ds, of the first draw alone",
    "kl-intN": "measured: mean over the same N positions (0..T-2 of each sequence) of KL(p || p'), p' with this cell alone replaced by Q(W); float64 from "
    "float32 logits; groups of 64; null where it was not measured",
}


def cells_of(model):
    return [(layer, component) for layer in range(len(blocks(model))) for component in COMPONENTS]


class Ends:
    """Keeps x and y of every cell with the graph, for one pass over the sequences (a batch of equal lengths: nothing is padded)."""

    def __init__(self, model):
        self.x, self.y = {}, {}
        for cell in cells_of(model):
            def hook(module, args, out, cell=cell):
                self.x[cell], self.y[cell] = args[0].detach(), out

            linear(model, *cell).register_forward_hook(hook)


def forward(model, tokens):
    return model(input_ids=tokens, use_cache=False).logits


def nll_sums(logits, targets):
    """Per sequence, the sum over positions 0..T-2 of -log p(target); in float64. `targets`: [sequences, T-1]."""
    picked = torch.log_softmax(logits[:, :-1].double(), -1).gather(2, targets[:, :, None])
    return -picked.squeeze(2).sum(1)


def digits(tensor):
    return tensor.detach().double()


def weight_gradient(g, x):
    """[sequences, out, in] in the precision of the model, as autograd sums it."""
    return torch.einsum("sti,stj->sij", g, x)


def text_columns(model, ends, tokens, changes):
    """Columns of the gradients of the text's own loss. One reverse pass: sequences of a batch do not see each other."""
    sequences, length = tokens.shape
    predicted = length - 1
    sums = nll_sums(forward(model, tokens), tokens[:, 1:])
    cells = cells_of(model)
    # Of sum_s L_s; L itself is that over the number of sequences, since all are equally long.
    found = torch.autograd.grad(sums.sum() / predicted, [ends.y[c] for c in cells])
    columns = {}
    put = lambda name, value: columns.setdefault(name, []).append(float(value))
    for cell, g in zip(cells, found):
        x, y = ends.x[cell], digits(ends.y[cell])
        w = digits(linear(model, *cell).weight)
        each = digits(weight_gradient(g, x))
        whole = each.mean(0)
        g = digits(g)
        gy = (g * y).sum((1, 2))
        assert abs((gy - (each * w).sum((1, 2)))).max() < 1e-4 * (g.norm() * y.norm()), cell
        put("taylor", (w * whole).abs().sum())
        put("taylor-group", (w * whole).sum() ** 2)
        put("fisher", each.square().sum((1, 2)).mean())
        put("gradient-norm", whole.norm())
        put("relative-gradient-norm", whole.norm() / w.norm())
        centre = y.mean((0, 1))
        attribution = {
            "attribution-zero": -gy,
            "attribution-mean": (g * (centre - y)).sum((1, 2)),
            "attribution-resample": (g * (y.roll(-1, 0) - y)).sum((1, 2)),
        }
        for name, values in attribution.items():
            put(name, values.mean())
        for bits in (4, 3):
            put(f"obd-int{bits}", 0.5 * (each.square().mean(0) * changes[cell, bits, 64].square()).sum())
            for suffix, group in GROUPS.items():
                dy = digits(x) @ changes[cell, bits, group].T
                values = (g.square() * dy.square()).sum((1, 2))
                name = f"quant-taylor-int{bits}{suffix}"
                put(name, values.sum() / sequences**2)
                if group == 64:
                    attribution[name] = values
        norms = {"taylor": (each * w).abs().sum((1, 2)), "gradient-norm": each.flatten(1).norm(dim=1)}
        for name, values in (norms | attribution).items():
            for s in range(sequences):
                put(f"{name}:s={s}", values[s])
    total = sum(columns["taylor"])
    columns["snip"] = [v / total for v in columns["taylor"]]
    return sums.detach(), columns


def draw_labels(model, tokens, draws, seed):
    """[draws][sequences][T-1]: at every position but the last, a token of the model's own distribution over what stands before."""
    with torch.no_grad():
        p = torch.softmax(forward(model, tokens)[:, :-1].double(), -1).flatten(0, 1)
    generator = torch.Generator().manual_seed(seed)
    return [torch.multinomial(p, 1, generator=generator).view(len(tokens), -1).tolist() for _ in range(draws)]


def products(model, ends, tokens, labels, changes):
    """u [bits, draws, sequences, cells]: one reverse pass per draw."""
    logits = forward(model, tokens)
    cells = cells_of(model)
    ys = [ends.y[c] for c in cells]
    u = torch.zeros(len(BITS), len(labels), len(tokens), len(cells), dtype=torch.float64)
    for d, draw in enumerate(labels):
        energy = nll_sums(logits, torch.tensor(draw)).sum()
        for at, (cell, h) in enumerate(zip(cells, torch.autograd.grad(energy, ys, retain_graph=True))):
            each = weight_gradient(h, ends.x[cell])
            for b, bits in enumerate(BITS):
                u[b, d, :, at] = (each * changes[cell, bits, 64].to(each.dtype)).sum((1, 2), dtype=torch.float64)
        print(f"\rdraw {d + 1} of {len(labels)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return u


def first_draw(u):
    return {f"predicted-kl-int{bits}:u:d=0:s={s}": u[b, 0, s].tolist() for b, bits in enumerate(BITS) for s in range(u.shape[2])}


def from_layer(model, layer, residual):
    """Logits from the residual that enters a layer on."""
    stack = model.model.layers
    model.model.layers = stack[layer:]
    try:
        return model(inputs_embeds=residual, use_cache=False).logits
    finally:
        model.model.layers = stack


def measured_kl(model, tokens, cells, changes, bits):
    residuals = []
    hooks = [b.register_forward_pre_hook(lambda m, args: residuals.append(args[0])) for b in blocks(model)]
    out = {}
    with torch.no_grad():
        logits = forward(model, tokens)
        for hook in hooks:
            hook.remove()
        middle = len(residuals) // 2
        assert torch.equal(from_layer(model, middle, residuals[middle]), logits)
        full = torch.log_softmax(logits[:, :-1].double(), -1)
        expected = full.exp()
        for at, cell in enumerate(cells):
            weight = linear(model, *cell).weight
            kept = weight.data.clone()
            weight.data += changes[cell, bits, 64].to(weight.dtype)
            changed = torch.log_softmax(from_layer(model, cell[0], residuals[cell[0]])[:, :-1].double(), -1)
            weight.data.copy_(kept)
            out[cell] = (expected * (full - changed)).sum(-1).mean().item()
            print(f"\rcell {at + 1} of {len(cells)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return out


def ranks(values):
    return np.argsort(np.argsort(values)).astype(float)


def agreement(predicted, measured):
    ratio = np.array(predicted) / np.array(measured)
    return {
        "cells": len(measured),
        "spearman": float(f"{np.corrcoef(ranks(predicted), ranks(measured))[0, 1]:.3f}"),
        "median_ratio": float(f"{np.median(ratio):.3f}"),
        "smallest_ratio": float(f"{ratio.min():.3f}"), "largest_ratio": float(f"{ratio.max():.3f}"),
    }


def rounding_errors(model, pairs):
    """Q(W) - W of every cell for each (bits, group)."""
    weights = {c: linear(model, *c).weight.numpy(force=True).astype(np.float64) for c in cells_of(model)}
    # Float32, as the file's weights; products with them in float64.
    return Doubled({(c, b, g): torch.from_numpy(integer(w, b, g) - w).float() for c, w in weights.items() for b, g in pairs})


def kl_columns(model, tokens, changes, measure, bits):
    """`kl-intN` for each of `bits`; `measure` says how many cells, spread over all."""
    cells = cells_of(model)
    step = 1 if measure == "all" else len(cells) // int(measure)
    # A step that is no multiple of seven visits every component.
    step += step % 7 == 0 and step > 1
    columns = {}
    for b in bits:
        kl = measured_kl(model, tokens, cells[::step], changes, b)
        columns[f"kl-int{b}"] = [kl.get(c) for c in cells]
    return columns


def agreements(columns):
    """How well the draws predict what was measured, by number of bits."""
    out = {}
    for bits in BITS:
        measured = columns.get(f"kl-int{bits}", [])
        pairs = [(p, m) for p, m in zip(columns[f"predicted-kl-int{bits}"], measured) if m is not None]
        if pairs:
            out[f"predicted_against_measured_kl_int{bits}"] = agreement(*zip(*pairs))
    return out


def provenance(model, token_ids):
    return {
        "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "token_ids_sha256": hashlib.sha256(token_ids.read_bytes()).hexdigest(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
    }


def today():
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def put_kl(out, kl, made_with):
    """Measured columns into the file as it is; what was measured before of other bits stays, as does everything else."""
    record = json.loads(out.read_text())
    for key, value in made_with.items():
        if record[key] != value:
            raise SystemExit(f"{out.name} has another {key}: {record[key]}, not {value}; write the whole file anew")
    columns, cells = record.pop("columns"), record.pop("cells")
    noise = {k: record.pop(k) for k in ("noise",) if k in record}
    columns |= {name: ten_digits(values) for name, values in kl.items()}
    record["kl_measured"] = record.get("kl_measured", {}) | {name: today() for name in kl}
    record["definitions"] = DEFINITIONS
    record = {k: v for k, v in record.items() if not k.startswith("predicted_against")} | agreements(columns) | noise
    out.write_text(one_line_per_row(record | {"cells": cells, "columns": columns}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--draw-labels", action="store_true")
    parser.add_argument("--measure", default="21", help="how many cells' KL to measure, spread over all, or `all`")
    parser.add_argument("--only-kl", type=int, nargs="+", choices=BITS, help="measure KL at these bits; everything else in the file stays")
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN / "smollm2-backward.json")
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    start = time.time()
    token_ids, label_ids = GOLDEN / "smollm2-tokens.json", GOLDEN / "smollm2-labels.json"
    tokens = torch.tensor(json.loads(token_ids.read_text()))
    model = load(args.model)
    check_weights(model, args.model)
    if args.only_kl:
        changes = rounding_errors(model, [(b, 64) for b in args.only_kl])
        put_kl(args.out, kl_columns(model, tokens, changes, args.measure, args.only_kl), provenance(args.model, token_ids))
        return
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    # What the graph starts from: gradients of cells are taken of outputs, and only what leads to them is kept.
    model.get_input_embeddings().weight.requires_grad_(True)
    cells = cells_of(model)
    if args.draw_labels or not label_ids.exists():
        labels = draw_labels(model, tokens, args.draws, SEED)
        rows = [",\n".join(f"  {json.dumps(s, separators=(',', ':'))}" for s in draw) for draw in labels]
        label_ids.write_text("[\n" + ",\n".join(f" [\n{row}\n ]" for row in rows) + "\n]\n")
    labels = json.loads(label_ids.read_text())
    ends = Ends(model)
    changes = rounding_errors(model, [(b, 64) for b in BITS] + [(b, 128) for b in (4, 3)])
    print(f"weights rounded, {time.time() - start:.0f} s", file=sys.stderr)
    sums, columns = text_columns(model, ends, tokens, changes)
    print(f"gradients of the text, {time.time() - start:.0f} s", file=sys.stderr)
    u = products(model, ends, tokens, labels, changes)
    predicted_tokens = tokens.numel() - len(tokens)
    for b, bits in enumerate(BITS):
        columns[f"predicted-kl-int{bits}"] = (0.5 * u[b].square().sum(1).mean(0) / predicted_tokens).tolist()
    columns |= first_draw(u)
    print(f"draws, {time.time() - start:.0f} s", file=sys.stderr)
    kl = kl_columns(model, tokens, changes, args.measure, BITS)
    columns |= kl
    print(f"KL, {time.time() - start:.0f} s", file=sys.stderr)
    made_with = provenance(args.model, token_ids)
    record = {
        "what": "gradient metrics of SmolLM2-135M-Instruct (Q4_1) decoded to float32, run by transformers, gradients by torch's autograd",
        "script": "tools/reference/backward_real.py",
        "model_file": args.model.name,
        "model_sha256": made_with["model_sha256"],
        "token_ids": token_ids.name,
        "token_ids_sha256": made_with["token_ids_sha256"],
        "label_ids": label_ids.name,
        "label_ids_sha256": hashlib.sha256(label_ids.read_bytes()).hexdigest(),
        "labels": f"{len(labels)} draws, torch.multinomial on a float64 softmax of float32 logits, seed {SEED}",
        "date": today(),
        "versions": made_with["versions"],
        "arithmetic": "float32 activations and gradients, eager attention; the four sequences as one batch without padding; losses and dL/dlogits "
        "in float64; sums over a cell in float64; ten significant digits",
        "nll_sums": ten_digits(sums), "nll_mean": rounded(sums.sum().item() / predicted_tokens), "predicted_tokens": predicted_tokens,
        "conventions": CONVENTIONS, "definitions": DEFINITIONS,
        "kl_measured": {name: today() for name in kl},
        **agreements(columns),
    }
    if args.double:
        with EverythingDouble():
            exact = text_columns(model.double(), ends, tokens, changes)[1]
            exact |= first_draw(products(model, ends, tokens, labels[:1], changes))
        print(f"float64, {time.time() - start:.0f} s", file=sys.stderr)
        of_size = lambda name: float(f"{max(abs(a - b) for a, b in zip(columns[name], exact[name])) / max(map(abs, exact[name])):.2g}")
        signed = [n for n in exact if "attribution" in n or ":u:" in n]
        record["noise"] = {
            "what": "largest relative distance to the same model with everything in float64, by column; for signed columns the largest distance over "
            "the largest absolute value",
            **furthest({n: columns[n] for n in exact if n not in signed}, exact),
            **{n: of_size(n) for n in signed},
        }
    record["cells"] = [{"layer": l, "component": c} for l, c in cells]
    record["columns"] = {name: ten_digits(values) for name, values in columns.items()}
    args.out.write_text(one_line_per_row(record))
    print(f"nll {record['nll_mean']}, {time.time() - start:.0f} s", file=sys.stderr)


class Doubled:
    """The changes of the weights, kept in float32 and handed out in float64."""

    def __init__(self, changes):
        self.changes = changes

    def __getitem__(self, key):
        return self.changes[key].double()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
