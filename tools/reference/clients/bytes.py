"""Writes fixtures/clients/bytes.json: what matrices take as the clients' own code stores them.

    python tools/reference/clients/bytes.py --gptqmodel SDIST
"""

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import client_code  # noqa: E402
import torch  # noqa: E402

FIXTURE = Path(__file__).resolve().parents[3] / "fixtures/clients/bytes.json"
SHAPES = [(576, 576), (192, 576), (100, 128), (7, 64)]


def mlx(rows, columns):
    import mlx.core as mx
    import mlx.nn as nn

    for bits in [2, 3, 4, 5, 6, 8]:
        for group in [32, 64, 128]:
            if columns % group == 0:
                layer = nn.Linear(columns, rows, bias=False)
                layer.weight = layer.weight.astype(mx.bfloat16)
                layer = layer.to_quantized(group_size=group, bits=bits)
                yield f"int{bits}:g{group}", sum(a.nbytes for a in [layer.weight, layer.scales, layer.biases])


def compressed_tensors(rows, columns):
    from compressed_tensors.compressors import compress_module
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme, initialize_module_for_quantization

    cases = [
        (f"int{bits}{'-sym' if symmetric else ''}:g{group}", {"num_bits": bits, "type": "int", "strategy": "group", "group_size": group, "symmetric": symmetric})
        for bits in [4, 8]
        for group in [32, 64, 128]
        for symmetric in [True, False]
        if columns % group == 0
    ]
    cases.append(("fp8", {"num_bits": 8, "type": "float", "strategy": "tensor", "symmetric": True}))
    cases.append(("nvfp4", {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "symmetric": True,
                            "scale_dtype": torch.float8_e4m3fn, "zp_dtype": torch.float8_e4m3fn}))
    for name, weights in cases:
        layer = torch.nn.Linear(columns, rows, bias=False, dtype=torch.bfloat16)
        scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(dynamic=False, **weights))
        initialize_module_for_quantization(layer, scheme)
        for key, value in layer.named_parameters():
            if key != "weight":
                value.data = torch.zeros_like(value) if "zero_point" in key else torch.ones_like(value, dtype=torch.float32).to(value.dtype)
        compress_module(layer)
        yield name, sum(p.numel() * p.element_size() for p in list(layer.parameters()) + list(layer.buffers()))


def gptqmodel(sdist):
    """Buffers that its layers register, without the packing: `_register_gptq_buffers` says all shapes."""
    path = Path(sdist) / "gptqmodel/nn_modules/qlinear/__init__.py"
    layers = client_code.load("gptqmodel", "gptqmodel.nn_modules.qlinear", path)

    def sizes(rows, columns):
        for bits in [2, 3, 4, 8]:
            for group in [32, 64, 128]:
                if columns % group == 0:
                    layer = torch.nn.Module()
                    layer.in_features, layer.out_features, layer.group_size, layer.bits = columns, rows, group, bits
                    layer.pack_dtype, layer.pack_dtype_bits = torch.int32, 32
                    layers.GPTQQuantLinear._register_gptq_buffers(layer, bias=False)
                    size = sum(b.numel() * b.element_size() for b in layer.buffers())
                    yield f"int{bits}-sym:g{group}", size
                    yield f"int{bits}:g{group}", size

    return sizes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gptqmodel", required=True)
    arguments = parser.parse_args()
    clients = {}
    clients_of = [("mlx", mlx), ("llm-compressor", compressed_tensors), ("gptqmodel", gptqmodel(arguments.gptqmodel))]
    for client, sizes in clients_of:
        clients[client] = [{"rows": r, "columns": c, "stored": name, "bytes": size} for r, c in SHAPES for name, size in sizes(r, c)]
    versions = {name: version(name) for name in ["mlx", "compressed-tensors", "torch"]}
    versions["gptqmodel"] = Path(arguments.gptqmodel).name
    lines = {client: [json.dumps(row) for row in rows] for client, rows in clients.items()}
    text = json.dumps({"script": "tools/reference/clients/bytes.py", "versions": versions, "clients": "@"}, indent=1)
    body = ",\n".join(f'  "{client}": [\n   ' + ",\n   ".join(rows) + "\n  ]" for client, rows in lines.items())
    FIXTURE.write_text(text.replace('"@"', "{\n" + body + "\n }") + "\n")


if __name__ == "__main__":
    main()
