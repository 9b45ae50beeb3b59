"""The package itself: enums, stubs, documentation, what it needs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, command_line

import tomograph

sys.path.insert(0, str(REPOSITORY / "python" / "tools"))


@pytest.mark.parametrize(
    ("enum", "what"),
    [
        (tomograph.Metric, "metrics"),
        (tomograph.Family, "families"),
        (tomograph.OutputFormat, "formats"),
        (tomograph.Normalisation, "normalisations"),
        (tomograph.NumberFormat, "quantizations"),
        (tomograph.Edit, "edits"),
        (tomograph.Client, "clients"),
    ],
)
def test_enums_are_what_the_program_lists(enum: type, what: str) -> None:
    listed = json.loads(command_line("list", what, "--json").stdout)
    members = [member.value for member in enum]  # type: ignore[attr-defined]
    # Metrics of every number format are not listed one by one.
    assert members[: len(listed)] == [entry["id"] for entry in listed]
    assert [member.summary for member in enum][: len(listed)] == [entry["summary"] for entry in listed]  # type: ignore[attr-defined]


def test_members_are_strings() -> None:
    assert tomograph.Metric.ERR_INT4 == "err-int4" and str(tomograph.Metric.ERR_INT4) == "err-int4"
    assert f"{tomograph.Component.ATTN_Q}" == "attn.q" and tomograph.Metric("err-q6_k").name == "ERR_Q6_K"
    assert tomograph.Metric.RMS.details["unit"] == "weight units"


def test_stubs_are_those_of_the_program() -> None:
    import stubs

    if tomograph.__file__ and not Path(tomograph.__file__).is_relative_to(REPOSITORY):
        installed = Path(tomograph.__file__).parent
        stubs.FOLDER = REPOSITORY / "python" / "tomograph"
        assert (installed / "_commands.pyi").read_text() == (stubs.FOLDER / "_commands.pyi").read_text()
    for path, text in stubs.stubs().items():
        assert path.read_text() == text, f"{path.name} is not what the program says: run python/tools/stubs.py"


def test_every_option_is_in_a_signature() -> None:
    parameters = inspect.signature(tomograph.scan).parameters
    assert {"model", "metrics", "text", "against", "memory", "progress", "noise_levels"} <= set(parameters)
    assert parameters["exact"].default is False and parameters["memory"].default is None
    assert "sizes of the noise" in (tomograph.scan.__doc__ or "").lower()


def test_what_is_optional_is_not_imported() -> None:
    script = "import sys, tomograph; print([m for m in ('pyarrow', 'pandas', 'matplotlib', 'ray') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"


def test_types_hold() -> None:
    pytest.importorskip("mypy")
    ran = subprocess.run([sys.executable, "-m", "mypy", "--strict", "-p", "tomograph"], capture_output=True, text=True, cwd=REPOSITORY / "python")
    assert ran.returncode == 0, ran.stdout
