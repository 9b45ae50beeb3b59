"""Parts in Python: made in this process or by the program, put together by either."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import command_line

import tomograph

TEXT = {"metrics": ["input-energy", "fisher", "err-int4"], "tokens": 256, "sequence": 64}


def test_parts_are_the_whole(demo: Path, tmp_path: Path) -> None:
    whole = tomograph.scan(demo, **TEXT)
    parts = [tomograph.scan(demo, shard=f"{n}/3", **TEXT) for n in (1, 2, 3)]
    merged = tomograph.merge(parts[::-1])
    assert whole.table().equals(merged.table())
    # One of them from the program, the others by their folders.
    command_line("map", demo, "--metric", "input-energy,fisher,err-int4", "--tokens=256", "--sequence=64", "--shard=2/3", "--out", tmp_path / "2")
    folders = [tmp_path / "1", tmp_path / "2", tmp_path / "3"]
    parts[0].save(folders[0])
    parts[2].save(folders[2])
    assert tomograph.merge(folders).table().equals(whole.table())
    command_line("merge", *folders, "-o", tmp_path / "map")
    assert tomograph.Map.load(tmp_path / "map").table().equals(whole.table())


def test_what_is_missing_is_named(demo: Path) -> None:
    parts = [tomograph.scan(demo, metrics="rms", shard=f"{n}/3").part or b"" for n in (1, 3)]
    with pytest.raises(tomograph.Error, match="2/3") as raised:
        tomograph.merge(parts)
    assert raised.value.expected and raised.value.found and raised.value.hint
    with pytest.raises(tomograph.Error, match="not a whole part"):
        tomograph.merge([parts[0][:-1], parts[1]])
