"""The matching code of clients, loaded from their packages without what needs a GPU.

Packages whose import pulls in a training stack are loaded by file: modules of the same package that the file names are
replaced by empty stand-ins, so that what runs is the file's own code and nothing else of the package.
"""

import importlib.util
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from unittest.mock import MagicMock

CPP = r"""
#include <fstream>
#include <iostream>
#include <regex>
#include <string>
#include <vector>
// patterns.txt and names.txt, one per line; prints for every name the numbers of the patterns that are found in it.
int main(int, char ** argv) {
    std::vector<std::regex> patterns;
    std::string line;
    for (std::ifstream file(argv[1]); std::getline(file, line);) patterns.emplace_back(line);
    for (std::ifstream file(argv[2]); std::getline(file, line);) {
        for (size_t i = 0; i < patterns.size(); i++)
            if (std::regex_search(line, patterns[i])) std::cout << i << ' ';
        std::cout << '\n';
    }
}
"""


class StandIns:
    """Finds every module below a package, as an object that has every attribute."""

    def __init__(self, package, real):
        self.package, self.real = package, real

    def find_spec(self, name, path=None, target=None):
        below = name == self.package or name.startswith(self.package + ".")
        return importlib.util.spec_from_loader(name, self) if below and name not in self.real else None

    def create_module(self, spec):
        module = MagicMock(name=spec.name)
        module.__path__, module.__spec__, module.__name__ = [], spec, spec.name
        return module

    def exec_module(self, module):
        pass


def load(package, name, path):
    """The module `name` of `package` from its file."""
    sys.meta_path.insert(0, StandIns(package, {name}))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def axolotl_freeze(sdist):
    return load("axolotl", "axolotl.utils.freeze", Path(sdist) / "src/axolotl/utils/freeze.py")


def axolotl_spectrum(sdist):
    """The function of the plugin that turns scores into entries."""
    import ast

    tree = ast.parse((Path(sdist) / "src/axolotl/integrations/spectrum/__init__.py").read_text())
    wanted = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "_generate_unfrozen_params_yaml"]
    scope = types.ModuleType("spectrum").__dict__
    exec(compile(ast.Module(wanted, []), "spectrum", "exec"), scope)
    return scope["_generate_unfrozen_params_yaml"]


def gptqmodel_config(sdist):
    return load("gptqmodel", "gptqmodel.quantization.config", Path(sdist) / "gptqmodel/quantization/config.py")


def regex_search(patterns, names):
    """For every name the numbers of patterns that std::regex_search finds in it."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "search.cpp").write_text(CPP)
        subprocess.run(["c++", "-O1", "-std=c++17", "-o", folder / "search", folder / "search.cpp"], check=True)
        for file, lines in [("patterns", patterns), ("names", names)]:
            (folder / file).write_text("".join(line + "\n" for line in lines))
        out = subprocess.run([folder / "search", folder / "patterns", folder / "names"], check=True, capture_output=True)
        return [[int(number) for number in line.split()] for line in out.stdout.decode().splitlines()]
