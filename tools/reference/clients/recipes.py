"""Lets the clients' own code read recipes, and says whether it does what the plan says.

    cargo run -p tomo-plan --example recipes -- OUTDIR
    python tools/reference/clients/recipes.py OUTDIR --axolotl SDIST --gptqmodel SDIST [--llama-quantize BIN --gguf MODEL]

The model has SmolLM2's layers and names and small matrices. Every check is a set of (name, decision) as the client sees it, compared with
the plan's own list; the script stops at the first difference. MODEL is SmolLM2-135M as GGUF, on which llama-quantize makes a dry run.
"""

import argparse
import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import client_code  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

LEFT_ALONE = "left alone"


def tiny_model():
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            num_hidden_layers=30,
            hidden_size=64,
            intermediate_size=128,
            num_attention_heads=2,
            num_key_value_heads=1,
            vocab_size=256,
            tie_word_embeddings=True,
        )
    )


def module_of(cell):
    return cell["names"]["hugging_face"].removesuffix(".weight")


class Checks:
    def __init__(self, out):
        self.out = Path(out)

    def plan(self, folder):
        return json.loads((self.out / folder / "plan.json").read_text())

    def text(self, folder, name):
        return (self.out / folder / name).read_text()

    def equal(self, what, found, wanted):
        """Both map names to decisions."""
        assert wanted, what
        for name in sorted(set(found) | set(wanted)):
            assert found.get(name) == wanted.get(name), f"{what}: {name} is {found.get(name)}, should be {wanted.get(name)}"
        print(f"{what}: {len(wanted)} of {len(wanted)} as planned")

    def llama_cpp(self, binary, gguf):
        plan = self.plan("llama.cpp-bits")
        wanted = {cell["names"]["gguf"]: cell["on"] for cell in plan["cells"]}
        entries = [line.split("=") for line in self.text("llama.cpp-bits", "tensor-types.txt").split()]
        names = list(wanted) + [other["names"]["gguf"] for other in plan["others"]]
        hits = client_code.regex_search([pattern for pattern, _ in entries], names)
        for order, pick in [("first", lambda h: h[0]), ("last", lambda h: h[-1])]:
            found = {name: entries[pick(h)][1] for name, h in zip(names, hits) if h}
            self.equal(f"llama.cpp, std::regex_search, {order} match", found, wanted)
        flags = re.findall(r"--tensor-type '([^']*)'", self.text("llama.cpp-bits", "quantize-flags.sh"))
        assert [flag.split("=") for flag in flags] == entries
        if binary is None:
            return
        script = [line for line in self.text("llama.cpp-bits", "quantize.sh").splitlines() if '"$out"' not in line]
        for name in ["quantize.sh", "quantize-flags.sh"]:
            script = self.text("llama.cpp-bits", name).splitlines()
            script = [line.replace('"$quantize" "$@"', '"$quantize" --dry-run "$@"') for line in script if "--dry-run" not in line]
            with tempfile.NamedTemporaryFile("w", dir=self.out / "llama.cpp-bits", suffix=".sh") as file:
                file.write("\n".join(script))
                file.flush()
                run = subprocess.run(
                    ["sh", file.name, gguf, "none.gguf", "--allow-requantize"],
                    env={"LLAMA_QUANTIZE": binary, "PATH": "/usr/bin:/bin"},
                    capture_output=True,
                    text=True,
                    check=True,
                )
            lines = re.findall(r"\] (\S+) .*?type = +(\S+), size = .*?(?:\((\S+)\))?$", run.stdout + run.stderr, re.M)
            found = {tensor: (after or before).lower() for tensor, before, after in lines}
            embedding = {"token_embd.weight": "q8_0"}
            norms = {name: ty for name, ty in found.items() if "norm" in name}
            assert set(norms.values()) == {"f32"}
            self.equal(f"llama.cpp, llama-quantize --dry-run by {name}", found, wanted | embedding | norms)

    def mlx(self):
        import mlx.core as mx
        from mlx_lm.models.llama import Model, ModelArgs
        from mlx_lm.quant.dynamic_quant import estimate_threshold
        from mlx.utils import tree_flatten
        from safetensors.torch import save_file
        from tokenizers import Tokenizer, models
        from transformers import PreTrainedTokenizerFast

        def levels(model):
            named = {name: m for name, m in model.named_modules() if hasattr(m, "bits")}
            return {name: f"int{m.bits}:g{m.group_size}" for name, m in named.items()}

        torch_model = tiny_model()
        for folder in ["mlx-bits", "mlx-two-levels"]:
            wanted = {module_of(cell): cell["choice"] for cell in self.plan(folder)["cells"]}
            with tempfile.TemporaryDirectory() as base, contextlib.redirect_stdout(io.StringIO()):
                source, target = Path(base) / "in", Path(base) / "out"
                source.mkdir()
                save_file({k: v.contiguous() for k, v in torch_model.state_dict().items() if k != "lm_head.weight"}, source / "model.safetensors")
                torch_model.config.save_pretrained(source)
                PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE())).save_pretrained(source)
                subprocess.run([sys.executable, self.out / folder / "convert.py", source, target], check=True, capture_output=True)
                from mlx_lm.utils import load_model

                model, config = load_model(target)
            self.equal(f"mlx-lm, {folder}: convert.py, loaded again", levels(model), wanted)
            written = json.loads(self.text(folder, "config.json"))["quantization"]
            named = {k: v for k, v in config["quantization"].items() if isinstance(v, dict)}
            assert named == {k: v for k, v in written.items() if isinstance(v, dict)}, "config.json"
        arguments = ModelArgs.from_dict(torch_model.config.to_dict() | {"model_type": "llama"})
        wanted = {module_of(cell): cell["choice"] for cell in self.plan("mlx-two-levels")["cells"]}
        sensitivities = dict(json.loads(self.text("mlx-two-levels", "sensitivities.json")))
        for target in [4.3, 5.0, 6.4]:
            model = Model(arguments)
            mx.eval(model.parameters())
            low, high = sorted(set(wanted.values()))
            size = lambda level: [int(number) for number in re.findall(r"\d+", level)]  # noqa: E731
            threshold = estimate_threshold(model, sensitivities, target, *size(low), *size(high))
            quantizable = [name for name, module in model.named_modules() if hasattr(module, "to_quantized")]
            found = {name: high if sensitivities[name] > threshold else low for name in quantizable}
            self.equal(f"mlx-lm, dynamic_quant at {target} bits", found, wanted | {"model.embed_tokens": low})
        assert tree_flatten  # the import above checks the installation

    def gptqmodel(self, sdist):
        config = client_code.gptqmodel_config(sdist)
        recipe = json.loads(self.text("gptqmodel-bits", "quantize_config.json"))
        plan = self.plan("gptqmodel-bits")
        wanted = {module_of(cell): cell["choice"] for cell in plan["cells"]}

        def level(name):
            says = config.dynamic_get(recipe["dynamic"], name)
            if says is False:
                return LEFT_ALONE
            says = {"bits": recipe["bits"], "group_size": recipe["group_size"], "sym": recipe["sym"]} | (says or {})
            return f"int{says['bits']}{'-sym' if says['sym'] else ''}:g{says['group_size']}"

        self.equal("GPTQModel, dynamic_get", {name: level(name) for name in wanted}, wanted)
        for other in plan["others"]:
            name = other["names"]["hugging_face"].removesuffix(".weight")
            assert config.dynamic_get(recipe["dynamic"], name) is None, name
        joined = {}
        for name, choice in wanted.items():
            for part, whole in [("q_proj", "qkv_proj"), ("gate_proj", "gate_up_proj")]:
                if name.endswith("." + part):
                    joined[name.removesuffix(part) + whole] = choice
        self.equal("GPTQModel, dynamic_get, as vLLM joins modules", {name: level(name) for name in joined}, joined)

    def llm_compressor(self):
        from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config
        from compressed_tensors.utils import match_named_modules
        from llmcompressor.recipe import Recipe

        for folder in ["llm-compressor-bits", "llm-compressor-all-levels"]:
            wanted = {module_of(cell): cell["choice"] for cell in self.plan(folder)["cells"]}
            wanted = {name: choice for name, choice in wanted.items() if not choice.startswith("original")}
            model = tiny_model()
            for modifier in Recipe.create_instance(str(self.out / folder / "recipe.yaml")).modifiers:
                groups = {name: group.model_dump() for name, group in modifier.config_groups.items()}
                apply_quantization_config(model, QuantizationConfig(config_groups=groups))
            found = {}
            for name, module in model.named_modules():
                scheme = getattr(module, "quantization_scheme", None)
                if scheme is not None and scheme.weights is not None:
                    w = scheme.weights
                    words = {("float", "tensor"): "fp8", ("float", "tensor_group"): "nvfp4"}
                    integer = f"int{w.num_bits}{'-sym' if w.symmetric else ''}:g{w.group_size}"
                    found[name] = words.get((w.type, w.strategy), integer)
            self.equal(f"llm-compressor, {folder}: Recipe, then compressed-tensors' apply_quantization_config", found, wanted)
        model = tiny_model()
        wanted = {module_of(cell): cell["choice"]["sparsity"] for cell in self.plan("llm-compressor-sparsity")["cells"]}
        found = {}
        for modifier in Recipe.create_instance(str(self.out / "llm-compressor-sparsity/recipe.yaml")).modifiers:
            for name, _ in match_named_modules(model, modifier.targets):
                assert name not in found, name
                found[name] = modifier.sparsity
        self.equal("llm-compressor, sparsity: Recipe, then match_named_modules", found, {n: s for n, s in wanted.items() if s > 0})

    def modelopt(self):
        import modelopt.torch.quantization as mtq

        number = lambda pairs: {int(k) if k.lstrip("-").isdigit() else k: v for k, v in pairs}  # noqa: E731
        config = json.loads(self.text("modelopt-bits", "quant_cfg.json"), object_pairs_hook=number)
        with contextlib.redirect_stdout(io.StringIO()):
            model = mtq.quantize(tiny_model(), config, lambda model: model(torch.arange(32)[None]))
        from modelopt.torch.export.quant_utils import get_quant_config

        found = {}
        for name, module in model.named_modules():
            quantizer = getattr(module, "weight_quantizer", None)
            if quantizer is not None and quantizer.is_enabled:
                e4m3 = quantizer.num_bits == (4, 3)
                assert module.input_quantizer.is_enabled == e4m3 and not module.output_quantizer.is_enabled, name
                found[name] = "fp8" if e4m3 else "nvfp4" if quantizer.num_bits == (2, 1) and quantizer.block_sizes[-1] == 16 else "?"
        wanted = {module_of(cell): cell["choice"] for cell in self.plan("modelopt-bits")["cells"]}
        self.equal("ModelOpt, mtq.quantize", found, wanted)
        exported = get_quant_config(model)["quantization"]
        written = json.loads(self.text("modelopt-bits", "hf_quant_config.json"))["quantization"]
        assert exported["quant_algo"] == written["quant_algo"], exported["quant_algo"]
        self.equal("ModelOpt, get_quant_config", exported["quantized_layers"], written["quantized_layers"])

    def lora(self, what, config, folder):
        from peft import get_peft_model
        from peft.tuners.lora.layer import LoraLayer

        model = get_peft_model(tiny_model(), config)
        found = {}
        for name, module in model.named_modules():
            if isinstance(module, LoraLayer):
                found[name.removeprefix("base_model.model.")] = (module.r["default"], module.lora_alpha["default"])
        wanted = {module_of(cell): (cell["choice"]["rank"]["rank"], cell["choice"]["rank"]["alpha"]) for cell in self.plan(folder)["cells"]}
        self.equal(what, found, {name: pair for name, pair in wanted.items() if pair[0] > 0})

    def peft(self):
        from peft import LoraConfig

        self.lora("peft, LoraConfig.from_pretrained", LoraConfig.from_pretrained(self.out / "peft-rank"), "peft-rank")

    def axolotl(self, sdist):
        from peft import LoraConfig

        keys = yaml.safe_load(self.text("axolotl-rank", "lora.yml"))
        config = LoraConfig(
            r=keys["lora_r"],
            lora_alpha=keys["lora_alpha"],
            target_modules=keys["lora_target_modules"],
            rank_pattern=keys["lora_rank_pattern"],
            alpha_pattern=keys["lora_alpha_pattern"],
            task_type="CAUSAL_LM",
        )
        self.lora("axolotl, keys as its adapter loader hands them to peft", config, "axolotl-rank")
        freeze = client_code.axolotl_freeze(sdist)
        spectrum = client_code.axolotl_spectrum(sdist)
        for folder in ["axolotl-train", "axolotl-train-share"]:
            wanted = {cell["names"]["hugging_face"]: True for cell in self.plan(folder)["cells"] if cell["choice"]["train"]}
            model = tiny_model()
            freeze.freeze_layers_except(model, yaml.safe_load(self.text(folder, "unfrozen.yml"))["unfrozen_parameters"])
            found = {name: True for name, parameter in model.named_parameters() if parameter.requires_grad}
            self.equal(f"axolotl, {folder}: freeze_layers_except", found, wanted)
            usage = json.loads(self.text(folder, "usage.json"))[1]
            share = float(re.search(r"spectrum_top_fraction: ([\d.]+)", usage["usage"])[1])
            entries = spectrum(json.loads(self.text(folder, usage["file"])), share)
            model = tiny_model()
            freeze.freeze_layers_except(model, entries)
            found = {name: True for name, parameter in model.named_parameters() if parameter.requires_grad}
            self.equal(f"axolotl, {folder}: Spectrum plugin with {share}", found, wanted | {"model.embed_tokens.weight": True})

    def mistral_rs(self):
        """Its reader is a Rust crate; here its rule is repeated with Python's re, which agrees on these expressions."""
        recipe = yaml.safe_load(self.text("mistral.rs-bits", "topology.yml"))
        plan = self.plan("mistral.rs-bits")
        wanted = {cell["names"]["hugging_face"]: cell["on"].replace("_k", "k").upper() for cell in plan["cells"]}
        names = list(wanted) + [other["names"]["hugging_face"] for other in plan["others"]]
        found = {}
        for selector, entry in recipe.items():
            pattern = re.compile(selector[1:-1])
            found |= {name: entry["isq"] for name in names if pattern.search(name)}
        self.equal("mistral.rs, its rule repeated", found, wanted)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--axolotl", required=True)
    parser.add_argument("--gptqmodel", required=True)
    parser.add_argument("--llama-quantize")
    parser.add_argument("--gguf")
    arguments = parser.parse_args()
    packages = ["torch", "transformers", "peft", "compressed-tensors", "llmcompressor", "nvidia-modelopt", "mlx-lm", "mlx", "pypcre"]
    print(", ".join(f"{name} {version(name)}" for name in packages))
    print(f"{Path(arguments.axolotl).name}, {Path(arguments.gptqmodel).name}")
    checks = Checks(arguments.out)
    checks.llama_cpp(arguments.llama_quantize, arguments.gguf)
    checks.mlx()
    checks.mistral_rs()
    checks.llm_compressor()
    checks.modelopt()
    checks.peft()
    checks.axolotl(arguments.axolotl)
    checks.gptqmodel(arguments.gptqmodel)


if __name__ == "__main__":
    main()
