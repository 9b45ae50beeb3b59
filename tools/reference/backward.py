"""Writes the fixtures of the reverse pass: fixtures/parity/<case>/{backward.safetensors,weights.backward.safetensors,backward.json}.

    python tools/reference/backward.py [case ...]

The models and token numbers are those of forward.py, which has to run first; its conventions hold (float32 weights from the bf16 file,
eager attention and experts, one thread, each sequence alone). Gradients are torch's autograd through transformers' own forward pass
(backward_taps.py). A second run writes the same bytes.

    <name>.grad.0                   dL/d<name>, names in backward_taps.py; L: mean NLL in nats over tokens 1..T-1 of sequence 0
    L0.residual_in.grad.1           the same of sequence 1
    L{l}.<component>.weight_grad.0  dL/dW [out, in] of one cell per component
    answer.<name>.grad.0            L: mean NLL over the tokens at positions 6..10 alone, each predicted from the position before
    kl.<name>.grad.0                L: mean over positions 0..T-2 of KL(p_ref || p), p_ref from `logits.0` of forward.safetensors,
                                    p and the gradients from the model in which one cell is `kl.weight.L{l}.<component>` [out, in]

The last two, in some cases, give the residual entering layer 0 and the cells of layer 1.

weights.backward.safetensors holds dL/d<tensor> of sequence 0 for the tensors of the checkpoint, in float32. Names and shapes are those of
model.safetensors, without suffix: fused maps (qkv_proj, c_attn, query_key_value, gate_up_proj) in one piece as stored, gpt2's maps
[in, out] as stored, each expert by itself. A tied embedding has one gradient, the sum of that as embedding and that as head,
under the embedding's name; rows of tokens and positions that do not occur are zero where it is not tied. Experts without tokens have
zeros. Left out: what the loss does not depend on (gemma3_multimodal's images). So that the files stay small, `weights.written` of
backward.json says whether a case has every tensor or all but the matrices of layers (backward_weights.py); all were checked.
"""

import json
import sys
import zlib

import safetensors
import torch
import transformers
from safetensors.torch import load_file, save_file

from backward_taps import EverythingDouble, Gradients, cell_rows
from backward_weights import by_name, check_names, compare, written
from families_cases import CASES
from forward import ROOT, load, losses_of
from forward_cases import FORWARD_CASES
from forward_taps import MODULES, Taps, blocks

COMPONENTS = ("attn.q", "attn.k", "attn.v", "attn.o", "mlp.up", "mlp.down", "mlp.gate")
ANSWER = range(6, 11)
# The cell that is changed for the KL, by case: a plain block, caps, a fused map, clipping, experts, norms behind.
CHANGED = {
    "llama_llama3": (1, "attn.v", None), "gemma2_caps": (0, "mlp.gate", None), "gpt2_reordered": (0, "attn.v", None),
    "olmoe_clip": (0, "attn.o", None), "mixtral_hub": (0, "mlp.up", 1), "olmo2_bias": (0, "attn.v", None),
}
CHANGE = 0.05
SHOWN = 1
LIMIT = 120_000
# Relative norms against float64, above which a fixture would not support the tolerance of 1e-4.
NOISE = {"": 1e-5, "answer": 1e-5, "kl": 5e-5}
TOLERANCES = {
    "losses": "1e-6 of the loss; 1e-4 of the KL",
    "grad, weight_grad and answer.*": "||difference|| < 1e-5 ||tensor||; 1e-4 is what is asked for",
    "kl.*": "||difference|| < 2e-4 ||tensor||",
    "weights.backward.safetensors": "||difference|| < 1e-5 ||tensor||, but absolutely 1e-6 for what is in zero_but_for_rounding",
    "router.logits": "absolutely 1e-6 where one expert is chosen and weights are normalised: the true gradient is zero",
    "why": "float32 by torch is within 3e-6 of float64 over all cases; the gradient of a small KL starts from the difference p - p_ref of "
    "nearly equal probabilities, which costs one to two digits: 4e-5",
}
# The float64 gradient against central differences of the float64 loss.
DIFFERENCE = 1e-6


def cell_name(layer, component, expert):
    return f"L{layer}.{component}" + (f"[{expert}]" if expert is not None else "")


def one_per_component(model, routing):
    """A cell of every component, from another layer each time; of experts, the one with most tokens."""
    layers, out = len(blocks(model)), []
    for i, component in enumerate(COMPONENTS):
        layer = i % layers
        experts = component.startswith("mlp") and f"L{layer}.router" in routing
        expert = int((routing[f"L{layer}.router"] > 0).sum(0).argmax()) if experts else None
        if expert is None and cell_rows(model, layer, component) is None:
            continue
        out.append((cell_name(layer, component, expert), layer, component, expert))
    return out


def mean_nll(tokens, positions=None):
    """Of logits in float64: over all tokens but the first, or over those at `positions`."""
    positions = torch.tensor(positions or range(1, len(tokens)))
    return lambda logits: -torch.log_softmax(logits, -1)[positions - 1, tokens[positions]].mean()


def mean_kl(reference):
    expected = torch.log_softmax(reference.double(), -1)[:-1]
    return lambda logits: (expected.exp() * (expected - torch.log_softmax(logits, -1)[:-1])).sum(-1).mean()


def change(model, name, layer, component, expert):
    """Adds noise of relative size CHANGE to one cell; returns the new weights [out, in]. The same numbers in float32 and float64."""
    cell = cell_rows(model, layer, component, expert, of=lambda p: p.data)
    generator = torch.Generator().manual_seed(zlib.crc32(f"{name}.kl".encode()))
    noise = torch.randn(cell.flatten(0, -2).shape, generator=generator, dtype=torch.float64).view_as(cell)
    new = (cell.double() + noise * (CHANGE * cell.double().norm() / noise.norm())).float()
    cell.copy_(new)
    return new.flatten(0, -2).contiguous()


def check_difference(gradients, tokens, loss_of, residual, seed):
    """The derivative along a random change of the residual that enters layer 0, by central differences."""
    generator = torch.Generator().manual_seed(seed)
    # Along the gradient as much as across it: across alone, the derivative may be next to nothing.
    direction = torch.randn(residual.shape, generator=generator, dtype=torch.float64)
    direction = direction / direction.norm() + residual / residual.norm()
    h = 1e-5
    with torch.no_grad():
        up, down = (gradients.loss(tokens, loss_of, moved=s * h * direction).item() for s in (1, -1))
    expected = (residual * direction).sum().item()
    error = abs((up - down) / (2 * h) - expected) / abs(expected)
    assert error < DIFFERENCE, error
    return error


def check_weights(model, cells, weights, found, taps):
    """dL/dW = sum_t g_t x_t^T, and y_t = W x_t + b: ties the rows of gradients to those of the outputs in forward_taps.py."""
    for name, *cell in cells:
        weight = weights[name]
        layer, component = name.split(".", 1)
        if component in ("attn.q", "attn.k", "attn.v"):
            x = taps[f"{layer}.attn.in"]
        elif component.startswith(("attn.o", "mlp.down")):
            x = taps[f"{name}.in"]
        else:
            x = taps[f"{layer}.mlp.in"]
            if "[" in component:
                x = x[taps[f"{layer}.router"][:, int(component.split("[")[1][:-1])] > 0]
        product = found[name].T @ x
        assert weight.shape == product.shape, name
        # The inputs come from a float64 run with norms and angles in float32.
        error = ((weight - product).norm() / weight.norm()).item()
        assert error < 1e-6, (name, error)
        bias = taps[f"{name}.out"] - x @ cell_rows(model, *cell).detach().flatten(0, -2).T
        assert (bias - bias[0]).norm() < 1e-6 * taps[f"{name}.out"].norm(), name


def double_model(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    # gpt2's reordered attention refuses float64; it is the same arithmetic.
    config.reorder_and_upcast_attn = False
    return load(folder, config, dtype=torch.float64)


def kind_of(name):
    """`attn.q` of `L1.attn.q`, `mlp.up` of `L0.mlp.up[2]`."""
    return name.split(".", 1)[1].split("[")[0] if name.startswith("L") and name[1].isdigit() else name


class Noise:
    """How far float32 is from float64, the worst tensor of a kind."""

    def __init__(self, loss):
        self.limit, self.worst = NOISE[loss], {}

    def add(self, found, exact, suffix=""):
        for name, true in exact.items():
            assert found[name].isfinite().all() and found[name].shape == true.shape, name
            if true.norm() < 1e-12:
                # Exactly zero in arithmetic without rounding: one expert with normalised weights.
                assert name.endswith("router.logits") and found[name].norm() < 1e-6, name
                continue
            error = found[name].double() - true
            one = {"norm": (error.norm() / true.norm()).item(), "largest": (error.abs().max() / true.abs().max()).item()}
            assert one["norm"] < self.limit, (name, one)
            worst = self.worst.setdefault(kind_of(name) + suffix, dict(one))
            for key, value in one.items():
                worst[key] = max(worst[key], value)

    def rounded(self):
        return {kind: {key: float(f"{v:.2g}") for key, v in one.items()} for kind, one in sorted(self.worst.items())}


def both(folder, tokens, loss_of, cells=(), changed=None):
    """`run` in float32 and in float64; `loss_of` and `changed` are given the model's precision or the model."""
    out = []
    for model, mode in ((load(folder), None), (double_model(folder), EverythingDouble())):
        gradients = Gradients(model)
        if mode:
            mode.__enter__()
        try:
            of = loss_of(gradients)
            if changed:
                change(model, *changed)
            out.append((*gradients.run(tokens, of, cells), gradients, of))
            if mode:
                loss, found = out[-1][:2]
                out[-1] += (check_difference(gradients, tokens, of, found["L0.residual_in"], 7),)
        finally:
            if mode:
                mode.__exit__(None, None, None)
    return out


def shown(found):
    return {n: t for n, t in found.items() if n == "L0.residual_in" or n.startswith((f"L{SHOWN}.attn.", f"L{SHOWN}.mlp."))}


def more_losses(name, folder, tokens, logits):
    """The KL and the answer loss of one case: tensors and records."""
    tensors, record = {}, {}
    changed = (name, *CHANGED[name])
    model = load(folder)
    tensors[f"kl.weight.{cell_name(*CHANGED[name])}"] = change(model, *changed)

    def reference(gradients):
        # p_ref of each precision by itself; in float32 it is the committed one.
        with torch.no_grad():
            own = gradients.model(input_ids=tokens.unsqueeze(0), use_cache=False).logits.squeeze(0)
        gradients.kept, gradients.finish = {}, {}
        assert own.dtype == torch.float64 or torch.equal(own, logits)
        return mean_kl(own)

    for loss, of, what in (("answer", lambda g: mean_nll(tokens, list(ANSWER)), None), ("kl", reference, changed)):
        single, double = both(folder, tokens, of, changed=what)
        noise = Noise(loss)
        noise.add(single[1], double[1])
        tensors |= {f"{loss}.{n}.grad.0": t for n, t in shown(single[1]).items()}
        record[loss] = {"loss": single[0], "loss_in_float64": double[0], "central_differences": float(f"{double[-1]:.1g}"), "noise": noise.rounded()}
    record["answer"]["positions"] = list(ANSWER)
    record["kl"] |= {"changed": cell_name(*CHANGED[name]), "relative_change": CHANGE, "seed": zlib.crc32(f"{name}.kl".encode())}
    return tensors, record


def of_checkpoint(name, single, double):
    """The gradient of every tensor of the checkpoint: those to write, and the record."""
    stored = load_file(ROOT / name / "model.safetensors")
    check_names(single.model, stored)
    found, exact = (by_name(g.model, set(stored), g.of_parameters) for g in (single, double))
    (worst, tensor), zero = compare(found, exact)
    tensors, what = written(name, name in FORWARD_CASES, found)
    unseen = len(stored) - len(found)
    record = {"written": what, "tensors": len(tensors), "noise": {"norm": float(f"{worst:.2g}"), "tensor": tensor}, "zero_but_for_rounding": zero}
    return tensors, record | ({"without_gradient": unseen} if unseen else {})


def write_case(name):
    folder = ROOT / name
    forward = load_file(folder / "forward.safetensors")
    tensors, losses = {}, []
    noise = Noise("")
    for s in range(2):
        tokens = forward[f"tokens.{s}"]
        if s == 0:
            taps = Taps(double_model(folder)).run(tokens)
            cells = one_per_component(load(folder), taps)
        single, double = both(folder, tokens, lambda g: mean_nll(tokens), cells if s == 0 else ())
        loss, found, weights = single[:3]
        assert abs(loss - losses_of(forward[f"logits.{s}"], tokens).mean().item()) < 1e-12
        losses.append({"float32": loss, "float64": double[0], "central_differences": float(f"{double[-1]:.1g}")})
        if s == 1:
            tensors["L0.residual_in.grad.1"] = found["L0.residual_in"]
            continue
        check_weights(double_model(folder), cells, double[2], double[1], taps)
        noise.add(found, double[1])
        noise.add(weights, double[2], ".weight_grad")
        of_weights, weights_record = of_checkpoint(name, single[3], double[3])
        expected = {n.removesuffix(".out.0") for n in forward if n.endswith(".out.0")}
        assert expected <= set(found), expected - set(found)
        assert all(found[n].shape == forward[f"{n}.out.0"].shape for n in expected)
        tensors |= {f"{n}.grad.0": t for n, t in found.items()} | {f"{n}.weight_grad.0": t for n, t in weights.items()}
    record = {
        "script": "tools/reference/backward.py",
        "versions": {"transformers": transformers.__version__, "torch": torch.__version__, "safetensors": safetensors.__version__},
        "arithmetic": "float32 on the CPU, one thread, eager attention and experts; losses and dL/dlogits in float64",
        "loss": losses,
        "noise": {"what": "distance to the same model with everything in float64, worst tensor of a kind: relative norm, largest "
                  "difference over largest value", **noise.rounded()},
    }
    if name in CHANGED:
        more, records = more_losses(name, folder, forward["tokens.0"], forward["logits.0"])
        tensors |= more
        record |= records
    record["weights"] = weights_record
    record["tolerances"] = TOLERANCES
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "backward.safetensors")
    save_file({n: t.contiguous() for n, t in of_weights.items()}, folder / "weights.backward.safetensors")
    (folder / "backward.json").write_text(json.dumps(record, indent=1) + "\n")
    size = (folder / "backward.safetensors").stat().st_size
    assert size < LIMIT, (name, size)
    weights_size = (folder / "weights.backward.safetensors").stat().st_size
    kinds = {"nll": record["noise"]} | {k: record[k]["noise"] for k in ("answer", "kl") if k in record}
    worst = {k: max(v["norm"] for name, v in noise.items() if name != "what") for k, noise in kinds.items()}
    print(f"{name}: {size / 1000:.0f} + {weights_size / 1000:.0f} kB, differences {losses[0]['central_differences']:g}, noise",
          ", ".join(f"{k} {v:.1g}" for k, v in worst.items()), "weights {norm:g} {tensor}".format(**weights_record["noise"]),
          *(f"zero: {n}" for n in weights_record["zero_but_for_rounding"]), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    for name in sys.argv[1:] or [*CASES, *FORWARD_CASES]:
        write_case(name)
