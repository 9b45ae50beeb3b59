"""Parts in Python: made in this process or by the program, put together by either."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import command_line

import tomograph

TEXT = {"metrics": ["input-energy", "fisher", "err-int4"], "tokens": 256, "sequence": 64}


def test_parts_are_the_whole(demo: Path, tmp_path: Path) -> None:
    whole = tomograph.scan(demo, **TEXT)
    parts = [tomograph.part(demo, shard=f"{n}/3", **TEXT) for n in (1, 2, 3)]
    merged = tomograph.merge(reversed(parts))
    assert whole.table().equals(merged.table())
    # One of them from the program, the others by their folders.
    command_line("map", demo, "--metric", "input-energy,fisher,err-int4", "--tokens=256", "--sequence=64", "--shard=2/3", "--out", tmp_path / "2")
    folders = [parts[0].save(tmp_path / "1").parent, tmp_path / "2", parts[2].save(tmp_path / "3").parent]
    assert tomograph.merge(folders).table().equals(whole.table())
    command_line("merge", *folders, "-o", tmp_path / "map")
    assert tomograph.Map.load(tmp_path / "map").table().equals(whole.table())


def test_what_is_missing_is_named(demo: Path) -> None:
    parts = [tomograph.part(demo, metrics="rms", shard=f"{n}/3") for n in (1, 3)]
    with pytest.raises(tomograph.Error, match="2/3") as raised:
        tomograph.merge(parts)
    assert raised.value.expected and raised.value.found and raised.value.hint
    with pytest.raises(tomograph.Error, match="not a whole part"):
        tomograph.merge([tomograph.Part(parts[0].data[:-1]), parts[1]])
    with pytest.raises(tomograph.Error, match="a part is asked for"):
        tomograph.part(demo, metrics="rms")
