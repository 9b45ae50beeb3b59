"""Writes fixtures/clients/rules.json: which names a pattern matches, by the clients' own code.

    python tools/reference/clients/rules.py --axolotl SDIST --gptqmodel SDIST

SDIST is the unpacked source distribution (`pip download --no-deps --no-binary :all: axolotl==… gptqmodel==…`). Patterns are
good ones and such as people write: without escapes, without anchors, for one layer and hitting ten more.
"""

import argparse
import fnmatch
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import client_code  # noqa: E402
from compressed_tensors.utils.match import match_name  # noqa: E402
from peft import LoraConfig  # noqa: E402
from peft.tuners.tuners_utils import check_target_module_exists  # noqa: E402
from peft.utils.other import get_pattern_key  # noqa: E402

FIXTURE = Path(__file__).resolve().parents[3] / "fixtures/clients/rules.json"

MODULES = [
    "model.layers.1.self_attn.q_proj",
    "model.layers.11.self_attn.q_proj",
    "model.layers.1.self_attn.qkv_proj",
    "model.layers.1.mlp.gate",
    "model.layers.1.mlp.gate_proj",
    "model.layers.1.mlp.down_proj",
    "model.language_model.layers.1.self_attn.q_proj",
    "vision.model.layers.1.self_attn.q_proj",
    "lm_head",
]
PARAMETERS = [name + ".weight" for name in MODULES] + ["model.layers.1.self_attn.q_proj.bias"]
GGUF = ["blk.1.attn_q.weight", "blk.11.attn_q.weight", "blk.1.attn_qkv.weight", "blk.1.ffn_gate.weight", "blk.1.ffn_gate_exps.weight",
        "blkx1.attn_q.weight", "output.weight", "blk.1.Attn_Q.weight"]

SEARCH = [r"^blk\.1\.attn_q\.weight$", r"blk.1.attn_q.weight", r"blk\.1\.", "attn_q", "attn_q$", r"blk\.(1|11)\.ffn_gate\.weight",
          r"blk\.\d+\.attn_q\.weight", r"^blk\.1", "weight$"]
AT_START = [r"^model\.layers\.1\.self_attn\.(?:q|k|v|qkv)_proj$", r"model\.layers\.1\.self_attn\.q_proj", "model.layers.1",
            r".*\.1\.mlp\.gate", r".*\.1\.mlp\.gate$", "q_proj", r".*q_proj$", r"^lm_head$", r"^model\.layers\.1\.mlp\.(?:gate|up|gate_up)_proj$"]
TAILS = [r"model\.layers\.1\.self_attn\.q_proj", "model.layers.1.self_attn.q_proj", "q_proj", r"^q_proj", "proj", r".*\.1\..*",
         r"layers\.1\.mlp\.gate", "gate", r"^model\.layers\.1\.self_attn\.q_proj", "q_proj|down_proj", "base_model.model.lm_head"]
TARGETS = ["model.layers.1.self_attn.q_proj", "q_proj", "proj", "layers.1.mlp.gate", "lm_head", "1.self_attn.q_proj"]
ENTRIES = ["^model.layers.1.self_attn.q_proj.weight$", "model.layers.1.self_attn.q_proj", "model.layers.1", "layers.1.self_attn.q_proj",
           "^lm_head.weight$", ".+q_proj", "model.layers.[0-9]+.mlp.gate", r"model\.layers\.1\.mlp", "model.layers.1.mlp.gate"]
WILDCARDS = ["*", "*q_proj*", "model.layers.1.*", "model.layers.1*", "model.layers.1.self_attn.q_proj", "*.1.mlp.gate", "*layers.?.mlp.gate_proj"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--axolotl", required=True)
    parser.add_argument("--gptqmodel", required=True)
    arguments = parser.parse_args()
    freeze = client_code.axolotl_freeze(arguments.axolotl)
    gptq = client_code.gptqmodel_config(arguments.gptqmodel)

    def table(patterns, names, matches):
        return [{"pattern": p, "matches": [n for n in names if matches(p, n)]} for p in patterns]

    found = client_code.regex_search(SEARCH, GGUF)
    searched = [{"pattern": p, "matches": [n for n, hits in zip(GGUF, found) if i in hits]} for i, p in enumerate(SEARCH)]
    nothing = "no such key"
    rules = {
        "search": {"names": GGUF, "of": "llama.cpp: std::regex_search", "patterns": searched},
        "at-start": {
            "names": MODULES,
            "of": "GPTQModel: dynamic_get",
            "patterns": table(AT_START, MODULES, lambda p, n: gptq.dynamic_get({"+:" + p: {"bits": 8}}, n, "bits") == 8),
        },
        "target": {
            "names": MODULES,
            "of": "compressed-tensors: match_name with re:",
            "patterns": table(AT_START, MODULES, lambda p, n: match_name(n, "re:" + p)),
        },
        "tail": {
            "names": MODULES,
            "of": "peft: get_pattern_key",
            "patterns": table(TAILS, MODULES, lambda p, n: get_pattern_key([p, nothing], n) == p and p != n or get_pattern_key([p], "x." + n) == p),
        },
        "target-module": {
            "names": MODULES,
            "of": "peft: check_target_module_exists",
            "patterns": table(TARGETS, MODULES, lambda p, n: bool(check_target_module_exists(LoraConfig(target_modules=[p]), n))),
        },
        "unfrozen": {
            "names": PARAMETERS,
            "of": "axolotl: LayerNamePattern",
            "patterns": table(ENTRIES, PARAMETERS, lambda p, n: freeze.LayerNamePattern(p).match(n)),
        },
        "wildcard": {
            "names": MODULES,
            "of": "ModelOpt: fnmatch.fnmatch",
            "patterns": table(WILDCARDS, MODULES, lambda p, n: fnmatch.fnmatch(n, p)),
        },
    }
    versions = {name: version(name) for name in ["peft", "compressed-tensors", "pypcre"]}
    versions |= {"axolotl": Path(arguments.axolotl).name, "gptqmodel": Path(arguments.gptqmodel).name, "python": platform.python_version()}
    FIXTURE.parent.mkdir(exist_ok=True)
    FIXTURE.write_text(json.dumps({"script": "tools/reference/clients/rules.py", "versions": versions, "rules": rules}, indent=1) + "\n")


if __name__ == "__main__":
    main()
