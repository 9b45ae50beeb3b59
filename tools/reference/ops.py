"""Writes fixtures/golden/ops.safetensors: what torch and transformers make of small inputs to each operation of a block.

    python tools/reference/ops.py            (from the repository's root)

Needs torch, transformers, safetensors; runs on a CPU. Inputs are float32; everything is computed in float64 and rounded
to float32 once, losses stay float64. The file's metadata says script and versions.
"""

import re
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers.activations import ACT2FN
from transformers.models.gemma2.modeling_gemma2 import eager_attention_forward
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "golden" / "ops.safetensors"
HEADS, KV_HEADS, HEAD_DIM, SCALE = 4, 2, 8, 0.35


def noise(seed, *shape, span=1.0):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * span


def attention(rows, tokens, window, softcap):
    """Rows are [q | k | v] of each token; returns [tokens, H * C]."""
    heads = rows[:tokens].double().view(1, tokens, HEADS + 2 * KV_HEADS, HEAD_DIM).transpose(1, 2)
    q, k, v = heads.split([HEADS, KV_HEADS, KV_HEADS], dim=1)
    at = torch.arange(tokens)
    back = at[:, None] - at[None, :]
    sees = (back >= 0) & (back < (window or tokens))
    if softcap is None:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=sees, scale=SCALE, enable_gqa=True).transpose(1, 2)
    else:
        mask = torch.zeros(sees.shape, dtype=torch.float64).masked_fill(~sees, float("-inf"))[None, None]
        module = SimpleNamespace(num_key_value_groups=HEADS // KV_HEADS, training=False)
        out, _ = eager_attention_forward(module, q, k, v, mask, scaling=SCALE, softcap=softcap)
    return out.reshape(tokens, HEADS * HEAD_DIM)


def attentions():
    rows = noise(1, 130, (HEADS + 2 * KV_HEADS) * HEAD_DIM, span=2.5)
    out = {"attention/rows": rows}
    for tokens, window, softcap in [
        (1, None, None),
        (13, None, None),
        (13, 5, 2.0),
        (67, None, None),
        (67, 1, None),
        (67, 64, None),
        (67, 200, 0.7),
        (130, None, None),
        (130, 33, None),
        (130, None, 3.0),
    ]:
        out[f"attention/{tokens}/{window or 0}/{softcap or 0}"] = attention(rows, tokens, window, softcap)
    return out


def attention_gradients():
    """Rows [dq | dk | dv] of each token, for g = dL/dout."""
    rows = noise(1, 130, (HEADS + 2 * KV_HEADS) * HEAD_DIM, span=2.5)
    g = noise(21, 130, HEADS * HEAD_DIM)
    out = {"attention_backward/g": g}
    for tokens, window, softcap in [
        (1, None, None),
        (13, 5, 2.0),
        (67, None, None),
        (67, 64, None),
        (67, 200, 0.7),
        (130, 33, None),
        (130, None, 3.0),
    ]:
        x = rows[:tokens].double().requires_grad_()
        attention(x, tokens, window, softcap).backward(g[:tokens].double())
        out[f"attention_backward/{tokens}/{window or 0}/{softcap or 0}"] = x.grad
    return out


def gradients(f, g, *inputs):
    """What backward makes of g for each input of f."""
    wide = [t.double().requires_grad_() for t in inputs]
    f(*wide).backward(g.double())
    return [t.grad for t in wide]


def norms():
    x, weight, bias = noise(2, 5, 37, span=3.0) + 0.7, noise(3, 37), noise(4, 37)
    wide = [t.double() for t in (x, weight, bias)]
    g = noise(22, 5, 37)
    rms = gradients(lambda x, w: F.rms_norm(x, (37,), w, eps=1e-5), g, x, weight)
    layer = gradients(lambda x, w, b: F.layer_norm(x, (37,), w, b, eps=1e-5), g, x, weight, bias)
    names = ("x", "weight", "bias")
    backward = {f"norm_backward/rms/{name}": t for name, t in zip(names, rms)}
    backward |= {f"norm_backward/layer/{name}": t for name, t in zip(names, layer)} | {"norm_backward/g": g}
    return backward | {
        "norm/x": x,
        "norm/weight": weight,
        "norm/bias": bias,
        "norm/rms": F.rms_norm(wide[0], (37,), wide[1], eps=1e-5),
        "norm/layer": F.layer_norm(wide[0], (37,), wide[1], wide[2], eps=1e-5),
    }


def rotation():
    """Two heads of 14 dims, of which the first 10 turn."""
    x, frequencies = noise(5, 21, 2, 14), 1000.0 ** (-torch.arange(5) / 5)
    angles = torch.arange(21)[:, None] * frequencies
    cos, sin = [f(torch.cat([angles, angles], -1).double())[None] for f in (torch.cos, torch.sin)]

    def turn(x):
        turning = x[None, ..., :10].transpose(1, 2)
        turned, _ = apply_rotary_pos_emb(turning, turning, cos, sin)
        return torch.cat([turned.transpose(1, 2)[0], x[..., 10:]], -1)

    g = noise(23, 21, 2, 14)
    return {
        "rotation/x": x,
        "rotation/frequencies": frequencies,
        "rotation/out": turn(x.double()),
        "rotation_backward/g": g,
        "rotation_backward/x": gradients(turn, g, x)[0],
    }


def activations():
    x = torch.cat([noise(6, 200, span=9.0), torch.tensor([0.0, -0.0, 1e-20, -30.0, 30.0])])
    out = {"activation/x": x}
    for name in ("silu", "gelu", "gelu_pytorch_tanh", "relu", "relu2"):
        out[f"activation/{name}"] = ACT2FN[name](x.double())
        out[f"activation_backward/{name}"] = gradients(ACT2FN[name], torch.ones_like(x), x)[0]
    up, gate = noise(7, 3, 41), noise(8, 3, 41, span=6.0)
    out["gate/rows"] = torch.cat([up, gate], -1)
    out["gate/silu"] = F.silu(gate.double()) * up.double()
    g = noise(24, 3, 41)
    out["gate_backward/g"] = g
    for name in ("silu", "gelu_pytorch_tanh"):
        d_up, d_gate = gradients(lambda up, gate: ACT2FN[name](gate) * up, g, up, gate)
        out[f"gate_backward/{name}"] = torch.cat([d_up, d_gate], -1)
    return out


def limits():
    """A clamp, at its limits and beyond them, and of NaN."""
    x = torch.cat([noise(25, 30, span=3.0), torch.tensor([1.5, -1.5, 0.0, float("nan"), float("inf"), float("-inf")])])
    g = noise(26, 36)
    return {"clamp/x": x, "clamp_backward/g": g, "clamp_backward/x": gradients(lambda x: x.clamp(-1.5, 1.5), g, x)[0]}


def products():
    x, weight, bias = noise(9, 7, 33), noise(10, 19, 33), noise(11, 19)
    out = F.linear(x.double(), weight.double(), bias.double())
    g = noise(27, 7, 19)
    d_x, d_weight = gradients(lambda x, w: F.linear(x, w, bias.double()), g, x, weight)
    return {
        "linear/x": x,
        "linear/weight": weight,
        "linear/bias": bias,
        "linear/out": out,
        "linear_backward/g": g,
        "linear_backward/x": d_x,
        "linear_backward/weight": d_weight,
    }


def losses():
    """Of a head with a soft cap, and of its logits."""
    hidden, weight = noise(12, 7, 12, span=2.0), noise(13, 301, 12, span=2.0)
    targets = torch.tensor([0, 300, 12, 13, 150, 299, 77])
    logits = 5.0 * torch.tanh(0.5 * (hidden.double() @ weight.double().T) / 5.0)
    logits32 = logits.float()
    return {
        "loss/hidden": hidden,
        "loss/weight": weight,
        "loss/logits": logits32,
        "loss/targets": targets.int(),
        "loss/of_logits": F.cross_entropy(logits32.double(), targets, reduction="none"),
        "loss/of_head": F.cross_entropy(logits, targets, reduction="none"),
    }


def loss_gradients():
    """Of the sum over tokens, to hidden states and the head, with a bias: of labels, of labels drawn where the distribution
    function passes given numbers, and of KL(reference || model)."""
    hidden, weight, bias = noise(12, 7, 12, span=2.0), noise(13, 301, 12, span=2.0), noise(28, 301)
    reference = hidden + noise(29, 7, 12, span=0.5)
    targets = torch.tensor([0, 300, 12, 13, 150, 299, 77])
    uniforms = torch.tensor([1e-9, 0.2, 0.4, 0.5, 0.7, 0.9, 1 - 1e-9], dtype=torch.float64)
    out = {"head/bias": bias, "head/reference": reference, "head/uniforms": uniforms}
    for cap in (None, 5.0):

        def logits(hidden, weight, bias):
            x = 0.5 * F.linear(hidden, weight, bias)
            return x if cap is None else cap * torch.tanh(x / cap)

        wide = [t.double() for t in (hidden, weight, bias)]
        drawn = torch.searchsorted(logits(*wide).softmax(-1).cumsum(-1), uniforms[:, None], right=True)[:, 0]
        goal = logits(reference.double(), *wide[1:]).log_softmax(-1)

        def divergence(x):
            return F.kl_div(x.log_softmax(-1), goal, reduction="none", log_target=True).sum(-1)

        for name, loss in {
            "labels": lambda x: F.cross_entropy(x, targets, reduction="none"),
            "drawn": lambda x: F.cross_entropy(x, drawn, reduction="none"),
            "divergence": divergence,
        }.items():
            name = f"head/{cap or 0}/{name}"
            out[f"{name}/losses"] = loss(logits(*wide))
            grads = gradients(lambda *x: loss(logits(*x)), torch.ones(7), hidden, weight, bias)
            out |= {f"{name}/{part}": t for part, t in zip(("hidden", "weight", "bias"), grads)}
        out[f"head/{cap or 0}/drawn/labels"] = drawn.int()
    return out


def main():
    tensors = {}
    parts = (attentions, attention_gradients, norms, rotation, activations, limits, products, losses, loss_gradients)
    for part in parts:
        tensors |= part()
    keep = re.compile("loss/of_.*|loss/targets|head/uniforms|head/.*/losses|head/.*/drawn/labels")
    tensors = {name: (t if keep.fullmatch(name) else t.float()).contiguous() for name, t in tensors.items()}
    made = {"script": "tools/reference/ops.py"} | {name: version(name) for name in ("torch", "transformers", "safetensors")}
    save_file(tensors, OUT, metadata=made)
    print(OUT, OUT.stat().st_size)


if __name__ == "__main__":
    main()
