"""Gradients of every tensor of a checkpoint, by the tensors' own names: weights.backward.safetensors.

The names, and which parts of a fused tensor are whose, are left to transformers: a model whose parameters *are* the gradients is
saved, and what stands in the file is read back. What that does to the parameters themselves must give model.safetensors again
(`check_names`); it only cuts, joins and turns tensors, so it is right for gradients too.
"""

import re
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

# Zero but for rounding, in float64: the gradient of the bias of k without angles, of a router that has no choice to make.
ZERO = 1e-14
NOISE = 1e-5
# Rope variants of one architecture: what differs is seen in the gradients of q and k; `llama_llama3` has the matrices.
SMALLER = {
    f"llama_{rope}" for rope in ("linear", "dynamic", "longrope", "longrope_attention_factor", "yarn", "yarn_mscale", "yarn_attention_factor")
}
# What forward_cases.py has no case of: a family, a dense layer among experts, parameters that the loss does not see.
MORE = {"arcee", "qwen3_moe", "gemma3_multimodal"}
ROUTERS = ("mlp.gate.weight", "block_sparse_moe.gate.weight")


def by_name(model, names, values):
    """`values` (one for each parameter, None for those the loss does not see) as tensors of the checkpoint that has `names`."""
    parameters = list(model.parameters())
    kept = [p.data for p in parameters]
    missing = torch.tensor(torch.nan, dtype=torch.float64)
    try:
        for parameter, value in zip(parameters, values):
            # Not a number where there is nothing: whatever is made of it afterwards, it is recognised.
            parameter.data = missing.to(parameter.dtype).repeat(parameter.shape) if value is None else value.detach().clone()
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            saved = load_file(Path(folder) / "model.safetensors")
    finally:
        for parameter, data in zip(parameters, kept):
            parameter.data = data
    # A checkpoint without a head is loaded into a model with one: its names have no prefix.
    prefix = f"{model.base_model_prefix}." if not names & set(saved) else ""
    saved = {n.removeprefix(prefix): t for n, t in saved.items()}
    assert set(saved) == names, names ^ set(saved)
    return {n: t for n, t in sorted(saved.items()) if not t.isnan().all()}


def check_names(model, stored):
    """The model's own parameters, named this way, are the tensors of the file."""
    again = by_name(model, set(stored), [p.data for p in model.parameters()])
    assert again.keys() == stored.keys()
    assert all(torch.equal(t, stored[n].to(t.dtype)) for n, t in again.items())


def compare(found, exact):
    """The largest relative norm of the difference to float64, its tensor, and the tensors whose gradient is zero but for rounding."""
    worst, zero = (0.0, ""), []
    assert found.keys() == exact.keys()
    for name, true in exact.items():
        assert found[name].isfinite().all() and found[name].shape == true.shape, name
        if true.norm() < ZERO:
            assert found[name].norm() < 1e-6, name
            zero.append(name)
            continue
        error = ((found[name].double() - true).norm() / true.norm()).item()
        assert error < NOISE, (name, error)
        worst = max(worst, (error, name))
    return worst, zero


def written(case, louder, tensors):
    """What of the tensors is written, and that in words: all of them in the cases of forward_cases.py (`louder`) and MORE."""
    if (louder and case not in SMALLER) or case in MORE:
        return tensors, "every tensor"
    inside = lambda n: re.search(r"(^|\.)(layers|h)\.\d", n)
    kept = {n: t for n, t in tensors.items() if t.dim() == 1 or not inside(n) or n.endswith(ROUTERS)}
    return kept, "all but the matrices of layers; routers are there"
