"""Writes fixtures/decode/sample.{safetensors,gguf}: small files as the `safetensors` and `gguf` packages write them.

They show that files made by others open here, and are the first inputs of the fuzz targets. Run from the root:

    python tools/reference/decode_samples.py
"""

import pathlib
from importlib.metadata import version

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

OUT = pathlib.Path("fixtures/decode")
SEED = 20261123


def main():
    rng = np.random.default_rng(SEED)
    query = rng.standard_normal((4, 32)).astype(np.float32)
    norm = rng.standard_normal(4).astype(np.float32)
    note = f"tools/reference/decode_samples.py, gguf {version('gguf')}, safetensors {version('safetensors')}"

    tensors = {
        "model.layers.0.self_attn.q_proj.weight": torch.from_numpy(query).to(torch.bfloat16),
        "model.layers.0.self_attn.k_proj.weight": torch.from_numpy(query).to(torch.float8_e4m3fn),
        "model.norm.weight": torch.from_numpy(norm),
        "ids": torch.arange(3),
    }
    save_file(tensors, OUT / "sample.safetensors", {"made by": note})

    writer = gguf.GGUFWriter(OUT / "sample.gguf", "llama")
    writer.add_name("sample")
    writer.add_description(note)
    writer.add_block_count(1)
    writer.add_rope_freq_base(10000.0)
    writer.add_token_list(["<s>", "a", "b"])
    writer.add_token_scores([0.0, -1.5, -2.0])
    writer.add_token_types([3, 1, 1])
    writer.add_add_bos_token(True)
    writer.add_tensor("blk.0.attn_q.weight", gguf.quants.quantize(query, gguf.GGMLQuantizationType.Q8_0),
                      raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("blk.0.attn_k.weight", gguf.quants.quantize(query, gguf.GGMLQuantizationType.Q4_0),
                      raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    writer.add_tensor("output_norm.weight", norm)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for name, values in [
        ("BF16", tensors["model.layers.0.self_attn.q_proj.weight"].float().numpy()),
        ("F8_E4M3", tensors["model.layers.0.self_attn.k_proj.weight"].float().numpy()),
        *((t, gguf.quants.dequantize(gguf.quants.quantize(query, gguf.GGMLQuantizationType[t]),
                                     gguf.GGMLQuantizationType[t])) for t in ("Q8_0", "Q4_0")),
    ]:
        print(name, values[3, -3:].tolist())
    print("norm", norm.tolist())


if __name__ == "__main__":
    main()
