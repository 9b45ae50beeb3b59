"""Writes fixtures/adapters/<case>/: LoRA adapters as the peft package writes them, and what peft makes of them.

    python tools/reference/adapters.py [case ...]

Every case is an adapter on one of the tiny models of fixtures/parity (`families.py` wrote those). peft makes it and saves it
(adapter_config.json, adapter_model.safetensors); then peft reads the folder back, as a user would, and the rest is what it
found there:

- peft.json: rank, alpha and scaling of every module that carries factors, and what the base was loaded as;
- merged.safetensors: every weight of a layer that `merge_and_unload` changed, under the base's own names.

Entries of A and B are multiples of 1/64 up to 1/8, and scalings powers of two wherever the case allows it, so that merging
rounds (almost) nothing: `rounded` in peft.json is the largest difference between the merged weights and the same sum in float64,
relative to the largest change. A checkpoint that was merged in float32 without that care has the rounding in it, and one merged
in bf16 mostly consists of it where changes are small.
"""

import json
import os
import shutil
import sys
import warnings
import zlib
from importlib.metadata import version
from pathlib import Path

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import LoraLayer
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2] / "fixtures"
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj", "gate_proj"]
KEPT = ("adapter_config.json", "adapter_model.safetensors")

CASES = {
    "plain": {"base": "llama", "config": {"r": 4, "lora_alpha": 8, "target_modules": ALL}},
    # Several keys match a module: which one counts is what the case is for.
    "patterns": {
        "base": "llama",
        "config": {
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ALL,
            "exclude_modules": ["model.layers.1.mlp.gate_proj"],
            "rank_pattern": {
                "^model\\.layers\\.0\\.self_attn\\.q_proj": 2,
                "down_proj": 8,
                "layers\\.[12]\\.self_attn\\.(k|o)_proj": 1,
                "model.layers.2.mlp.down_proj": 16,
                "proj": 3,
                "q_proj": 5,
                "up_proj$": 2,
            },
            "alpha_pattern": {"layers\\.0\\..*": 16, "k_proj": 0.5, "model.layers.2.mlp.up_proj": 32},
        },
    },
    "rslora": {
        "base": "llama",
        "config": {
            "r": 4,
            "lora_alpha": 4,
            "target_modules": ["q_proj", "v_proj", "down_proj"],
            "layers_to_transform": [0, 2],
            "rank_pattern": {"down_proj": 16},
            "use_rslora": True,
        },
    },
    "dora": {
        "base": "llama",
        "config": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "k_proj", "o_proj", "down_proj"], "use_dora": True},
    },
    "bf16": {
        "base": "llama",
        "dtype": torch.bfloat16,
        "config": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "up_proj"]},
    },
    # Things beside the grid, a cell saved whole, and biases of both kinds.
    "beside": {
        "base": "llama",
        "config": {
            "r": 2,
            "lora_alpha": 4,
            "target_modules": ["k_proj", "o_proj", "embed_tokens", "lm_head"],
            "modules_to_save": ["input_layernorm", "model.layers.1.mlp.up_proj"],
            "bias": "lora_only",
            "lora_bias": False,
        },
    },
    "biases": {
        "base": "llama",
        "config": {
            "r": 2,
            "lora_alpha": 4,
            "target_modules": ["v_proj", "gate_proj"],
            "layers_to_transform": [1],
            "bias": "all",
            "lora_bias": True,
        },
    },
    "gpt2": {
        "base": "gpt2",
        "config": {"r": 4, "lora_alpha": 8, "target_modules": ["c_attn", "attn.c_proj", "c_fc"], "fan_in_fan_out": True,
                   "layers_to_transform": [0, 1], "layers_pattern": "h"},
    },
    "gpt2_dora": {
        "base": "gpt2",
        "config": {"r": 2, "lora_alpha": 4, "target_modules": ["c_attn"], "fan_in_fan_out": True, "use_dora": True},
    },
    "phi3": {
        "base": "phi3",
        "config": {"r": 4, "lora_alpha": 8, "target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
                   "layers_to_transform": [0, 2], "rank_pattern": {"gate_up_proj": 2}},
    },
    "experts": {
        "base": "mixtral",
        "config": {
            "r": 2,
            "lora_alpha": 4,
            "target_modules": ["q_proj"],
            "target_parameters": ["layers.1.mlp.experts.gate_up_proj", "layers.1.mlp.experts.down_proj"],
            "rank_pattern": {"mlp.experts.down_proj": 4},
        },
    },
}


def base_model(case):
    # Relative, so that the saved config names no folder of this machine.
    dtype = case.get("dtype", torch.float32)
    return transformers.AutoModelForCausalLM.from_pretrained(f"parity/{case['base']}", dtype=dtype)


def fill(model, generator):
    """Random factors, magnitudes and saved modules; peft's own start is a change of nothing."""
    for name, parameter in sorted(model.named_parameters()):
        noise = lambda: torch.randn(parameter.shape, generator=generator)
        if "lora_magnitude_vector" in name:
            parameter.data.mul_(1 + 0.1 * noise())
        elif ".lora_" in name:
            parameter.data.copy_(torch.randint(-8, 9, parameter.shape, generator=generator) / 64)
        elif parameter.requires_grad:
            parameter.data.add_(0.01 * noise())


def modules(model):
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            found[name.removeprefix("base_model.model.")] = {
                "r": module.r["default"],
                "alpha": module.lora_alpha["default"],
                "scaling": module.scaling["default"],
            }
    return found


def largest_rounding(before, merged, exact):
    off = max((merged[k].double() - exact[k]).abs().max().item() for k in merged)
    size = max((exact[k] - before[k].double()).abs().max().item() for k in merged)
    return off / size


def as_saved(model, folder):
    """Weights under the names of the checkpoint: transformers' own saving, which is where it turns fused experts back."""
    model.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    shutil.rmtree(folder)
    return tensors


def write(name, case):
    folder = ROOT / "adapters" / name
    shutil.rmtree(folder, ignore_errors=True)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    torch.manual_seed(zlib.crc32(name.encode()))
    made = get_peft_model(base_model(case), LoraConfig(task_type="CAUSAL_LM", **case["config"]), autocast_adapter_dtype=False)
    fill(made, generator)
    made.save_pretrained(folder)
    for file in folder.iterdir():
        if file.name not in KEPT:
            file.unlink()

    scratch = folder / "scratch"
    read = PeftModel.from_pretrained(base_model(case), folder)
    found = modules(read)
    merged = as_saved(read.merge_and_unload(), scratch)
    before = as_saved(base_model(case), scratch)
    double = PeftModel.from_pretrained(base_model(case).double(), folder)
    exact = as_saved(double.double().merge_and_unload(), scratch)
    in_layers = lambda k: (".layers." in k or ".h." in k) and before[k].dim() >= 2
    changed = {k: v.contiguous() for k, v in merged.items() if in_layers(k) and not torch.equal(v, before[k])}
    save_file(changed, folder / "merged.safetensors")
    about = {
        "script": "tools/reference/adapters.py",
        "versions": {p: version(p) for p in ("peft", "torch", "transformers", "safetensors")},
        "base": f"parity/{case['base']}",
        "base_loaded_as": str(case.get("dtype", torch.float32)).removeprefix("torch."),
        "rounded": largest_rounding({k: before[k] for k in changed}, changed, exact),
        "modules": found,
    }
    (folder / "peft.json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"{name}: {len(found)} modules, {len(changed)} weights changed, rounded {about['rounded']:.1e}")


def main():
    warnings.filterwarnings("ignore")
    transformers.utils.logging.disable_progress_bar()
    os.chdir(ROOT)
    for name in sys.argv[1:] or CASES:
        write(name, CASES[name])


if __name__ == "__main__":
    main()
