"""Ctrl-C, and other exceptions, end a scan."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import command_line

import tomograph

#: A scan of hours: every cell, removed, on many sequences.
LONG = "metrics='ablate-zero,quant-kl-int3,noise-alpha', tokens=200000, sequence=128, exact=True"

SCRIPT = """
import sys, time, tomograph
def tell(done, total, what):
    print("working", flush=True)
try:
    tomograph.scan(sys.argv[1], {what}, progress=tell)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    # The interpreter goes on, and can scan.
    print(tomograph.scan(sys.argv[1], metrics="rms").metrics, flush=True)
"""

TEXT = Path(__file__).resolve().parents[2] / "docs" / "decisions.md"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent another way there")
def test_ctrl_c_is_a_keyboard_interrupt_and_the_interpreter_goes_on(demo: Path) -> None:
    script = SCRIPT.format(what=f"{LONG}, text={str(TEXT)!r}")
    child = subprocess.Popen([sys.executable, "-c", script, str(demo)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "working\n"
    asked = time.monotonic()
    child.send_signal(signal.SIGINT)
    line = child.stdout.readline()
    while line == "working\n":
        line = child.stdout.readline()
    took = time.monotonic() - asked
    rest = child.stdout.read()
    assert line == "interrupted\n" and rest == "['rms']\n" and child.wait() == 0
    print(f"Ctrl-C was answered after {took:.2f} s")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent another way there")
def test_ctrl_c_ends_the_program_which_writes_what_it_has(demo: Path, tmp_path: Path) -> None:
    words = ["map", str(demo), "--metric", "ablate-zero", "--text", str(TEXT), "--tokens", "100000", "--exact", "--out", str(tmp_path / "out")]
    child = subprocess.Popen([sys.executable, "-m", "tomograph", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    # It says what it will do before it begins.
    while "racing" not in (line := child.stderr.readline()) and "changed models" not in line:
        assert line, child.wait()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert child.returncode == 130, err
    assert (tmp_path / "out" / "map.json").exists() and "interrupted" in err


def test_an_exception_of_the_progress_function_ends_the_scan(demo: Path) -> None:
    def enough(done: int, total: int, what: str) -> None:
        raise StopIteration(what)

    with pytest.raises(StopIteration):
        tomograph.scan(demo, metrics="ablate-zero", text=TEXT, tokens=20000, exact=True, progress=enough)


def test_progress_is_told_and_a_bar_is_drawn(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[int, int, str]] = []
    tomograph.scan(demo, metrics="ablate-zero", tokens=64, sequence=16, progress=lambda *args: told.append(args))
    assert told and all(0 <= done <= total for done, total, _ in told) and told[-1][2]
    tomograph.scan(demo, metrics="ablate-zero", tokens=64, sequence=16, progress=True)
    drawn = capsys.readouterr().err
    assert "%" in drawn and drawn.endswith("\r")


def test_the_program_answers_help() -> None:
    assert "Scan a model" in command_line("map", "--help").stdout
