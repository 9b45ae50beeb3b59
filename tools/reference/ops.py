"""Writes fixtures/golden/ops.safetensors: what torch and transformers make of small inputs to each operation of a block.

    python tools/reference/ops.py            (from the repository's root)

Needs torch, transformers, safetensors; runs on a CPU. Inputs are float32; everything is computed in float64 and rounded
to float32 once, losses stay float64. The file's metadata says script and versions.
"""

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


def norms():
    x, weight, bias = noise(2, 5, 37, span=3.0) + 0.7, noise(3, 37), noise(4, 37)
    wide = [t.double() for t in (x, weight, bias)]
    return {
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
    turning = x[None, ..., :10].double().transpose(1, 2)
    turned, _ = apply_rotary_pos_emb(turning, turning, cos, sin)
    out = torch.cat([turned.transpose(1, 2)[0], x[..., 10:].double()], -1)
    return {"rotation/x": x, "rotation/frequencies": frequencies, "rotation/out": out}


def activations():
    x = torch.cat([noise(6, 200, span=9.0), torch.tensor([0.0, -0.0, 1e-20, -30.0, 30.0])])
    out = {"activation/x": x}
    for name in ("silu", "gelu", "gelu_pytorch_tanh", "relu", "relu2"):
        out[f"activation/{name}"] = ACT2FN[name](x.double())
    up, gate = noise(7, 3, 41), noise(8, 3, 41, span=6.0)
    out["gate/rows"] = torch.cat([up, gate], -1)
    out["gate/silu"] = F.silu(gate.double()) * up.double()
    return out


def products():
    x, weight, bias = noise(9, 7, 33), noise(10, 19, 33), noise(11, 19)
    out = F.linear(x.double(), weight.double(), bias.double())
    return {"linear/x": x, "linear/weight": weight, "linear/bias": bias, "linear/out": out}


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


def main():
    tensors = {}
    for part in (attentions, norms, rotation, activations, products, losses):
        tensors |= part()
    keep = ("loss/of_", "loss/targets")
    tensors = {name: (t if name.startswith(keep) else t.float()).contiguous() for name, t in tensors.items()}
    made = {"script": "tools/reference/ops.py"} | {name: version(name) for name in ("torch", "transformers", "safetensors")}
    save_file(tensors, OUT, metadata=made)
    print(OUT, OUT.stat().st_size)


if __name__ == "__main__":
    main()
