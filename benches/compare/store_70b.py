#!/usr/bin/env python3
"""A checkpoint of a 70B model's shape in an S3 store on loopback, scanned by workers that each take some of its layers.

    store_70b.py ROOT --s3rver PATH [--program PATH] [--shards 8] [--only K,K] [--layers 80] [--metric rms] [--no-record]

ROOT gets the objects: files with holes, 141 GB of length, a few of its tensors written (160 MB of disk). They are served by s3rver (npm),
which streams them from disk, answers ranges and checks signatures; PATH is its executable. One worker after the other is one
process of `tomograph map s3://… --layers A-B`. Recorded for each: bytes that the store sent, beside the bytes of its cells;
requests; seconds; peak memory, by the kernel's count. The parts are merged,
and the map's scores held against numpy.
"""

import argparse
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

import machine
from memory import watch
from speed import HERE

HIDDEN, WIDTH, HEADS, SHARED, HEAD, VOCABULARY = 8192, 28672, 64, 8, 128, 128256
LAYERS_PER_FILE = 2
BUCKET, NAME = "models", "llama-70b"
CELLS = {
    "self_attn.q_proj": (HEADS * HEAD, HIDDEN),
    "self_attn.k_proj": (SHARED * HEAD, HIDDEN),
    "self_attn.v_proj": (SHARED * HEAD, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HEADS * HEAD),
    "mlp.up_proj": (WIDTH, HIDDEN),
    "mlp.down_proj": (HIDDEN, WIDTH),
    "mlp.gate_proj": (WIDTH, HIDDEN),
}
COMPONENTS = ["attn.q", "attn.k", "attn.v", "attn.o", "mlp.up", "mlp.down", "mlp.gate"]
WRITTEN = {"self_attn.k_proj", "self_attn.v_proj"}
LAYER_BYTES = sum(2 * rows * columns for rows, columns in CELLS.values())


def config(layers):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": SHARED,
        "head_dim": HEAD,
        "vocab_size": VOCABULARY,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }


def tensors_of_layer(layer):
    stem = f"model.layers.{layer}"
    yield from ((f"{stem}.{cell}.weight", shape) for cell, shape in CELLS.items())
    yield from ((f"{stem}.{norm}.weight", (HIDDEN,)) for norm in ("input_layernorm", "post_attention_layernorm"))


def is_written(layer, name, shards, layers):
    """One layer of every shard has numbers in two of its cells."""
    per_shard = layers // shards
    return layer % per_shard == per_shard // 2 and any(cell in name for cell in WRITTEN)


def bf16(values):
    import numpy

    return (values.astype(numpy.float32).view(numpy.uint32) >> 16).astype("<u2")


class Object:
    """One object in the folders that s3rver keeps."""

    def __init__(self, root, name, tag):
        self.path = root / BUCKET / NAME / f"{name}._S3rver_object"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # s3rver would read all of the object to make a tag.
        self.path.with_name(f"{name}._S3rver_object.md5").write_text(f"{tag:032x}")
        self.path.with_name(f"{name}._S3rver_metadata.json").write_text(
            json.dumps({"content-type": "application/octet-stream"})
        )


def write_safetensors(path, tensors, fill):
    """Header and length; bytes only of tensors that `fill` has something for."""
    header, offset = {}, 0
    for name, shape in tensors:
        length = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + length]}
        offset += length
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.truncate(8 + len(text) + offset)
        for name, _ in tensors:
            if (values := fill(name)) is not None:
                out.seek(8 + len(text) + header[name]["data_offsets"][0])
                out.write(values.tobytes())
    return list(header)


def generate(root, shards, layers):
    """Writes the checkpoint; the root mean squares of what is not zero, by layer and component."""
    import numpy

    random = numpy.random.default_rng(0)
    expected, index = {}, {}
    files = [[t for layer in range(first, min(first + LAYERS_PER_FILE, layers)) for t in tensors_of_layer(layer)] for first in range(0, layers, LAYERS_PER_FILE)]
    files.append([("model.embed_tokens.weight", (VOCABULARY, HIDDEN)), ("model.norm.weight", (HIDDEN,)), ("lm_head.weight", (VOCABULARY, HIDDEN))])

    def fill(name):
        found = re.match(r"model\.layers\.(\d+)\.(.*)\.weight", name)
        if not found or found[2] not in WRITTEN or not is_written(int(found[1]), name, shards, layers):
            return None
        shape = CELLS[found[2]]
        stored = bf16(random.standard_normal(shape, dtype=numpy.float32) * 0.02)
        values = (stored.astype(numpy.uint32) << 16).view(numpy.float32).astype(numpy.float64)
        component = COMPONENTS[list(CELLS).index(found[2])]
        expected[int(found[1]), component] = float(numpy.sqrt(numpy.mean(values * values)))
        return stored

    for number, tensors in enumerate(files, 1):
        name = f"model-{number:05}-of-{len(files):05}.safetensors"
        for tensor in write_safetensors(Object(root, name, number).path, tensors, fill):
            index[tensor] = name
    Object(root, "config.json", 1000).path.write_text(json.dumps(config(layers)))
    Object(root, "model.safetensors.index.json", 1001).path.write_text(json.dumps({"weight_map": index}))
    return expected


def serve(executable, root):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    # Its default pieces of 64 KiB cost more than what they carry.
    wide = pathlib.Path(root) / "wide.js"
    wide.write_text(
        "const fs = require('fs'), open = fs.createReadStream;\n"
        "fs.createReadStream = (path, options) => open(path, { ...options, highWaterMark: 1 << 20 });\n"
    )
    command = ["node", "--require", wide.resolve(), executable, "--directory", root, "--address", "127.0.0.1", "--port", str(port), "--silent"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return server, port
        except OSError:
            time.sleep(0.1)
    sys.exit("the server does not start")


def peer(port):
    """Bytes per second of the same server to boto3, a file in pieces of 8 MiB by sixteen threads, thrown away."""
    import concurrent.futures

    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="S3RVER",
        aws_secret_access_key="S3RVER",
    )
    key = sorted(o["Key"] for o in client.list_objects_v2(Bucket=BUCKET, Prefix=f"{NAME}/model-")["Contents"])[0]
    length = client.head_object(Bucket=BUCKET, Key=key)["ContentLength"]

    def read(start):
        end = min(start + (8 << 20), length) - 1
        return len(client.get_object(Bucket=BUCKET, Key=key, Range=f"bytes={start}-{end}")["Body"].read())

    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        total = sum(threads.map(read, range(0, length, 8 << 20)))
    return total / (time.perf_counter() - begun)


def fetched(said):
    """Bytes and requests of the note that the program ends with."""
    found = re.search(r"note: ([\d.]+) (\w+) fetched from \S+ in ([\d,]+) requests", said)
    unit = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[found[2]]
    return float(found[1]) * unit, int(found[3].replace(",", ""))


def check(scores, expected):
    """Every score against numpy's; how many were not zero."""
    written = 0
    for (layer, component), score in scores.items():
        wanted = expected.get((layer, component), 0.0)
        assert score is not None and abs(score - wanted) <= 1e-9 * max(wanted, 1e-30), (layer, component, score, wanted)
        written += wanted > 0
    return written


def scores_of(folder):
    """The values of a map by layer and component."""
    text = json.loads((folder / "map.json").read_text())
    (column,) = text["metrics"]
    found = {}
    for cell, score in zip(text["grid"]["cells"], column["scores"], strict=True):
        if score.get("value") is not None:
            found[cell["layer"], cell["component"]] = score["value"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--s3rver", required=True)
    parser.add_argument("--program", default=str(HERE.parent.parent / "target/release/tomograph"))
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--layers", type=int, default=80)
    parser.add_argument("--only", help="numbers of the shards to run, from 0 on")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()

    facts = machine.facts()
    expected = generate(args.root, args.shards, args.layers)
    server, port = serve(args.s3rver, args.root)
    environment = machine.clean_environment(args.threads) | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "S3RVER",
        "AWS_SECRET_ACCESS_KEY": "S3RVER",
    }
    per_shard = args.layers // args.shards
    numbers = [int(k) for k in args.only.split(",")] if args.only else range(args.shards)
    workers = []
    parts = tempfile.TemporaryDirectory()
    try:
        rates = [peer(port)]
        for number in numbers:
            first = number * per_shard
            folder = pathlib.Path(parts.name, f"part-{number}")
            command = [args.program, "map", f"s3://{BUCKET}/{NAME}", "--metric", "rms", "--threads", str(args.threads)]
            command += ["--layers", f"{first}-{first + per_shard - 1}", "--out", folder]
            run = watch(command, environment, 0)
            if run["exit_code"]:
                sys.exit(run["stderr_tail"])
            bytes_fetched, requests = fetched(run["stderr_tail"])
            cells = per_shard * LAYER_BYTES
            workers.append(
                {
                    "layers": f"{first}-{first + per_shard - 1}",
                    "cell_bytes": cells,
                    "fetched_bytes": round(bytes_fetched),
                    "fetched_over_cells": bytes_fetched / cells,
                    "requests": requests,
                    "seconds": run["seconds"],
                    "cpu_seconds": run["cpu_seconds"],
                    "peak_rss_bytes": run["peak_rss_bytes"],
                }
            )
            print(json.dumps(workers[-1]), flush=True)
        rates.append(peer(port))
        print(f"boto3: {rates[0] / 1e6:.0f} and {rates[1] / 1e6:.0f} MB/s", flush=True)
        whole = pathlib.Path(parts.name, "map")
        if not args.only:
            made = sorted(pathlib.Path(parts.name).glob("part-*"))
            subprocess.run([args.program, "merge", *made, "--out", whole], check=True, env=environment, stdout=subprocess.DEVNULL)
        scores = scores_of(whole) if not args.only else {}
        for number in numbers if args.only else []:
            scores |= scores_of(pathlib.Path(parts.name, f"part-{number}"))
    finally:
        server.terminate()
        server.wait()
    written = check(scores, expected)
    print(f"{len(scores)} scores equal numpy's, {written} of them not zero")
    assert len(scores) == len(numbers) * per_shard * len(CELLS)
    if not args.no_record:
        record(facts, args, workers, rates, len(scores), written)


def record(facts, args, workers, rates, scores, written):
    stem = HERE.parent / "records" / f"{facts['date'][:10]}-store-70b"
    apparent = args.layers * LAYER_BYTES + 2 * 2 * VOCABULARY * HIDDEN
    about = {"apparent_bytes": apparent, "shards": args.shards, "layers": args.layers, "threads": args.threads, "scores": scores, "scores_not_zero": written, "boto3_bytes_per_second": rates}
    stem.with_suffix(".json").write_text(json.dumps({"machine": facts, "about": about, "workers": workers}, indent=1) + "\n")
    lines = [
        f"# A 70B-shaped checkpoint in a store on loopback, {facts['date'][:10]}",
        "",
        f"{facts['cpu']}, {facts['cores']} cores, which the server (s3rver, one thread) shares; load {facts['load']:.1f} before. "
        f"{apparent / 1e9:.0f} GB in {args.layers // LAYERS_PER_FILE + 1} files, nearly all of it holes. One process per shard, one after the other, `--metric rms`.",
        "",
        "| layers | bytes of the cells | fetched | ratio | requests | seconds | peak memory |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    for worker in workers:
        lines.append(
            f"| {worker['layers']} | {worker['cell_bytes']:,} | {worker['fetched_bytes']:,} | {worker['fetched_over_cells']:.4f} "
            f"| {worker['requests']:,} | {worker['seconds']:.0f} | {worker['peak_rss_bytes'] / 1e6:,.0f} MB |"
        )
    ours = sum(w["fetched_bytes"] for w in workers) / sum(w["seconds"] for w in workers)
    lines += [
        "",
        f"{ours / 1e6:.0f} MB/s; boto3, sixteen threads that throw away what they read, got {rates[0] / 1e6:.0f} MB/s before and {rates[1] / 1e6:.0f} MB/s after.",
    ]
    lines += ["", f"The merged map: {scores} scores equal numpy's within 1e-9; {written} are not zero."]
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
