"""Writes fixtures/decode/blocks.safetensors: random valid blocks of every type and the f32 values they stand for.

The values are those of `gguf.quants.dequantize` (GGUF types) and of torch (FP8, F64). Run from the root of the repository:

    python tools/reference/decode.py
"""

import pathlib
from importlib.metadata import version

import gguf
import numpy as np
import torch
from safetensors.numpy import save_file

SEED = 20261123
OUT = pathlib.Path("fixtures/decode/blocks.safetensors")

# Bytes of a block that hold f16 scales; any other byte may be anything.
F16_FIELDS = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [], "F16": [0],
}

# Zero, the smallest subnormal, the largest subnormal, one, minus one, the largest finite number.
SPECIAL_HALVES = [0x0000, 0x8000, 0x0001, 0x03FF, 0x3C00, 0xBC00, 0x7BFF]


def halves(rng, count):
    bits = rng.integers(0, 1 << 16, count, dtype=np.uint16)
    bits[(bits & 0x7C00) == 0x7C00] ^= 0x4000  # no infinities, no NaN
    bits[: len(SPECIAL_HALVES)] = SPECIAL_HALVES[:count]
    return bits


def gguf_blocks(rng, name):
    qtype = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[qtype]
    count = max(16, 2048 // elements)
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in F16_FIELDS.get(name, []):
        blocks[:, at : at + 2] = rng.permutation(halves(rng, count)).view(np.uint8).reshape(count, 2)
    if name == "MXFP4":
        blocks[:16, 0] = [0, 1, 2, 3, 126, 127, 128, 129, 249, 250, 251, 252, 100, 101, 4, 5]
        blocks[blocks[:, 0] > 252, 0] = 127  # the values would not be finite
    if name in ("F32", "BF16"):
        kind = np.uint32 if name == "F32" else np.uint16
        bits = blocks.view(kind)
        exponent, top = (0x7F800000, 0x40000000) if name == "F32" else (0x7F80, 0x4000)
        bits[(bits & exponent) == exponent] ^= kind(top)
    values = gguf.quants.dequantize(blocks, qtype).astype(np.float32).reshape(-1)
    assert np.isfinite(values).all(), name
    return blocks.reshape(-1), values


def torch_values(raw, dtype):
    return raw, torch.from_numpy(raw.copy()).view(dtype).to(torch.float32).numpy()


def main():
    rng = np.random.default_rng(SEED)
    tensors = {}
    for name in ["F32", "BF16", *F16_FIELDS]:
        tensors[f"{name}.blocks"], tensors[f"{name}.values"] = gguf_blocks(rng, name)
    codes = np.arange(256, dtype=np.uint8)
    doubles = (rng.standard_normal(512) * 10.0 ** rng.integers(-42, 38, 512)).astype("<f8")
    for name, raw, dtype in [
        ("F8_E4M3", codes, torch.float8_e4m3fn),
        ("F8_E5M2", codes, torch.float8_e5m2),
        ("F64", doubles.view(np.uint8), torch.float64),
    ]:
        tensors[f"{name}.blocks"], tensors[f"{name}.values"] = torch_values(raw, dtype)
    versions = ", ".join(f"{package} {version(package)}" for package in ("gguf", "numpy", "torch", "safetensors"))
    # One entry: the library writes several in a random order, and the file would differ from run to run.
    save_file(tensors, OUT, {"made by": f"tools/reference/decode.py, seed {SEED}, {versions}"})


if __name__ == "__main__":
    main()
