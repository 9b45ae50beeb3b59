"""The commands of the program as functions.

Types and documentation of all options are in `_commands.pyi`, which tools/stubs.py makes from the command line's own tree.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from . import _documentation, _scan, _tomograph
from ._arguments import arguments, said
from ._map import Map
from ._progress import Progress, Told
from ._results import Page, Plan, Proof, Result


def scan(model: Any, metrics: Any = None, *, progress: bool | Progress = False, **options: Any) -> Map:
    _, own = _scan.own_metrics(metrics)
    if options.get("ray") is not None:
        return _on_ray(_scan.scan_arguments(model, {"metrics": metrics, **options}), own, progress)
    return _scan.run(_scan.scan_arguments(model, {"metrics": metrics, **options}), own, progress)


def _on_ray(words: list[str], own: list[Any], progress: bool | Progress) -> Map:
    from . import ray

    if own:
        raise TypeError("metrics of your own are made in this process: leave them out, or leave ray out")
    return merge(ray.parts_of(words, progress))


def _run(words: list[str], progress: bool | Progress = False) -> tuple[int, str]:
    with Told(progress) as tell:
        code, out, text = _tomograph.run(words, tell)
    said(text)
    return code, out.decode()


def _json(words: list[str], progress: bool | Progress = False) -> tuple[int, dict[str, Any]]:
    code, out = _run([*words[:1], "--json", *words[1:]], progress)
    found: dict[str, Any] = json.loads(out)
    return code, found


@contextmanager
def _on_disk(*things: Any) -> Iterator[list[Any]]:
    """Paths of maps and plans: those in memory are written to a folder for as long as it takes."""
    with tempfile.TemporaryDirectory(prefix="tomograph-") as folder:
        paths: list[Any] = []
        for at, thing in enumerate(things):
            if isinstance(thing, (Map, Plan)):
                path = Path(folder, str(at))
                if isinstance(thing, Map):
                    thing._core.save_numbers(str(path))
                else:
                    thing.save(path)
                paths.append(path)
            else:
                paths.append(thing)
        yield paths


def _several(things: Any) -> list[Any]:
    return list(things) if isinstance(things, Sequence) and not isinstance(things, (str, bytes)) else [things]


def plan(maps: Any, client: Any, *, output: Any = None, **options: Any) -> Plan:
    with _on_disk(*_several(maps)) as paths, tempfile.TemporaryDirectory(prefix="tomograph-") as folder:
        _run(arguments("plan", paths, {"for_": client, "output": output or folder, **options}))
        return Plan.load(output or folder)


def verify(plan: Any, model: Any = None, *, progress: bool | Progress = False, beside: Any = None, **options: Any) -> Proof:
    named = dict(beside or {})
    with _on_disk(plan, *named.values()) as (path, *others):
        options["beside"] = dict(zip(named, others)) or None
        positional = [path] if model is None else [path, model]
        code, found = _json(arguments("verify", positional, options), progress)
        proof = Proof(found, code)
        refined = Path(path, "plan.refined.json")
        if options.get("refine") and refined.is_file():
            proof.refined_plan = Plan.load(refined)
        return proof


def measure(model: Any, changes: Any, *, progress: bool | Progress = False, **options: Any) -> Result:
    return Result(_json(arguments("measure", [model], {"change": changes, **options}), progress)[1])


def perplexity(model: Any, *, progress: bool | Progress = False, **options: Any) -> Result:
    return Result(_json(arguments("perplexity", [model], options), progress)[1])


def imatrix(model: Any, output: Any, *, progress: bool | Progress = False, **options: Any) -> Path:
    _run(arguments("imatrix", [model], {"output": output, **options}), progress)
    return Path(os.fsdecode(output))


def inspect(model: Any, metrics: Any = None, **options: Any) -> Result:
    ids, _ = _scan.own_metrics(metrics)
    return Result(_json(arguments("inspect", [model], {"metric": ids, **options}))[1])


def diff(first: Any, second: Any, metrics: Any = None, *, out: Any = None, **options: Any) -> Map:
    ids, _ = _scan.own_metrics(metrics)
    with _on_disk(first, second) as paths, tempfile.TemporaryDirectory(prefix="tomograph-") as folder:
        found = _json(arguments("diff", paths, {"metric": ids, "out": out or folder, **options}))[1]
        map = Map.load(out or folder)
    map.comparison = found
    return map


def merge(parts: Any, *, model: Any = None, out: Any = None) -> Map:
    read = [_part(part) for part in _several(parts)]
    core, text = _tomograph.merge(read, None if model is None else os.fspath(model))
    said(text)
    map = Map(core)
    if out is not None:
        map.save(out)
    return map


def _part(part: Any) -> tuple[str, bytes]:
    """A part of a scan: what errors call it, and its bytes."""
    if isinstance(part, Map):
        if part.part is None:
            raise ValueError(f"{part!r} is no part of a scan: layers=, cells= or shard= make one")
        return "a part in memory", part.part
    if isinstance(part, bytes):
        return "a part in memory", part
    file = Path(part)
    if file.is_dir():
        file = file / "part.tomograph"
    return os.fspath(part), file.read_bytes()


def agree(maps: Any, truth: Any = None, **options: Any) -> Result:
    with _on_disk(*_several(maps)) as paths:
        return Result(_json(arguments("agree", paths, {"with_": truth, **options}))[1])


def quantize(model: Any, plan: Any, output: Any, *, progress: bool | Progress = False, **options: Any) -> Result:
    with _on_disk(plan) as (path,):
        return Result(_json(arguments("quantize", [model, path], {"output": output, **options}), progress)[1])


def explain(id: str | Enum) -> Page:
    return Page(_run(arguments("explain", [id], {}))[1])


_documentation.document(Path(__file__).with_suffix(".pyi"), globals())
