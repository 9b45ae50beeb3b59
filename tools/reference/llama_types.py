"""Writes fixtures/plan/llama-types.json: which type llama-quantize gives every tensor of seven models, for every mix.

    python tools/reference/llama_types.py LLAMA-QUANTIZE SMOLLM2.GGUF

Nothing is quantized: `--dry-run` prints the decisions. SmolLM2 is the real file; the other models are made here, of zeros, with just the
numbers that the rule looks at: heads that share a value head, eight experts, eighty layers, a fused query, key and value, falcon. Of
each model: the type of the file's tensors in its order, a letter per type, per mix; `+imatrix` where importances were given. Of three
models, what the quantized file really takes, and how much of that is metadata.
"""

import json
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import gguf
import numpy as np

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "plan" / "llama-types.json"
MIXES = ("Q2_K Q3_K_S Q3_K_M Q3_K_L IQ4_XS IQ4_NL Q4_0 Q4_K_S Q4_K_M Q4_1 Q5_0 Q5_K_S Q5_K_M Q5_1 Q6_K Q8_0").split()
WITH_IMATRIX = "Q4_0 Q5_0 IQ4_XS IQ4_NL Q4_K_M".split()
# family, layers, query heads, value heads, experts, head of its own, width, width of the MLP
MODELS = {
    "shared-by-four": ("llama", 16, 8, 2, 0, True, 256, 512),
    "short-rows": ("llama", 16, 8, 8, 0, True, 160, 97),
    "eight-experts": ("llama", 16, 8, 2, 8, True, 256, 512),
    "four-experts": ("llama", 16, 8, 4, 4, False, 256, 512),
    "eighty-layers": ("llama", 80, 8, 2, 0, True, 256, 256),
    "fused": ("phi3", 32, 8, 8, 0, True, 256, 512),
    "falcon": ("falcon", 32, 8, 1, 0, True, 256, 512),
}


def tensors(family, layers, heads, values, experts, head, width, mlp):
    """Names and shapes, slowest dimension first."""
    kv = width // heads * values
    yield "token_embd.weight", (64, width)
    if head:
        yield "output.weight", (64, width)
    yield "output_norm.weight", (width,)
    if family == "falcon":
        yield "output_norm.bias", (width,)
    for i in range(layers):
        block = f"blk.{i}."
        yield block + "attn_norm.weight", (width,)
        if family in ("phi3", "falcon"):
            yield block + "attn_qkv.weight", (width + 2 * kv, width)
        else:
            yield block + "attn_q.weight", (width, width)
            yield block + "attn_k.weight", (kv, width)
            yield block + "attn_v.weight", (kv, width)
        yield block + "attn_output.weight", (width, width)
        if family == "falcon":
            yield block + "attn_norm.bias", (width,)
            yield block + "ffn_up.weight", (mlp, width)
            yield block + "ffn_down.weight", (width, mlp)
            continue
        yield block + "ffn_norm.weight", (width,)
        if experts:
            yield block + "ffn_gate_inp.weight", (experts, width)
            yield block + "ffn_gate_exps.weight", (experts, mlp, width)
            yield block + "ffn_up_exps.weight", (experts, mlp, width)
            yield block + "ffn_down_exps.weight", (experts, width, mlp)
        elif family == "phi3":
            yield block + "ffn_up.weight", (2 * mlp, width)
            yield block + "ffn_down.weight", (width, mlp)
        else:
            yield block + "ffn_gate.weight", (mlp, width)
            yield block + "ffn_up.weight", (mlp, width)
            yield block + "ffn_down.weight", (width, mlp)


def write(path, family, layers, heads, values, experts, head, width, mlp):
    writer = gguf.GGUFWriter(path, family)
    writer.add_block_count(layers)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(mlp)
    writer.add_head_count(heads)
    writer.add_head_count_kv(values)
    writer.add_vocab_size(64)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(2)
    for name, shape in tensors(family, layers, heads, values, experts, head, width, mlp):
        writer.add_tensor(name, np.zeros(shape, np.float32 if len(shape) == 1 or "gate_inp" in name else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_imatrix(path):
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["none"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 64)
    writer.add_tensor("blk.0.attn_q.weight.in_sum2", np.ones((1, 256), np.float32))
    writer.add_tensor("blk.0.attn_q.weight.counts", np.ones((1, 1), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


LINE = re.compile(r"^\[ *\d+/ *\d+\] +(\S+) +- \[([\d, ]+)\], type = +(\w+), .*?(?:MiB -> .*MiB \((\w+)\))?$")


def dry_run(program, model, mix, imatrix=None):
    """Shapes, slowest first, and the type of each tensor; the version; the size it says."""
    extra = ["--imatrix", str(imatrix)] if imatrix else []
    done = subprocess.run([program, "--dry-run", *extra, str(model), mix], capture_output=True, text=True)
    text = done.stdout + done.stderr
    if done.returncode:
        raise SystemExit(text)
    rows = [LINE.match(line) for line in text.splitlines()]
    found = {}
    for row in filter(None, rows):
        shape = [int(n) for n in row[2].split(",")]
        while len(shape) > 1 and shape[-1] == 1:
            shape.pop()
        found[row[1]] = (shape[::-1], (row[4] or row[3]).lower())
    version = re.search(r"^version: (.*)$", text, re.M)
    return found, version[1] if version else "unknown"


def case(program, path, facts):
    names, shapes, mixes, version = None, None, {}, None
    kinds = {}
    with tempfile.TemporaryDirectory() as folder:
        imatrix = Path(folder) / "imatrix.gguf"
        write_imatrix(imatrix)
        for mix, given in [(mix, None) for mix in MIXES] + [(mix, imatrix) for mix in WITH_IMATRIX]:
            found, version = dry_run(program, path, mix, given)
            names, shapes = list(found), [shape for shape, _ in found.values()]
            letters = "".join(kinds.setdefault(kind, chr(ord("a") + len(kinds))) for _, kind in found.values())
            mixes[mix.lower() + ("+imatrix" if given else "")] = letters
    return {**facts, "tensors": names, "shapes": shapes, "kinds": {v: k for k, v in kinds.items()}, "mixes": mixes}, version


def real_size(program, path, mix):
    """Bytes of the file that is written, and of the metadata entries in it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.gguf"
        subprocess.run([program, str(path), str(out), mix], capture_output=True, check=True)
        fields = gguf.GGUFReader(out).fields.items()
        entries = sum(sum(part.nbytes for part in field.parts) for name, field in fields if not name.startswith("GGUF."))
        return {"mix": mix.lower(), "metadata": int(entries), "file": out.stat().st_size}


def main(program, smollm2):
    facts = {"family": "llama", "layers": 30, "H": 9, "K": 3, "experts": 0}
    cases = {}
    cases["smollm2"], version = case(program, smollm2, facts)
    with tempfile.TemporaryDirectory() as folder:
        for name, model in MODELS.items():
            path = Path(folder) / f"{name}.gguf"
            write(path, *model)
            facts = dict(zip(("family", "layers", "H", "K", "experts"), model))
            cases[name], version = case(program, path, facts)
            if name in ("short-rows", "eight-experts", "fused"):
                cases[name]["size"] = real_size(program, path, "Q4_K_M")
    made = f"tools/reference/llama_types.py with llama-quantize {version}, gguf {metadata.version('gguf')}"
    OUT.parent.mkdir(exist_ok=True)
    body = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in cases.items())
    OUT.write_text("{" + f'"made": {json.dumps(made)}, "cases": {{\n{body}\n}}}}\n')


main(*sys.argv[1:])
