"""How far a run is, in a notebook as in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

#: `f(done, total, what)`: bytes or steps; `what` names a cell, a layer, a file. A run has several parts, and each begins at 0.
Progress = Callable[[int, int, str], object]


class Bar:
    """A line of text on stderr that is written over."""

    WIDTH = 28

    def __init__(self) -> None:
        self._drawn = 0
        self._last = 0.0

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if now - self._last < 0.1 and done < total:
            return
        self._last = now
        share = min(done / total, 1.0) if total else 0.0
        line = f"{what[:28]:<28} [{'=' * int(share * self.WIDTH):<{self.WIDTH}}] {100 * share:3.0f} %"
        sys.stderr.write("\r" + line.ljust(self._drawn))
        sys.stderr.flush()
        self._drawn = len(line)

    def clear(self) -> None:
        """Takes the line away."""
        if self._drawn:
            sys.stderr.write("\r" + " " * self._drawn + "\r")
            sys.stderr.flush()
            self._drawn = 0


class Told:
    """Who is told: nobody (False), a bar (True), or a function."""

    def __init__(self, progress: bool | Progress) -> None:
        self._bar = Bar() if progress is True else None
        self.tell: Progress | None = self._bar if self._bar else (progress if callable(progress) else None)

    def __enter__(self) -> Progress | None:
        return self.tell

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.clear()
