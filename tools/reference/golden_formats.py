"""Errors of number formats, `||W - Q(W)||_F / ||W||_F`, each written independently of the Rust code.

Groups and blocks run along the input dimension of a row; a last short group is a group. Q4_0 is what the `gguf` package
makes of the matrix; conversions to FP8 are torch's.
"""

import gguf
import numpy as np
import torch

# The 16 levels of NF4: published constants of QLoRA (arXiv 2305.14314), as bitsandbytes stores them.
NF4 = np.array(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
        -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
        0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ]
)  # fmt: skip
E2M1 = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
E4M3_LARGEST = 448.0
E2M1_LARGEST = 6.0


def error_scores(weights, group):
    """Every format's relative error on one float32 matrix."""
    w = weights.astype(np.float64)
    size = np.linalg.norm(w)
    return {name: np.linalg.norm(w - q) / size for name, q in rounded_weights(weights, group).items()}


def rounded_weights(weights, group):
    """What every format makes of one float32 matrix, by the id of its error."""
    w = weights.astype(np.float64)
    quantized = {f"err-int{bits}": integer(w, bits, group) for bits in (4, 3, 2)}
    return quantized | {
        "err-nf4": nf4(w),
        "err-q4_0": q4_0(weights),
        "err-nvfp4": nvfp4(weights),
        "err-mxfp4": mxfp4(w),
        "err-fp8": fp8(weights),
    }


def by_group(w, group, quantize):
    """Applies `quantize` to [rows, group] slices of `w`, side by side; the last one may be narrower."""
    starts = range(0, w.shape[1], group)
    return np.concatenate([quantize(w[:, at : at + group]) for at in starts], axis=1)


def integer(w, bits, group):
    """Asymmetric round to nearest, zero inside the range."""
    top = 2**bits - 1

    def quantize(g):
        low = np.minimum(g.min(axis=1, keepdims=True), 0.0)
        high = np.maximum(g.max(axis=1, keepdims=True), 0.0)
        step = (high - low) / top
        step[step == 0] = 1.0
        zero = np.round(-low / step)
        code = np.clip(np.round(g / step) + zero, 0, top)
        return (code - zero) * step

    return by_group(w, group, quantize)


def nearest(values, levels):
    """The level nearest to each value; `levels` ascend."""
    between = (levels[1:] + levels[:-1]) / 2
    return levels[np.searchsorted(between, values)]


def nf4(w):
    """Blocks of 64 scaled by their largest magnitude."""

    def quantize(g):
        largest = np.abs(g).max(axis=1, keepdims=True)
        largest[largest == 0] = 1.0
        return nearest(g / largest, NF4) * largest

    return by_group(w, 64, quantize)


def q4_0(weights):
    """What llama.cpp's reference quantizer, in the `gguf` package's own rewriting, makes of it."""
    kind = gguf.GGMLQuantizationType.Q4_0
    return gguf.dequantize(gguf.quantize(weights, kind), kind).astype(np.float64)


def e4m3(values):
    """Rounded to FP8 E4M3 by torch; float64 out."""
    return torch.from_numpy(np.asarray(values, np.float32)).to(torch.float8_e4m3fn).to(torch.float64).numpy()


def e2m1(values):
    """Rounded to the nearest of the 15 FP4 values, clamped at 6."""
    return np.copysign(nearest(np.abs(values), E2M1), values)


def nvfp4(weights):
    """Blocks of 16; block scales in E4M3 relative to one scale per tensor.

    In float32 and in the order of NVIDIA's ModelOpt (`amax / (6 g)`, at least the smallest E4M3): weights that were quantized
    before lie on a lattice, where a block scale is often an exact tie, and the order of roundings then decides.
    """
    per_tensor = np.abs(weights).max() / np.float32(E2M1_LARGEST * E4M3_LARGEST)

    def quantize(g):
        block = np.abs(g).max(axis=1, keepdims=True) / (np.float32(E2M1_LARGEST) * per_tensor)
        scale = e4m3(np.clip(block, 2.0**-9, E4M3_LARGEST)).astype(np.float32) * per_tensor
        return (e2m1(g / scale) * scale).astype(np.float64)

    return by_group(weights, 16, quantize)


def mxfp4(w):
    """Blocks of 32; scales are powers of two (OCP MX 1.0)."""

    def quantize(g):
        largest = np.abs(g).max(axis=1, keepdims=True)
        largest[largest == 0] = 1.0
        # frexp gives largest = mantissa * 2 ** exponent with mantissa in [0.5, 1), so floor(log2) is exponent - 1, exactly.
        exponent = np.frexp(largest)[1] - 1
        scale = np.exp2(exponent - 2.0)
        return e2m1(g / scale) * scale

    return by_group(w, 32, quantize)


def fp8(weights):
    """E4M3 with one scale per tensor."""
    scale = np.float32(np.abs(weights).max() / np.float32(E4M3_LARGEST))
    return e4m3(weights / scale) * np.float64(scale)
