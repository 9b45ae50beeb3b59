"""Writes fixtures/quant/: small matrices and what other people's quantizers make of them.

    python tools/reference/quant.py            (from the repository's root)

Needs numpy, torch, scipy, safetensors, gguf, bitsandbytes, torchao, nvidia-modelopt; all run on a CPU. reference.safetensors
holds `in/<case>` and `<format>/<case>` (both f32, row-major); reference.json says who computed what, with versions, and
the relative errors and moments in float64.
"""

import json
from importlib.metadata import version
from pathlib import Path

import bitsandbytes.functional as bnb
import gguf
import numpy as np
import scipy.stats
import torch
from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor
from safetensors.numpy import save_file
from torchao.prototype.mx_formats.mx_tensor import ScaleCalculationMode, to_dtype, to_mx

GROUP = 128
ROOT = Path(__file__).resolve().parents[2] / "fixtures" / "quant"


def cases():
    rng = np.random.default_rng(20240601)
    gauss = rng.normal(0, 0.02, (6, 192))
    heavy = rng.standard_t(5, (5, 200)) * 0.02
    odd = rng.normal(0, 1, (3, 37))
    outlier = rng.normal(0, 0.02, (4, 160))
    outlier[2, 77] = -3.0
    zeros = rng.normal(0, 0.02, (4, 96))
    zeros[1] = 0
    zeros[2, 32:64] = 0
    column = rng.normal(0, 0.5, (5, 1))
    positive = np.abs(rng.normal(0, 0.02, (3, 130)))
    shifted = rng.normal(1, 0.001, (4, 129))
    out = dict(gauss=gauss, heavy=heavy, odd=odd, outlier=outlier, zeros=zeros, column=column, positive=positive, shifted=shifted)
    out = {name: w.astype(np.float32) for name, w in out.items()}
    # Few significant bits: values half-way between two levels are common.
    out["coarse"] = (rng.integers(-32, 33, (4, 256)) / 64).astype(np.float32)
    out["bf16"] = torch.tensor(rng.normal(0, 0.02, (3, 288)), dtype=torch.bfloat16).float().numpy()
    return out


def by_row(w, block, quantize):
    """Applies `quantize` ([blocks, block] -> same) to the rows of w, cut into blocks and padded with zeros."""
    pad = -w.shape[1] % block
    padded = np.pad(w, ((0, 0), (0, pad)))
    out = quantize(padded.reshape(-1, block)).reshape(padded.shape)
    return out[:, : w.shape[1]].astype(np.float32)


def int_asym(bits, w):
    """GPTQ's round to nearest in torch."""
    levels = 2**bits - 1
    out = torch.empty(w.shape)
    for start in range(0, w.shape[1], GROUP):
        x = torch.tensor(w[:, start : start + GROUP])
        low = torch.minimum(x.amin(1, keepdim=True), torch.zeros(1))
        high = torch.maximum(x.amax(1, keepdim=True), torch.zeros(1))
        scale = (high - low) / levels
        scale[scale == 0] = 1
        zero = torch.round(-low / scale)
        q = torch.clamp(torch.round(x / scale) + zero, 0, levels)
        out[:, start : start + GROUP] = scale * (q - zero)
    return out.numpy()


def int_sym(bits, w):
    highest = 2 ** (bits - 1) - 1
    out = torch.empty(w.shape)
    for start in range(0, w.shape[1], GROUP):
        x = torch.tensor(w[:, start : start + GROUP])
        scale = x.abs().amax(1, keepdim=True) / highest
        scale[scale == 0] = 1
        out[:, start : start + GROUP] = torch.clamp(torch.round(x / scale), -highest - 1, highest) * scale
    return out.numpy()


def nf4(w):
    # Row by row, since bitsandbytes cuts the flattened tensor.
    rows = []
    for row in torch.tensor(w):
        packed, state = bnb.quantize_4bit(row.reshape(1, -1).contiguous(), blocksize=64, quant_type="nf4")
        rows.append(bnb.dequantize_4bit(packed, state).reshape(-1))
    return torch.stack(rows).numpy()


def ggml(kind, w):
    return by_row(w, 32, lambda b: gguf.quants.dequantize(gguf.quants.quantize(b, kind), kind))


def mxfp4(w):
    def quantize(blocks):
        x = torch.tensor(blocks)
        scale, packed = to_mx(x, torch.float4_e2m1fn_x2, 32, ScaleCalculationMode.FLOOR)
        return to_dtype(packed, scale, torch.float4_e2m1fn_x2, 32, torch.float32).numpy()

    return by_row(w, 32, quantize)


def nvfp4(w):
    def quantize(blocks):
        q, scale, scale2 = NVFP4QTensor.quantize(torch.tensor(blocks), 16)
        return q.dequantize(torch.float32, scale=scale, double_scale=scale2, block_sizes={-1: 16}).numpy()

    return by_row(w, 16, quantize)


def fp8(w):
    x = torch.tensor(w)
    scale = x.abs().max() / 448
    return ((x / scale).to(torch.float8_e4m3fn).float() * scale).numpy()


def main():
    torch_ = f"torch {torch.__version__.split('+')[0]}"
    gguf_ = f"gguf {version('gguf')}"
    formats = {f"int{b}": (torch_, lambda w, b=b: int_asym(b, w)) for b in range(2, 9)}
    formats |= {f"int{b}-sym": (torch_, lambda w, b=b: int_sym(b, w)) for b in range(2, 9)}
    formats |= {
        "nf4": (f"bitsandbytes {version('bitsandbytes')}, quantize_4bit on the CPU", nf4),
        "q4_0": (gguf_, lambda w: ggml(gguf.GGMLQuantizationType.Q4_0, w)),
        "q8_0": (gguf_, lambda w: ggml(gguf.GGMLQuantizationType.Q8_0, w)),
        "nvfp4": (f"nvidia-modelopt {version('nvidia-modelopt')}, NVFP4QTensor", nvfp4),
        "mxfp4": (f"torchao {version('torchao')}, to_mx FLOOR", mxfp4),
        "fp8": (f"{torch_}, float8_e4m3fn", fp8),
    }
    tensors, errors, moments = {}, {}, {}
    for case, w in cases().items():
        tensors[f"in/{case}"] = np.ascontiguousarray(w)
        w64 = w.astype(np.float64)
        rms = np.sqrt(np.mean(w64**2))
        moments[case] = {
            "rms": rms,
            "mean-abs": np.mean(np.abs(w64)),
            "kurtosis": scipy.stats.kurtosis(w64, axis=None),
            "outlier-share": np.mean(np.abs(w64) > 6 * rms),
        }
        for name, (_, quantize) in formats.items():
            out = np.ascontiguousarray(quantize(w), dtype=np.float32)
            assert out.shape == w.shape, (name, case, out.shape)
            tensors[f"{name}/{case}"] = out
            errors.setdefault(name, {})[case] = np.linalg.norm(w64 - out) / np.linalg.norm(w64)
    ROOT.mkdir(parents=True, exist_ok=True)
    save_file(tensors, ROOT / "reference.safetensors")
    about = {
        "script": "tools/reference/quant.py",
        "group": GROUP,
        "computed_by": {name: who for name, (who, _) in formats.items()},
        "moments_by": f"numpy {np.__version__}, scipy {scipy.__version__}, float64",
        "errors": errors,
        "moments": moments,
    }
    (ROOT / "reference.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
