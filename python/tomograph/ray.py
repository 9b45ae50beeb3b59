"""Scans on a Ray cluster: parts as tasks, put together where they were asked for.

    import tomograph.ray

    map = tomograph.ray.scan("s3://models/llama-70b", metrics=["err-int4"], address="auto", shards=64)

Each task makes a part (`--shard 3/16`) with the words of the same command line, and its bytes come back through Ray's object store. Ray
begins a task anew whose worker was lost; a part is the same whoever makes it. Texts travel with the tasks, one copy a node; the checkpoint
has to be where every worker finds it: a shared folder, the hub, an object store.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ray

from . import _scan, _tomograph
from ._arguments import options_of
from ._commands import merge
from ._error import Error
from ._map import Map
from ._progress import Progress, Told

__all__ = ["parts", "scan"]

#: Options of `tomograph map` that name a file the tasks read.
FILES = ("text", "answers", "token-ids", "tokenizer", "imatrix")
#: Options that are for whoever puts the parts together.
NOT_FOR_PARTS = ("ray", "shards", "ray-retries", "out", "save-token-ids", "resume")
#: Memory of a worker beside what a scan foresees: the interpreter, Ray's own.
INTERPRETER_BYTES = 256 << 20
#: Seconds between two looks at how far the parts are.
LOOK = 0.25


def scan(
    model: Any,
    metrics: Any = None,
    *,
    address: str | None = "auto",
    shards: int | None = None,
    num_cpus: float = 1,
    memory_bytes: int | None = None,
    retries: int = 3,
    progress: bool | Progress = False,
    **options: Any,
) -> Map:
    """Makes the map that `tomograph.scan(model, metrics, **options)` makes, on a Ray cluster.

    address: where Ray is; "auto" is the cluster this machine belongs to, or else one of this machine alone. A session that runs is used.
    shards: parts; twice as many as fit on the cluster at once where None.
    num_cpus: cores of one part, and its threads.
    memory_bytes: what Ray keeps free for one part; what the scan foresees where None.
    retries: how often a part is begun anew whose worker was lost.
    """
    words = _scan.scan_arguments(model, {"metrics": metrics, **options})
    return merge(
        parts(
            words,
            address=address,
            shards=shards,
            num_cpus=num_cpus,
            memory_bytes=memory_bytes,
            retries=retries,
            progress=progress,
        )
    )


def parts(
    words: Sequence[str],
    *,
    address: str | None = "auto",
    shards: int | None = None,
    num_cpus: float = 1,
    memory_bytes: int | None = None,
    retries: int = 3,
    progress: bool | Progress = False,
) -> list[bytes]:
    """All parts of the scan that the words of a command line (`["map", MODEL, …]`) ask for."""
    threads = max(1, int(num_cpus))
    words = [*_without(words, (*NOT_FOR_PARTS, "threads")), f"--threads={threads}"]
    _connect(address)
    # As a part, so that what has no parts (a race, --layers) is refused before any task is begun.
    foreseen: dict[str, int] = json.loads(_tomograph.foresee([*words, "--shard=1/1"]))
    needed = memory_bytes or foreseen["peak_bytes"] + INTERPRETER_BYTES
    room = _room(num_cpus, needed)
    if shards is None:
        shards = max(1, min(2 * room, foreseen["most_parts"]))
    # Every worker plans with the memory that was foreseen here, whatever is free there.
    if not any(word.startswith("--memory") for word in words) and foreseen["sequences"]:
        words.append(f"--memory={foreseen['peak_bytes']}B")
    words, files = _apart(words)
    board = ray.remote(num_cpus=0)(_Board).remote()
    task = ray.remote(num_cpus=num_cpus, memory=needed, max_retries=retries)(_part)
    shipped = {place: ray.put(content) for place, content in files.items()}
    names = list(shipped)
    refs = [
        task.remote(board, f"{number}/{shards}", words, names, *shipped.values()) for number in range(1, shards + 1)
    ]
    try:
        with Told(progress) as tell:
            _wait(refs, board, tell)
        made: list[bytes] = ray.get(refs)
        return made
    except BaseException as error:
        for ref in refs:
            ray.cancel(ref, force=True)
        if isinstance(error, ray.exceptions.RayTaskError) and isinstance(error.cause, Error):
            # What stood in the way, not the way it came.
            raise error.cause from None
        raise


def parts_of(words: Sequence[str], progress: bool | Progress = False) -> list[bytes]:
    """All parts of the scan that the words of a command line `map … --ray ADDRESS` ask for, as these say."""
    shards, retries, threads = (_value(words, name) for name in ("shards", "ray-retries", "threads"))
    return parts(
        words,
        address=_value(words, "ray"),
        shards=int(shards) if shards else None,
        retries=int(retries) if retries else 3,
        num_cpus=int(threads) if threads else 1,
        progress=progress,
    )


def main(words: Sequence[str]) -> int:
    """`tomograph map … --ray ADDRESS`: makes the parts on the cluster, and leaves what `tomograph merge` leaves; its exit code."""
    made = parts_of(words, sys.stderr.isatty())
    look = _only(words, ("normalise", "origin", "palette", "full-range"))
    out = _value(words, "out")
    with tempfile.TemporaryDirectory(prefix="tomograph-") as folder:
        places = [str(Path(folder, str(at))) for at in range(len(made))]
        for place, part in zip(places, made, strict=True):
            Path(place).write_bytes(part)
        return _tomograph.main(["merge", *places, *(["--out", out] if out else []), *look])


def _connect(address: str | None) -> None:
    if ray.is_initialized():
        return
    logging = {"log_to_driver": False, "logging_level": "error"}
    if address == "auto":
        try:
            ray.init(address="auto", **logging)
        except ConnectionError:
            ray.init(**logging)
    else:
        ray.init(address=address, **logging)


def _room(num_cpus: float, memory_bytes: int) -> int:
    """Parts that fit on the cluster at once."""
    whole = ray.cluster_resources()
    by_cores = int(whole.get("CPU", 1) // num_cpus)
    by_memory = int(whole.get("memory", memory_bytes) // memory_bytes)
    return max(1, min(by_cores, by_memory))


class _Board:
    """Where parts say how far they are."""

    def __init__(self) -> None:
        self.shares: dict[str, tuple[float, str]] = {}

    def reached(self, cut: str, share: float, what: str) -> None:
        self.shares[cut] = (share, what)

    def look(self) -> tuple[float, str]:
        """Parts that are done, fractions counted; what was reached last."""
        last = next(reversed(self.shares), "")
        return sum(share for share, _ in self.shares.values()), self.shares.get(last, (0.0, ""))[1]


def _part(board: Any, cut: str, words: list[str], names: list[str], *contents: bytes) -> bytes:
    told = 0.0
    board.reached.remote(cut, 0.0, "")

    def tell(done: int, total: int, what: str) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told > 2 * LOOK and total:
            told = now
            board.reached.remote(cut, min(done / total, 1.0), what)

    places = {name: _on_this_node(name, content) for name, content in zip(names, contents, strict=True)}
    own = [functools.reduce(lambda word, name: word.replace(name, str(places[name])), names, word) for word in words]
    part = _scan.run([*own, f"--shard={cut}"], progress=tell).part
    if part is None:
        raise RuntimeError(f"part {cut} was ended before it was done")
    board.reached.remote(cut, 1.0, f"part {cut}")
    return part


def _wait(refs: list[Any], board: Any, tell: Progress | None) -> None:
    """Until all are done; the first failure is raised at once."""
    left = list(refs)
    while left:
        done, left = ray.wait(left, num_returns=len(left), timeout=LOOK)
        ray.get(done)
        if tell:
            share, what = ray.get(board.look.remote())
            tell(int(1000 * share), 1000 * len(refs), what or "waiting for workers")


def _apart(words: list[str]) -> tuple[list[str], dict[str, bytes]]:
    """The words with files of this machine replaced by names, and what is in the files."""
    files: dict[str, bytes] = {}

    def placed(path: str) -> str:
        file = Path(path)
        if path == "-":
            raise ValueError("standard input cannot be read on a cluster: name a file")
        content = file.read_bytes()
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        # The file keeps its name: maps say which text they were made on.
        name = f"<{digest}>/{file.name}"
        files[name] = content
        return name

    changed: list[str] = []
    for flag, values in _options(words):
        if flag and flag[2:] in FILES:
            changed.extend([flag, *map(placed, values)] if len(values) != 1 else [f"{flag}={placed(values[0])}"])
        else:
            changed.extend(values if flag is None else _written(flag, values))
    return changed, files


def _on_this_node(name: str, content: bytes) -> Path:
    """The file of that name on this node; written by whoever needs it first."""
    digest, _, base = name[1:].partition(">/")
    file = Path(tempfile.gettempdir(), f"tomograph-ray-{os.getuid()}", digest, base)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as beside:
            beside.write(content)
        os.replace(beside.name, file)
    return file


def _options(words: Iterable[str]) -> list[tuple[str | None, list[str]]]:
    """The words of a command line as options with their values; of a word that is no option, nothing and the word."""
    known = {f"--{name}": option for option in options_of("map").values() for name in (option["long"], *option["aliases"])}
    found: list[tuple[str | None, list[str]]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if word == "--":
            found.append((None, [word, *rest]))
            break
        if flag not in known:
            found.append((None, [word]))
            continue
        option = known[flag]
        flag = "--" + option["long"]
        if equals:
            found.append((flag, [value]))
        elif not option["takes_value"]:
            found.append((flag, []))
        elif option["many_values"]:
            values = []
            while rest and not rest[0].startswith("--"):
                values.append(rest.pop(0))
            found.append((flag, values))
        elif option["optional_value"] and (not rest or rest[0].startswith("-")):
            found.append((flag, []))
        else:
            found.append((flag, [rest.pop(0)] if rest else []))
    return found


def _written(flag: str, values: list[str]) -> list[str]:
    return [f"{flag}={values[0]}"] if len(values) == 1 else [flag, *values]


def _without(words: Iterable[str], names: Iterable[str]) -> list[str]:
    flags = {"--" + name for name in names}
    kept = (pair for pair in _options(words) if pair[0] not in flags)
    return [word for flag, values in kept for word in (values if flag is None else _written(flag, values))]


def _only(words: Iterable[str], names: Iterable[str]) -> list[str]:
    flags = {"--" + name for name in names}
    return [word for flag, values in _options(words) if flag in flags for word in _written(str(flag), values)]


def _value(words: Iterable[str], name: str) -> str | None:
    """The value of an option, the last where it is there several times."""
    given = [values for flag, values in _options(words) if flag == "--" + name and values]
    return given[-1][0] if given else None
