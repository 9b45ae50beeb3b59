"""Writes the type stubs that follow from the program: options of commands from the command line's own tree, members of enums from the
registries. `--check` says whether they are what would be written, and writes nothing.

    python python/tools/stubs.py [--check]
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from tomograph import _registry
from tomograph._arguments import commands, option_name, options_of

FOLDER = Path(__file__).parent.parent / "tomograph"
WIDTH = 116
MADE = "# Made by python/tools/stubs.py from the program itself: change that, or the program's help.\n"

#: Commands of whose page only the first line holds for the function.
RETURNS = {"map", "diff"}

METRICS = "Metrics | None = None"
PROGRESS = "progress: bool | Progress = False"
#: Function: its command, its own parameters (positional ones, then those by name), options that these stand for, what it returns, and
#: what to know beside the command's own page.
FUNCTIONS: dict[str, tuple[str, list[str], list[str], set[str], str, str]] = {
    "scan": (
        "map",
        ["model: StrPath", f"metrics: {METRICS}"],
        [PROGRESS],
        {"metric"},
        "Map",
        "metrics are ids, families, members of tomograph.Metric, or metrics of your own (tomograph.metric). Nothing is written unless out "
        "names a folder. Ctrl-C raises KeyboardInterrupt within a second. progress=True draws a bar; a function is called with (done, total, what).",
    ),
    "plan": (
        "plan",
        ["maps: Map | StrPath | Sequence[Map | StrPath]", "client: Client | str"],
        ["output: StrPath | None = None"],
        {"for_", "output"},
        "Plan",
        "client is the program that will act on the plan. One budget has to be given: target, size, ratio, parameters, rank or top.",
    ),
    "verify": (
        "verify",
        ["plan: Plan | StrPath", "model: StrPath | None = None"],
        ["beside: Mapping[str, Plan | StrPath] | None = None", PROGRESS],
        {"beside"},
        "Proof",
        "The plan may be one in memory. beside names other plans to run: {name: plan}.",
    ),
    "measure": (
        "measure",
        ["model: StrPath", "changes: str | Sequence[str]"],
        [PROGRESS],
        {"change"},
        "Result",
        "changes are like 'L12.mlp.down=int3'.",
    ),
    "perplexity": ("perplexity", ["model: StrPath"], [PROGRESS], set(), "Result", ""),
    "imatrix": ("imatrix", ["model: StrPath", "output: StrPath"], [PROGRESS], {"output", "show_statistics"}, "Path", ""),
    "inspect": ("inspect", ["model: StrPath", f"metrics: {METRICS}"], [], {"metric"}, "Result", ""),
    "diff": (
        "diff",
        ["first: Map | StrPath", "second: Map | StrPath", f"metrics: {METRICS}"],
        [],
        {"metric"},
        "Map",
        "The difference is a map; its `comparison` says in what the two are not alike, and what moved most.",
    ),
    "merge": (
        "merge",
        ["parts: Sequence[Map | bytes | StrPath]"],
        ["model: StrPath | None = None", "out: StrPath | None = None"],
        {"out", "model", "normalise", "origin", "palette", "full_range"},
        "Map",
        "Parts may be maps in memory (scan with shard, layers or cells), their `part`, or folders. model says where the checkpoint is, if "
        "not where the parts found it: it is read only where scores take weights and sums over all sequences.",
    ),
    "agree": (
        "agree",
        ["maps: Map | StrPath | Sequence[Map | StrPath]", "truth: Metric | str | None = None"],
        [],
        {"with_"},
        "Result",
        "truth is the measured cost that others are held against.",
    ),
    "quantize": (
        "quantize",
        ["model: StrPath", "plan: Plan | StrPath", "output: StrPath"],
        [PROGRESS],
        {"output"},
        "Result",
        "The plan may be one in memory.",
    ),
    "explain": ("explain", ["id: Enum | str"], [], set(), "Page", ""),
}


def type_of(argument: dict[str, Any]) -> str:
    """What an option takes, in Python."""
    if not argument["takes_value"]:
        return "bool"
    names = argument["value_names"]
    is_list = any(name.endswith(",…") for name in names) or argument["delimiter"]
    name = names[0].removesuffix(",…") if names else ""
    if argument["possible"]:
        one = f"Literal[{', '.join(repr(value) for value in argument['possible'])}]"
    elif name in ("FILE", "DIR", "BASE"):
        one = "StrPath"
    elif name in ("N", "K"):
        one = "int"
    elif name == "T":
        one = "float"
    elif name in ("SHARE|N", "SHARE", "RANK"):
        one = "str | float"
    else:
        one = "str"
    if name == "MODEL":
        one = "StrPath"
    if "=" in name:
        one = f"Mapping[str, str] | {one}"
    if is_list or argument["many_values"] or argument["repeated"]:
        one = f"{one} | Sequence[{one.removeprefix('Mapping[str, str] | ')}]"
    return f"{one} | bool" if argument["optional_value"] else one


def option(name: str, argument: dict[str, Any]) -> str:
    kind = type_of(argument)
    return f"{name}: bool = False" if kind == "bool" else f"{name}: {kind} | None = None"


def python_words(text: str) -> str:
    """The command line's own words as Python's: `--noise-seeds` is noise_seeds."""
    return re.sub(r"(?<![\w-])--([a-z][a-z-]*)", lambda found: option_name(found.group(1)), text)


def paragraph(text: str, indent: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=rest or indent, break_on_hyphens=False)


def documentation(command: dict[str, Any], extra: str, options: dict[str, dict[str, Any]]) -> list[str]:
    # What the command line writes and prints, a function returns.
    about = (command["about"] if command["command"] in RETURNS else command["long_about"] or command["about"]).strip()
    lines: list[str] = []
    for part in re.split(r"\n\s*\n", about) + ([extra] if extra else []):
        lines += [*paragraph(python_words(" ".join(part.split())), "    "), ""]
    heading = None
    for name, argument in options.items():
        if argument["heading"] != heading:
            heading = argument["heading"]
            lines += ["", f"    {heading}"] if heading else []
        said = python_words(" ".join((argument["help"] or "").split()))
        default = ", ".join(argument["default"])
        said += f" [default: {default}]" if default and argument["takes_value"] else ""
        lines += paragraph(f"{name}: {said}", "    ", "        ")
    while lines and not lines[-1]:
        lines.pop()
    text = "\n".join(lines).replace("\\", "\\\\").lstrip()
    return [f'    """{text}', '    """']


def commands_stub() -> str:
    out = [
        MADE,
        "from collections.abc import Mapping, Sequence",
        "from enum import Enum",
        "from os import PathLike",
        "from pathlib import Path",
        "from typing import Literal, TypeAlias",
        "",
        "from ._map import Map",
        "from ._own import OwnMetric",
        "from ._progress import Progress",
        "from ._registry import Client, Metric",
        "from ._results import Page, Plan, Proof, Result",
        "",
        "StrPath: TypeAlias = str | PathLike[str]",
        "Metrics: TypeAlias = str | Metric | OwnMetric | Sequence[str | Metric | OwnMetric]",
        "",
    ]
    for function, (name, positional, named, without, returns, extra) in FUNCTIONS.items():
        options = {key: value for key, value in options_of(name).items() if key not in without}
        if function == "diff":
            options["out"] = options_of(name)["out"]
        parameters = [*positional]
        by_name = named + [option(key, value) for key, value in options.items()]
        if by_name:
            parameters += ["*", *by_name]
        out.append(f"def {function}(")
        out += [f"    {parameter}," for parameter in parameters]
        out.append(f") -> {returns}:")
        out += documentation(commands()[name], extra, options)
        out.append("")
    return "\n".join(out)


def registry_stub() -> str:
    out = [
        MADE,
        "from enum import Enum",
        "from typing import Any",
        "",
        "ENUMS: dict[str, str]",
        "",
        "def member_name(id: str) -> str: ...",
        "def entries() -> dict[str, dict[str, dict[str, Any]]]: ...",
    ]
    for name, ids in _registry.entries().items():
        out += ["", f"class {name}(str, Enum):", f'    """{getattr(_registry, name).__doc__}"""', ""]
        out += [f"    {_registry.member_name(id)} = {id!r}" for id in ids]
        out += ["", "    @property", "    def summary(self) -> str: ...", "    @property", "    def details(self) -> dict[str, Any]: ..."]
    return "\n".join(out) + "\n"


def stubs() -> dict[Path, str]:
    return {FOLDER / "_commands.pyi": commands_stub(), FOLDER / "_registry.pyi": registry_stub()}


def main() -> int:
    stale = [path for path, text in stubs().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path} is not what the program says: run python/tools/stubs.py")
        return 1 if stale else 0
    for path in stale:
        path.write_text(stubs()[path])
        print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
