"""Scans on Ray: the same map, whoever makes its parts, and however often they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tomograph

ray = pytest.importorskip("ray", reason="the package ray is not there")

import tomograph.ray  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Two workers of one core on this machine."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.mark.parametrize(
    "scan",
    [
        {"metrics": ["rms", "err-int4", "stable-rank@null"]},
        {"metrics": ["fisher", "predicted-kl-int4", "input-energy", "err-int4@x"], "draws": 2},
        {"metrics": ["quant-kl-int3", "ablate-zero"], "exact": True},
    ],
    ids=["weights", "text", "interventions"],
)
def test_the_map_is_that_of_one_process(demo: Path, tmp_path: Path, scan: dict[str, object]) -> None:
    text = tmp_path / "a text.txt"
    text.write_text("The engineer asked the dog about the lighthouse; nobody knew why it was dark in the evening. " * 12)
    if "rms" not in scan["metrics"]:  # type: ignore[operator]
        scan = {**scan, "text": text, "tokens": 384, "sequence": 48}
    seen: list[tuple[int, int, str]] = []
    alone = tomograph.scan(demo, threads=1, **scan)
    together = tomograph.ray.scan(demo, shards=4, progress=lambda *at: seen.append(at), **scan)
    assert alone.table().equals(together.table())
    assert seen and seen[-1][1] == 4000 and all(0 <= done <= total for done, total, _ in seen)
    assert alone.provenance["text"] == together.provenance["text"] if "text" in scan else True


def test_a_killed_worker_changes_nothing(demo: Path) -> None:
    scan = {"metrics": ["quant-kl-int3", "ablate-mean"], "exact": True, "tokens": 1536, "sequence": 96}
    alone = tomograph.scan(demo, threads=1, **scan)
    killed: list[int] = []

    def kill() -> None:
        """Three times over, the worker that has been at a part the longest."""
        while len(killed) < 3:
            for pid in _workers():
                if pid not in killed:
                    time.sleep(0.5)
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                    killed.append(pid)
                    break
            time.sleep(0.2)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    together = tomograph.ray.scan(demo, shards=4, retries=8, **scan)
    killer.join(timeout=5)
    assert len(killed) == 3
    assert alone.table().equals(together.table())


def _workers() -> list[int]:
    """Processes that are at a part of a scan: Ray names its workers after what they run."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                title = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if title.startswith(b"ray::_part"):
                found.append(int(process.name))
    return found


def test_the_program(demo: Path, tmp_path: Path) -> None:
    words = ["map", str(demo), "--metric", "rms,err-int3", "--group=16"]
    address = ray.get_runtime_context().gcs_address
    ran = subprocess.run(
        [sys.executable, "-m", "tomograph", *words, "--ray", address, "--shards=3", "--normalize", "rank", "--out", str(tmp_path / "ray")],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    alone = tomograph.scan(demo, metrics=["rms", "err-int3"], group=16)
    assert tomograph.Map.load(tmp_path / "ray").table().equals(alone.table())
    assert (tmp_path / "ray" / "report.html").exists()
    assert "rank" in ran.stdout and "as measured" not in ran.stdout


def test_errors_of_parts_are_raised_as_they_are(demo: Path) -> None:
    with pytest.raises(tomograph.Error, match="race"):
        tomograph.ray.scan(demo, metrics="quant-kl-int3", shards=2, tokens=256, sequence=64)
    with pytest.raises(tomograph.Error, match="--layers"):
        tomograph.ray.scan(demo, metrics="rms", layers="0-3", shards=2)
    with pytest.raises(tomograph.Error, match="no metric is called|rmss"):
        tomograph.ray.scan(demo, metrics="rmss")
    with pytest.raises(TypeError, match="your own"):
        tomograph.scan(demo, metrics=[tomograph.metric("mine")(lambda cell, weights: 1.0)], ray="auto")
