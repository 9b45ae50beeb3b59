"""Writes fixtures/imatrix/<case>.gguf and .dat: importance matrices of tiny models, from the taps in fixtures/parity/<case>/.

    python tools/reference/imatrix.py [LLAMA-IMATRIX]

Sums of squares over all tokens of both sequences in float64, stored as float32. The GGUF file is written by the gguf package
under the names that its TensorNameMap gives; experts are one stack. The .dat follows llama.cpp's `save_imatrix_legacy`,
chunks of 8 tokens. With the path of a llama-imatrix, <case>.statistics.txt is what it prints for the GGUF file with
`--show-statistics`.
"""

import re
import struct
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np

from activations import PARTS, Case, parse

ROOT = Path(__file__).resolve().parents[2] / "fixtures"
CASES = ("llama", "mixtral")
CHUNK = 8
NAMES = {"attn.q": "attn_q", "attn.k": "attn_k", "attn.v": "attn_v", "attn.o": "attn_output", "mlp.up": "ffn_up",
         "mlp.down": "ffn_down", "mlp.gate": "ffn_gate"}


def entries(case):
    """GGUF name -> sums of squares [n_mat, n] and counts [n_mat]."""
    out = {}
    for cell in case.weights:
        layer, component, expert = parse(cell)
        x = np.concatenate([case.inputs(cell, part) for part in PARTS])
        name = f"blk.{layer}.{NAMES[component]}{'_exps' if expert is not None else ''}.weight"
        out.setdefault(name, {})[expert or 0] = ((x**2).sum(0), len(x))
    return {
        name: (np.array([m[e][0] for e in sorted(m)]), np.array([m[e][1] for e in sorted(m)]))
        for name, m in sorted(out.items())
    }


def write_gguf(path, data, chunks):
    writer = gguf.GGUFWriter(path, "")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["fixtures/parity"])
    writer.add_uint32("imatrix.chunk_count", chunks)
    writer.add_uint32("imatrix.chunk_size", CHUNK)
    for name, (sums, counts) in data.items():
        writer.add_tensor(f"{name}.in_sum2", sums.astype(np.float32))
        writer.add_tensor(f"{name}.counts", counts.astype(np.float32)[:, None])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_legacy(path, data, chunks):
    out = struct.pack("<i", len(data))
    for name, (sums, counts) in data.items():
        calls = -(-int(counts.max()) // CHUNK)
        safe = np.maximum(counts, 1)[:, None]
        values = np.where(counts[:, None] == 0, 1.0, sums / safe) * calls
        out += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, values.size)
        out += values.astype("<f4").tobytes()
    dataset = b"fixtures/parity"
    path.write_bytes(out + struct.pack("<ii", chunks, len(dataset)) + dataset)


def main():
    folder = ROOT / "imatrix"
    folder.mkdir(exist_ok=True)
    for name in CASES:
        data = entries(Case(name))
        chunks = 16 // CHUNK
        write_gguf(folder / f"{name}.gguf", data, chunks)
        write_legacy(folder / f"{name}.dat", data, chunks)
        if len(sys.argv) > 1:
            run = [sys.argv[1], "-m", "none", "--in-file", folder / f"{name}.gguf", "--show-statistics", "-lv", "5"]
            text = subprocess.run(run, capture_output=True, text=True, check=True)
            lines = re.findall(r"^\S+ I\s+(\d+\t.*)$", text.stdout + text.stderr, re.M)
            (folder / f"{name}.statistics.txt").write_text("\n".join(lines) + "\n")
        print(name, len(data), "entries")


if __name__ == "__main__":
    main()
