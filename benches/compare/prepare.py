#!/usr/bin/env python3
"""Writes SmolLM2 as a Hugging Face folder in f32, the common input of both sides: `prepare.py MODEL.gguf FOLDER`.

The weights are those of the GGUF file, decoded by the `gguf` package; names and the order of the rows of q and k are turned back
to Hugging Face's.
"""

import json
import pathlib
import re
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

PARTS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate": "mlp.gate_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
WHOLE = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}


def hugging_face_name(name):
    """`blk.3.attn_q.weight` -> `model.layers.3.self_attn.q_proj.weight`."""
    if name in WHOLE:
        return WHOLE[name]
    layer, part = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name).groups()
    return f"model.layers.{layer}.{PARTS[part]}.weight"


def config_of(reader):
    """config.json from the metadata of a llama GGUF."""

    def get(key):
        return reader.get_field(f"llama.{key}").contents()

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": get("embedding_length"),
        "intermediate_size": get("feed_forward_length"),
        "num_hidden_layers": get("block_count"),
        "num_attention_heads": get("attention.head_count"),
        "num_key_value_heads": get("attention.head_count_kv"),
        "max_position_embeddings": get("context_length"),
        "rms_norm_eps": get("attention.layer_norm_rms_epsilon"),
        "rope_theta": get("rope.freq_base"),
        "vocab_size": get("vocab_size"),
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def weights_of(tensor, heads):
    """Float32 values, [out, in]; `heads` says how many heads of a part llama.cpp's converter has reordered."""
    w = np.ascontiguousarray(gguf.dequantize(tensor.data, tensor.tensor_type), np.float32)
    part = tensor.name.split(".")[-2]
    if part not in heads:
        return w
    # The converter makes the two halves of a rotary pair neighbours: [head, 2, pairs] became [head, pairs, 2].
    return np.ascontiguousarray(w.reshape(heads[part], -1, 2, w.shape[1]).swapaxes(1, 2)).reshape(w.shape)


def main():
    source, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    reader = gguf.GGUFReader(source)
    config = config_of(reader)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    tensors = {hugging_face_name(t.name): weights_of(t, heads) for t in reader.tensors}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    main()
