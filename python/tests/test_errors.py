"""One exception class that says what is known."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from conftest import command_line

import tomograph


def raised(*arguments: object, **options: object) -> tomograph.Error:
    with pytest.raises(tomograph.Error) as caught:
        tomograph.scan(*arguments, **options)  # type: ignore[arg-type]
    assert caught.value.kind in tomograph.Error.KINDS
    return caught.value


def test_a_file_that_is_not_there() -> None:
    error = raised("nowhere.gguf")
    assert (error.kind, error.site) == ("io", "file nowhere.gguf")
    assert error.expected == "a folder, a .safetensors file or a .gguf file" and error.hint
    assert "error: " + str(error) == command_line("map", "nowhere.gguf", check=False).stderr.strip()


def test_a_damaged_file(demo: Path, tmp_path: Path) -> None:
    whole = (demo / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    error = raised(tmp_path / "cut.safetensors")
    assert error.kind == "malformed" and error.site and error.site.startswith(f"file {tmp_path}/cut.safetensors")
    assert error.expected and error.found


def test_a_config_that_is_not_understood(demo: Path, tmp_path: Path) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((demo / name).read_bytes())
    config = json.loads((demo / "config.json").read_text()) | {"attention_wobble": 3}
    (tmp_path / "config.json").write_text(json.dumps(config))
    error = raised(tmp_path, metrics="input-energy")
    assert error.kind == "model" and error.site == 'key "attention_wobble"'
    assert error.hint and "--ignore-config-key" in error.hint
    assert tomograph.scan(tmp_path, metrics="input-energy", tokens=32, sequence=16, ignore_config_key="attention_wobble").metrics


def test_metrics_and_options_that_do_not_exist(demo: Path) -> None:
    error = raised(demo, metrics="stable-rnk")
    assert error.kind == "metric" and "stable-rank" in str(error)
    error = raised(demo, metrics="rms", group=0)
    assert error.kind == "usage" and "--group" in str(error) and not str(error).startswith("error")
    with pytest.raises(TypeError, match="did you mean 'group'"):
        tomograph.scan(demo, metrics="rms", gruop=64)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes one value"):
        tomograph.scan(demo, metrics="rms", group=[64, 128])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="True or False"):
        tomograph.scan(demo, metrics="rms", exact="yes")  # type: ignore[arg-type]


def test_memory_and_maps_and_plans(demo: Path, scanned: tomograph.Map) -> None:
    error = raised(demo, metrics="input-energy", memory="1kB")
    assert error.kind == "run" and error.expected and error.found
    with pytest.raises(tomograph.Error, match="no metric 'nonsense'|no metric \"nonsense\"") as caught:
        scanned.array("nonsense")
    assert caught.value.kind == "map"
    with pytest.raises(tomograph.Error) as caught:
        tomograph.plan(scanned, "llama.cpp", target="4bpw")
    assert caught.value.kind == "plan" and caught.value.hint


def test_a_bug_is_an_error_and_the_interpreter_goes_on(demo: Path) -> None:
    from tomograph import _tomograph

    with pytest.raises(tomograph.Error, match="this is a bug: on purpose") as caught:
        _tomograph.bug_for_tests()
    assert caught.value.kind == "internal" and caught.value.hint
    assert tomograph.scan(demo, metrics="rms").metrics == ["rms"]


def test_an_error_survives_pickling(demo: Path) -> None:
    error = raised("nowhere.gguf")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.kind, again.site, again.hint) == (str(error), error.kind, error.site, error.hint)
