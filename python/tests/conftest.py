"""What tests share: fixtures of the repository, the command line, and readers that nobody here wrote for this program."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tomograph

REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURES = REPOSITORY / "fixtures"


def tensors(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a safetensors file by numpy: a length, a JSON header, little-endian values. bf16 is the upper half of float32."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    found = {}
    for name, about in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        raw = data[8 + length :][slice(*about["data_offsets"])]
        if about["dtype"] == "BF16":
            values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw, {"F32": "<f4", "I64": "<i8"}[about["dtype"]])
        found[name] = values.reshape(about["shape"])
    return found


def command_line(*words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs the program in a process of its own."""
    ran = subprocess.run([sys.executable, "-m", "tomograph", *map(str, words)], capture_output=True, text=True)
    assert not check or ran.returncode == 0, ran.stderr
    return ran


@pytest.fixture(scope="session")
def demo() -> Path:
    """A model of 28 layers that was trained here, 196 cells."""
    return FIXTURES / "demo" / "base"


@pytest.fixture(scope="session")
def tuned() -> Path:
    return FIXTURES / "demo" / "tuned"


@pytest.fixture(scope="session")
def mixture() -> Path:
    """3 layers with 3 experts each."""
    return FIXTURES / "parity" / "mixtral"


@pytest.fixture(scope="session")
def scanned(demo: Path) -> tomograph.Map:
    """Weights of the demo model, and what is read on a text, with intervals."""
    return tomograph.scan(demo, metrics=["rms", "stable-rank", "stable-rank@null", "input-energy"], tokens=512, sequence=64)
