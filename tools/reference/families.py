"""Writes the fixtures of the model families: fixtures/parity/<case>/ and fixtures/names/<case>.json.

Every case is a tiny random model that transformers instantiates and saves: config.json and model.safetensors (bf16).
names/<case>.json records what transformers says about it: names and shapes of its state dict, the dims of its config,
which saved tensor is which cell, and, where a cell is a part of a tensor or stored otherwise, cells.safetensors holds the
matrix as transformers' own forward pass computes with it: the module is run on unit vectors with its biases set to zero,
so that every sum has one term that is not zero and the weights come out exactly.

The names in the GGUF dialect come from gguf-py's TensorNameMap.

    python tools/reference/families.py [case ...]

A second run writes the same bytes (seeds are fixed per case).
"""

import json
import shutil
import sys
import zlib
from importlib.metadata import version
from pathlib import Path

import gguf
import safetensors
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from families_cases import CASES

ROOT = Path(__file__).resolve().parents[2] / "fixtures"
COMPONENTS = ["attn.q", "attn.k", "attn.v", "attn.o", "mlp.up", "mlp.down", "mlp.gate"]


def randomise(model, seed):
    """Every parameter random: a norm or bias left at its neutral value would hide a mistake in the next milestone."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() >= 2:
                parameter.copy_(noise * 0.4 / parameter.shape[-1] ** 0.5 if "embed" not in name else noise * 0.5)
            elif name.endswith("bias"):
                parameter.copy_(noise * 0.05)
            else:
                parameter.add_(noise * 0.1)


def run_on_units(module, width):
    """What a linear map does, as a matrix [out, in]: one unit vector per row of the batch."""
    return module(torch.eye(width).unsqueeze(1)).squeeze(1).T.contiguous()


def attention_inputs(attention, width):
    """q, k and v as the attention kernel receives them, for unit vectors at position 0: [out, in] each."""
    seen = {}

    def spy(module, query, key, value, *args, **kwargs):
        for name, tensor in (("attn.q", query), ("attn.k", key), ("attn.v", value)):
            # [D, heads, 1, C]
            seen[name] = tensor.detach().squeeze(2).reshape(width, -1).T.contiguous()
        return torch.zeros(width, 1, query.shape[1], query.shape[-1]), None

    ALL_ATTENTION_FUNCTIONS["spy"] = spy
    attention.config._attn_implementation = "spy"
    # No rotation: cos 1, sin 0. Rotary widths above what a family rotates are cut by the module itself.
    rotary = getattr(attention, "rotary_ndims", None) or getattr(attention, "head_dim", None)
    cos, sin = torch.ones(width, 1, rotary), torch.zeros(width, 1, rotary)
    kwargs = {} if type(attention).__name__ == "GPT2Attention" else {"position_embeddings": (cos, sin)}
    attention(torch.eye(width).unsqueeze(1), attention_mask=None, **kwargs)
    return seen


def expert_cells(experts, e, width):
    """gate, up and down of one expert, through the experts' own forward pass."""
    gate_up, down = experts.gate_up_proj.data.clone(), experts.down_proj.data.clone()
    ffn = down.shape[-1]
    route = lambda n: (torch.full((n, 1), e), torch.ones(n, 1))
    seen = []
    # The activation becomes the constant 1: what is left is down(up(x)).
    hook = experts.act_fn.register_forward_hook(lambda m, args, out: seen.append(args[0]) or torch.ones_like(out))
    experts.down_proj.data[e] = torch.eye(width, ffn)
    # One token at a time: kernels may sort tokens by expert, and the activation would see them in that order.
    up = torch.cat([experts(unit, *route(1)) for unit in torch.eye(width).split(1)]).T[:ffn].contiguous()
    gate = torch.cat(seen).T.contiguous()
    experts.down_proj.data.copy_(down)
    # gate and up both become the identity (padded), whichever half is which.
    experts.gate_up_proj.data[e] = torch.eye(ffn, width).repeat(2, 1)
    down_matrix = experts(torch.eye(ffn, width), *route(ffn)).T.contiguous()
    experts.gate_up_proj.data.copy_(gate_up)
    hook.remove()
    return {f"mlp.gate[{e}]": gate, f"mlp.up[{e}]": up, f"mlp.down[{e}]": down_matrix}


def fused_cells(case, model):
    """Cells that are no tensor of their own in the checkpoint, by the module's own arithmetic."""
    cells = {}
    width = model.config.hidden_size
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
        for layer, block in enumerate(case["layers"](model)):
            found = {}
            if case["fused"] == "phi3":
                attention, mlp = block.self_attn, block.mlp
                found |= attention_inputs(attention, width)
                seen = []
                hook = mlp.activation_fn.register_forward_hook(lambda m, args, out: seen.append(args[0]) or torch.ones_like(out))
                down = mlp.down_proj.register_forward_hook(lambda m, args, out: seen.append(args[0]))
                mlp(torch.eye(width).unsqueeze(1))
                hook.remove(), down.remove()
                found["mlp.gate"], found["mlp.up"] = (t.squeeze(1).T.contiguous() for t in seen)
            elif case["fused"] == "gpt2":
                found |= attention_inputs(block.attn, width)
                found["attn.o"] = run_on_units(block.attn.c_proj, width)
                found["mlp.up"] = run_on_units(block.mlp.c_fc, width)
                found["mlp.down"] = run_on_units(block.mlp.c_proj, found["mlp.up"].shape[0])
            elif case["fused"] == "gpt_neox":
                found |= attention_inputs(block.attention, width)
            elif case["fused"] == "experts":
                experts = getattr(block.mlp, "experts", None)
                for e in range(experts.num_experts if experts is not None else 0):
                    found |= expert_cells(experts, e, width)
            cells |= {f"L{layer}.{name}": matrix.to(torch.bfloat16) for name, matrix in found.items()}
    return cells


def plain_cells(case, model, saved):
    """Cells that are tensors of their own: the module's parameter, found in the saved file by its values."""
    modules = {
        "attn.q": "self_attn.q_proj", "attn.k": "self_attn.k_proj", "attn.v": "self_attn.v_proj",
        "attn.o": case.get("o", "self_attn.o_proj"), "mlp.up": case.get("up", "mlp.up_proj"),
        "mlp.down": case.get("down", "mlp.down_proj"), "mlp.gate": "mlp.gate_proj",
    }
    cells = {}
    for layer, block in enumerate(case["layers"](model)):
        present = dict(block.named_modules())
        for component in COMPONENTS:
            module = present.get(modules[component])
            if module is None or type(module).__name__ != "Linear":
                continue
            weight = module.weight.to(torch.bfloat16)
            same = [n for n, t in saved.items() if t.shape == weight.shape and torch.equal(t, weight)]
            assert len(same) == 1, (layer, component, same)
            cells[f"L{layer}.{component}"] = same[0]
    return cells


def gguf_names(case, model, saved):
    """Names in GGUF by gguf-py's map; experts are stacked, norms of heads too."""
    if "gguf" not in case:
        return {}
    arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == case["gguf"])
    names = gguf.get_tensor_name_map(arch, len(case["layers"](model)))
    out = {}
    for name in saved:
        out[name] = names.get_name(name, try_suffixes=(".weight", ".bias"))
    return out


def write_case(name):
    case = CASES[name]
    seed = zlib.crc32(name.encode())
    torch.manual_seed(seed)
    config = case["config"]()
    model = case["model"](config).eval()
    randomise(model, seed)
    model.to(torch.bfloat16)
    folder = ROOT / "parity" / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    saved = load_file(folder / "model.safetensors")
    state = {n: list(t.shape) for n, t in sorted(saved.items())}
    plain = plain_cells(case, model, saved)
    gguf_map = gguf_names(case, model, saved)
    fused = fused_cells(case, model.to(torch.float32)) if "fused" in case else {}
    if fused:
        save_file(fused, folder / "cells.safetensors")
    record = {
        "__comment": "written by tools/reference/families.py",
        "versions": {
            "transformers": transformers.__version__, "torch": torch.__version__,
            "safetensors": safetensors.__version__, "gguf": version("gguf"),
        },
        "seed": seed,
        "family": case["family"],
        "dims": case["dims"](config),
        "missing": case.get("missing", []),
        "cells": plain,
        "fused": sorted(fused),
        "gguf_architecture": case.get("gguf"),
        "gguf_pairs": case.get("pairs", False),
        "gguf_names": gguf_map,
        "tensors": state,
    }
    path = ROOT / "names" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: {len(state)} tensors, {len(plain)} plain and {len(fused)} other cells, {size / 1000:.0f} kB")


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    for name in sys.argv[1:] or CASES:
        write_case(name)
