"""Parts of a scan: made apart, put together to the map that one scan would have made."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import _scan, _tomograph
from ._arguments import said
from ._map import Map
from ._progress import Progress, Told

#: Name of the file in a part's folder.
FILE = "part.tomograph"


class Part:
    """A part of a scan, as `tomograph map --shard 3/16` leaves it: which scan it is of, what its share was, what it knows."""

    def __init__(self, data: bytes, name: str = "a part in memory") -> None:
        self.data = bytes(data)
        #: What errors call it.
        self.name = name

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Part:
        """From its file, or from the folder that holds it."""
        file = Path(path)
        if file.is_dir():
            file = file / FILE
        return cls(file.read_bytes(), str(path))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Writes it to a folder, as the program does: `tomograph merge` takes it from there."""
        file = Path(folder) / FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".new")
        beside.write_bytes(self.data)
        beside.replace(file)
        return file

    def __repr__(self) -> str:
        return f"<Part {self.name}, {len(self.data):,} bytes>"


def part(model: Any, metrics: Any = None, *, progress: bool | Progress = False, **options: Any) -> Part:
    """Makes a part of a scan: `shard="3/16"`, `layers="0-13"` or `cells="attn.v"`, and whatever else `tomograph.scan` takes."""
    return made(_scan.scan_arguments(model, {"metrics": metrics, **options}), progress)


def made(words: list[str], progress: bool | Progress = False) -> Part:
    """Makes the part that the words of a command line ask for."""
    with Told(progress) as tell:
        data, text = _tomograph.part(words, tell)
    said(text)
    return Part(data)


def merge(parts: Iterable[Part | str | os.PathLike[str]], model: str | os.PathLike[str] | None = None) -> Map:
    """Puts the parts of one scan together: in memory, or by their folders. `model` says where the checkpoint is, if not where the parts
    found it; it is read only where scores take weights and sums over all sequences.

    Raises tomograph.Error, which names what is missing or there twice.
    """
    read = [part if isinstance(part, Part) else Part.load(part) for part in parts]
    core, text = _tomograph.merge([(part.name, part.data) for part in read], None if model is None else os.fspath(model))
    said(text)
    return Map(core)
