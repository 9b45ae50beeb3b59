"""Metrics of your own: a Python function of a cell's weights, or of what it reads and writes on a text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, SupportsFloat

#: What a metric is made of; it returns a number, or None.
Function = Callable[..., SupportsFloat | None]


@dataclass(frozen=True)
class OwnMetric:
    """A function as a metric of one scan: `tomograph.scan(model, metrics=[own])`. `@tomograph.metric(…)` makes one."""

    function: Function
    id: str
    title: str
    unit: str
    summary: str
    direction: Literal["high", "low", "neutral"]
    reads: Literal["weights", "taps"]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.id):
            raise ValueError(f"the id of a metric is lower-case words joined by '-', like 'max-abs': {self.id!r}")
        if self.direction not in ("high", "low", "neutral"):
            raise ValueError(f"direction is 'high', 'low' or 'neutral': {self.direction!r}")
        if self.reads not in ("weights", "taps"):
            raise ValueError(f"a metric reads 'weights' or 'taps': {self.reads!r}")

    def __call__(self, *arguments: Any) -> SupportsFloat | None:
        return self.function(*arguments)


def metric(
    id: str,
    *,
    title: str | None = None,
    unit: str = "1",
    summary: str | None = None,
    direction: Literal["high", "low", "neutral"] = "high",
    reads: Literal["weights", "taps"] = "weights",
) -> Callable[[Function], OwnMetric]:
    """Makes a metric of a function.

    reads="weights": `f(cell, W)`, W is float32 `[out, in]`, decoded. Called once for every cell.
    reads="taps":    `f(cell, x, y)`, x is what the cell reads, `[T, in]`, y what it writes, `[T, out]`, bias included; both float32.
                     Called once for every cell and sequence; the score is the mean over sequences weighted by their tokens, with a 95 %
                     interval from the paired bootstrap over sequences.

    `cell` is a `tomograph.Cell`. Arrays are read-only and own their numbers: they may be kept. None (of a cell, or of a sequence) means
    that there is nothing to say; a number that is not finite becomes a status with a reason, as everywhere. Functions are called from the
    scan's threads, one at a time; an exception ends the scan, and is the `__cause__` of the `tomograph.Error` that is raised.

    unit="1" is for a pure number. direction says which way is important.
    """

    def of(function: Function) -> OwnMetric:
        said = (function.__doc__ or "").strip().split("\n")[0]
        return OwnMetric(
            function=function,
            id=id,
            title=title or id.replace("-", " ").capitalize(),
            unit="ratio" if unit == "1" else unit,
            summary=summary or said or f"A metric of the user's: {id}.",
            direction=direction,
            reads=reads,
        )

    return of
