"""Numbers are those of the command line, to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import command_line

import tomograph

#: What of a map says when and how it was made, not what it is.
OCCASION = ("command", "started", "seconds", "peak_rss_bytes")


def content(json_bytes: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json_bytes)
    for name in OCCASION:
        found["provenance"].pop(name, None)
    return found


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--metric", "all,spectrum@null", "--group", "64", "--seed", "3"], {"metrics": ["all", "spectrum@null"], "group": 64, "seed": 3}),
        (
            ["--metric", "activations,err-int4@x", "--tokens", "256", "--sequence", "64"],
            {"metrics": ["activations", "err-int4@x"], "tokens": 256, "sequence": 64},
        ),
        (
            ["--metric", "taylor,predicted-kl-int3", "--tokens", "128", "--sequence", "64", "--draws", "4", "--memory", "500MB"],
            {"metrics": ["taylor", tomograph.Metric.PREDICTED_KL_INT3], "tokens": 128, "sequence": 64, "draws": 4, "memory": "500MB"},
        ),
        (
            ["--metric", "ablate-zero,noise-alpha", "--tokens", "64", "--sequence", "32", "--noise-levels", "0.1,0.2", "--noise-seeds", "1", "--exact"],
            {"metrics": "ablate-zero,noise-alpha", "tokens": 64, "sequence": 32, "noise_levels": [0.1, 0.2], "noise_seeds": 1, "exact": True},
        ),
    ],
    ids=["weights", "activations", "gradients", "causal"],
)
def test_a_scan(demo: Path, tmp_path: Path, words: list[str], options: dict[str, Any]) -> None:
    command_line("map", demo, *words, "--out", tmp_path / "cli")
    there, here = tomograph.Map.load(tmp_path / "cli"), tomograph.scan(demo, **options)
    assert content(here.to_json()) == content((tmp_path / "cli" / "map.json").read_bytes())
    for metric in there.metrics:
        assert here.array(metric).tobytes() == there.array(metric).tobytes(), metric
    if "metrics" in options and "predicted-kl-int3" in map_text(options["metrics"]):
        here.save(tmp_path / "python")
        assert (tmp_path / "python" / "draws.json").read_bytes() == (tmp_path / "cli" / "draws.json").read_bytes()


def map_text(metrics: Any) -> str:
    return ",".join(str(m) for m in metrics) if isinstance(metrics, list) else str(metrics)


def test_a_comparison(demo: Path, tuned: Path, tmp_path: Path) -> None:
    command_line("map", tuned, "--against", demo, "--cast", "bf16", "--out", tmp_path / "cli")
    here = tomograph.scan(tuned, against=demo, cast="bf16")
    assert content(here.to_json()) == content((tmp_path / "cli" / "map.json").read_bytes())
    assert "update-density" in here.metrics


def test_a_folder_that_is_named_gets_what_the_command_writes(demo: Path, tmp_path: Path) -> None:
    command_line("map", demo, "--metric", "rms", "--out", tmp_path / "cli")
    tomograph.scan(demo, metrics="rms", out=tmp_path / "python")
    names = [sorted(path.name for path in (tmp_path / which).iterdir()) for which in ("cli", "python")]
    assert names[0] == names[1]


def test_nothing_is_written_where_no_folder_is_named(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tomograph.scan(demo, metrics="ablate-zero", tokens=32, sequence=16)
    assert list(tmp_path.iterdir()) == []


def test_the_program_is_the_same_program(demo: Path) -> None:
    assert command_line("--version").stdout.strip() == f"tomograph {tomograph.__version__}"
    missing = command_line("map", "nowhere.gguf", check=False)
    assert missing.returncode == 1 and missing.stderr.startswith("error: cannot read")
    assert command_line("map", check=False).returncode == 2
    inspected = json.loads(command_line("inspect", demo, "--json").stdout)
    here = tomograph.inspect(demo).json
    # Seconds are measured anew.
    assert inspected["cost"].pop("seconds") > 0 and here["cost"].pop("seconds") > 0
    assert inspected == here
