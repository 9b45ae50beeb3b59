#!/usr/bin/env python3
"""The cases that a GGUF file can express, converted by llama.cpp's own converter, and what llama.cpp computes with them.

    forward_gguf.py LLAMA_CPP [case ...]

LLAMA_CPP is a source tree of llama.cpp (the source distribution of llama-cpp-python has one under vendor/). Writes
fixtures/parity/<case>/model.gguf (bf16, the bits of model.safetensors; norms float32) and gguf.json. Run after forward.py.

The converter gets config.v4.json with the keys of config.json beneath it, and no vocabulary. To see that nothing was lost on the way the
case is converted to float32 as well and llama.cpp runs it: the largest difference of a logit, over the largest logit, is written to
gguf.json and must be below 3e-6, or 1e-3 where a GELU is in it (ggml takes GELUs from a table of half-precision values).
"""

import ctypes
import json
import logging
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2] / "fixtures" / "parity"
CASES = (
    "llama_linear", "llama_llama3", "llama_yarn", "mistral_plain", "qwen2_yarn", "qwen3_plain", "phi3_plain", "phi3_longrope",
    "granite", "granite_tied", "olmo2_hub", "smollm3_hub", "stablelm_hub", "starcoder2_hub", "gemma_hub", "gemma2_hub", "gemma3_hub",
    "gpt2_hub", "gpt_neox_hub", "mixtral_hub", "qwen3_moe_hub", "olmoe_hub",
)
# llama.cpp chooses long or short factors by the size of its context, not of the sequence: only the long one can be compared.
LONG_ONLY = ("phi3_longrope",)
LIMIT, LIMIT_GELU = 3e-6, 1e-3
CONTEXT = 64


def convert(folder, out, kind):
    """`kind` is a gguf.LlamaFileType."""
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    full, old = (json.loads((folder / name).read_text()) for name in ("config.json", "config.v4.json"))
    with tempfile.TemporaryDirectory() as made:
        source = Path(made) / folder.name
        source.mkdir()
        shutil.copy(folder / "model.safetensors", source)
        config = {k: v for k, v in full.items() if k not in ("rope_parameters", "dtype")} | old
        (source / "config.json").write_text(json.dumps(config))
        # gemma3 counts the words of it.
        words = {str(i): i for i in range(full["vocab_size"])}
        (source / "tokenizer.json").write_text(json.dumps({"model": {"vocab": words}, "added_tokens": []}))
        hparams = ModelBase.load_hparams(source, False)
        kind_of_model = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
        hparams |= {k: v for k, v in config.items() if k != "model_type"}
        with torch.inference_mode():
            model = kind_of_model(source, kind, out, model_name=folder.name, hparams=hparams)
            model.set_vocab = lambda: no_vocabulary(model, full["vocab_size"])
            model.write()


def no_vocabulary(model, size):
    model._set_vocab_none()
    if not any(f"{model.gguf_writer.arch}.vocab_size" in part for part in model.gguf_writer.kv_data):
        model.gguf_writer.add_vocab_size(size)


def logits_of(lib, path, tokens, vocab):
    """What llama.cpp computes for one sequence, float32 cache, no flash attention: [T, V]."""
    model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
    assert model, path
    params = lib.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = CONTEXT
    params.n_threads = params.n_threads_batch = 1
    params.flash_attn_type = params.type_k = params.type_v = 0
    context = lib.llama_init_from_model(model, params)
    batch = lib.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = int(token), i, 1, 1
        batch.seq_id[i][0] = 0
    assert lib.llama_decode(context, batch) == 0
    row = lambda i: np.ctypeslib.as_array(lib.llama_get_logits_ith(context, i), (vocab,)).copy()
    out = np.stack([row(i) for i in range(len(tokens))])
    lib.llama_batch_free(batch)
    lib.llama_free(context)
    lib.llama_model_free(model)
    return out


def differences(lib, folder, path):
    """Per sequence: largest difference to transformers' logits over the largest of them."""
    expected = load_file(folder / "forward.safetensors")
    out = {}
    for s in (0,) if folder.name in LONG_ONLY else (0, 1):
        logits = expected[f"logits.{s}"]
        found = logits_of(lib, path, expected[f"tokens.{s}"], logits.shape[1])
        out[f"sequence {s}"] = float(f"{np.abs(found - logits).max() / np.abs(logits).max():.2g}")
    return out


def write_case(lib, gguf, name):
    folder = ROOT / name
    with tempfile.TemporaryDirectory() as made:
        exact = Path(made) / "exact.gguf"
        convert(folder, exact, gguf.LlamaFileType.ALL_F32)
        found = differences(lib, folder, exact)
    switches = json.loads((folder / "forward.json").read_text())["switches"]
    limit = LIMIT_GELU if any("gelu" in s for s in switches) else LIMIT
    assert max(found.values()) < limit, (name, found)
    convert(folder, folder / "model.gguf", gguf.LlamaFileType.MOSTLY_BF16)
    record = {
        "script": "tools/reference/forward_gguf.py",
        "versions": {"llama.cpp of llama-cpp-python": llama_version(lib)},
        "llama.cpp in float32 against transformers": found,
    }
    (folder / "gguf.json").write_text(json.dumps(record, indent=1) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    assert size < 300_000, (name, size)
    print(f"{name}: {found}, {size / 1000:.0f} kB")


def llama_version(lib):
    try:
        return version("llama-cpp-python")
    except PackageNotFoundError:
        import llama_cpp

        return llama_cpp.__version__


def main():
    source = Path(sys.argv[1])
    sys.path[:0] = [str(source / "gguf-py"), str(source)]
    import gguf
    import llama_cpp.llama_cpp as lib

    logging.disable(logging.CRITICAL)
    silent = lib.llama_log_callback(lambda *_: None)
    lib.llama_log_set(silent, ctypes.c_void_p(None))
    lib.llama_backend_init()
    for name in sys.argv[2:] or CASES:
        write_case(lib, gguf, name)


if __name__ == "__main__":
    main()
