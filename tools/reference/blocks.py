"""Writes fixtures/blocks/blocks.safetensors: rows and the bytes that llama.cpp makes of them, type by type.

    python tools/reference/blocks.py LIBGGML_BASE          (from the repository's root)

LIBGGML_BASE is libggml-base.so of a llama.cpp built for x86-64 (the sdist of llama-cpp-python carries the source; target ggml-base). Tensors:

- rows: `wide` [rows, 768] (three blocks of 256), `narrow` [rows, 544] (17 blocks of 32, no whole number of 256), `searched` [rows, 512];
- `<set>.importance`: one per column;
- `<set>.<type>`, `<set>.<type>.importance`: the bytes, without importances and with; `.refused` after that: 1 for rows whose bytes
  llama.cpp's own validation refuses.

Where the gguf package has an encoder too, the script says how many blocks it writes otherwise: those of -0 only, whose scale it
gives the other sign.
"""

import ctypes
import sys
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

SEED = 20261127
OUT = Path(__file__).resolve().parents[2] / "fixtures" / "blocks" / "blocks.safetensors"
# Types that importances change nothing about, then the others.
PLAIN = ["f16", "bf16", "q8_0", "mxfp4"]
TYPES = [*PLAIN, "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs"]
# Types that have searches of their own without importances, whose ends ordinary rows seldom reach.
SEARCHED = ["q2_k", "q4_k", "q5_k"]
GGUF_ENCODES = ["f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "mxfp4"]


def rows(rng, n):
    """Ordinary rows first, then odd ones."""
    gauss = rng.normal(0, 0.02, n)
    outlier = rng.normal(0, 0.02, n)
    outlier[n // 3] = 40.0
    huge = rng.normal(0, 0.02, n)
    huge[n // 2] = 1e9
    sparse = rng.laplace(0, 0.02, n) * (rng.random(n) < 0.2)
    holes = rng.normal(0, 0.02, n)
    holes[64:128] = 0
    holes[256:512] = 0
    signed_zeros = np.where(np.arange(n) % 3 == 0, -0.0, 0.0)
    made = [
        gauss,
        rng.standard_t(3, n) * 0.02,
        rng.laplace(0, 0.05, n),
        rng.uniform(-1, 1, n),
        rng.normal(1, 0.001, n),
        -np.abs(rng.normal(0, 0.1, n)),
        np.abs(rng.normal(0, 0.1, n)),
        rng.integers(-32, 33, n) / 64,
        rng.normal(0, 1, n) * np.repeat(np.exp(rng.normal(0, 3, -(-n // 32))), 32)[:n],
        outlier,
        huge,
        sparse,
        holes,
        signed_zeros,
        np.zeros(n),
        np.full(n, 0.3),
        np.full(n, -0.3),
        rng.normal(0, 1e-7, n),
        rng.normal(0, 1e-17, n),
        rng.normal(0, 1e-39, n),
        rng.normal(0, 1e-44, n),
        rng.normal(0, 1, n) * 10.0 ** rng.uniform(-40, 2, n),
        rng.normal(0, 30000, n),
    ]
    return np.stack(made).astype(np.float32)


def importance(rng, n):
    values = rng.gamma(0.5, 1, n)
    values[40:44] = 0
    values[96:128] = 0
    values[7] = 1e5
    return values.astype(np.float32)


def searched(rng, n):
    """Rows on which the last scale that a search tries wins now and then; with the seed chosen, at least once per type."""
    positive = np.abs(rng.normal(0, 0.1, (40, n)))
    heavy = rng.standard_t(1.5, (10, n)) * 0.02
    coarse = rng.integers(-9, 10, (10, n)) / 64
    return np.concatenate([positive, heavy, coarse]).astype(np.float32)


class Ggml:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.ggml_quantize_chunk.restype = ctypes.c_size_t
        self.lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
        self.lib.ggml_validate_row_data.restype = ctypes.c_bool
        self.lib.ggml_validate_row_data.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
        self.lib.ggml_version.restype = self.lib.ggml_commit.restype = ctypes.c_char_p

    def about(self):
        return f"ggml {self.lib.ggml_version().decode()} {self.lib.ggml_commit().decode()}"

    def encode(self, qtype, x, weights):
        elements, size = gguf.GGML_QUANT_SIZES[qtype]
        out = np.zeros((x.shape[0], x.shape[1] // elements * size), np.uint8)
        pointer = None if weights is None else weights.ctypes.data
        written = self.lib.ggml_quantize_chunk(int(qtype), x.ctypes.data, out.ctypes.data, 0, *x.shape, pointer)
        assert written == out.size, qtype
        return out

    def refused(self, qtype, encoded):
        return np.array([not self.lib.ggml_validate_row_data(int(qtype), row.ctypes.data, row.size) for row in encoded], np.uint8)


def main():
    ggml = Ggml(sys.argv[1])
    rng = np.random.default_rng(SEED)
    tensors, otherwise = {}, []
    for name, columns in [("wide", 768), ("narrow", 544)]:
        x, weights = rows(rng, columns), importance(rng, columns)
        tensors[name], tensors[f"{name}.importance"] = x, weights
        for kind in TYPES:
            qtype = gguf.GGMLQuantizationType[kind.upper()]
            elements, size = gguf.GGML_QUANT_SIZES[qtype]
            if columns % elements:
                continue
            for key, used in [(f"{name}.{kind}", None), (f"{name}.{kind}.importance", weights)]:
                encoded = ggml.encode(qtype, x, used)
                if used is not None and kind in PLAIN:
                    assert (encoded == tensors[f"{name}.{kind}"]).all(), kind
                    continue
                tensors[key] = encoded
                tensors[f"{key}.refused"] = ggml.refused(qtype, tensors[key])
            if kind in GGUF_ENCODES:
                sound = tensors[f"{name}.{kind}.refused"] == 0
                theirs = gguf.quants.quantize(x[sound], qtype).view(np.uint8).reshape(-1, size)
                differ = int((theirs != tensors[f"{name}.{kind}"][sound].reshape(-1, size)).any(1).sum())
                otherwise.append(f"{name}.{kind} {differ}/{len(theirs)}")
    tensors["searched"] = searched(np.random.default_rng(SEED + 4), 512)
    for kind in SEARCHED:
        tensors[f"searched.{kind}"] = ggml.encode(gguf.GGMLQuantizationType[kind.upper()], tensors["searched"], None)
    assert {int(t.max()) for k, t in tensors.items() if k.endswith(".refused")} == {0, 1}, "some rows are refused, for some types"
    made_by = f"tools/reference/blocks.py, seed {SEED}, {ggml.about()}, gguf {version('gguf')}, numpy {version('numpy')}"
    print(made_by, "blocks that gguf writes otherwise: " + ", ".join(otherwise), sep="\n")
    OUT.parent.mkdir(exist_ok=True)
    save_file(tensors, OUT, {"made by": made_by})


if __name__ == "__main__":
    main()
