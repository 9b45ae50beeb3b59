"""The map: scores of every cell, with where they came from."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._arguments import arguments
from ._error import Error
from ._tomograph import Cell, Core

if TYPE_CHECKING:
    import matplotlib.axes
    import numpy.typing as npt
    import pandas
    import pyarrow

    Floats = npt.NDArray[np.float64]

#: Columns of every array, in this order: attn.q attn.k attn.v attn.o mlp.up mlp.down mlp.gate.
COMPONENTS = 7


class Map:
    """Scores of all cells of a model, and where they came from. `tomograph.scan`, `tomograph.diff` and `Map.load` make one."""

    __slots__ = ("_core", "comparison")

    def __init__(self, core: Core) -> None:
        self._core = core
        #: Of a difference: in what the two maps are not alike, and what moved most. None of other maps.
        self.comparison: dict[str, Any] | None = None

    # Reading and writing.

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Map:
        """Reads a map.json, or the folder that `save` or `tomograph map` wrote."""
        return cls(Core.load(os.fspath(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes everything that `tomograph map` writes to a folder. A path with an ending is a file instead: .json, .csv, .md,
        .html, or .svg, .png, .pdf of the first metric."""
        self._core.save(os.fspath(path))

    def to_json(self) -> bytes:
        """The content of map.json."""
        return self._core.json()

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_parts, (*self._core.parts(), self.comparison)

    # What is in it.

    @property
    def metrics(self) -> list[str]:
        """Ids of its metrics."""
        return self._core.metrics()

    @property
    def cells(self) -> list[Cell]:
        """Its cells, by layer, component and expert; scores are in this order."""
        return self._core.cells()

    @property
    def layers(self) -> int:
        """Number of layers."""
        return self._core.layers

    @property
    def provenance(self) -> dict[str, Any]:
        """Model, digests, text, seed, version, command line, wall time."""
        found: dict[str, Any] = json.loads(self._core.provenance())
        return found

    @property
    def is_partial(self) -> bool:
        """Whether the scan was ended before it was done."""
        return self._core.ended_early

    @property
    def part(self) -> bytes | None:
        """Of a part of a scan (layers=, cells=, shard=): what `tomograph.merge` puts together with others. None of whole scans."""
        return dict(self._core.parts()[1]).get("part.tomograph")

    def info(self, metric: str | Enum) -> dict[str, Any]:
        """What a metric's numbers are: title, unit, direction, caveat."""
        found: dict[str, Any] = json.loads(self._core.info(_id(metric)))
        return found

    # Numbers.

    def array(self, metric: str | Enum, *, expert: int | Literal["mean"] | None = None, experts: bool = False) -> Floats:
        """Scores as a new float64 array, layers x 7 (attn.q attn.k attn.v attn.o mlp.up mlp.down mlp.gate); NaN where, and only where,
        the map has no score.

        A mixture has several cells at one place, so one of these has to be said: expert=3 takes that expert, expert="mean" the mean over
        those that have a score (what pictures show), experts=True gives layers x 7 x experts. Cells that are no experts are the same for
        all of them.
        """
        return self._placed(self._core.scores(_id(metric))[0], expert, experts)

    def interval(self, metric: str | Enum, *, expert: int | Literal["mean"] | None = None, experts: bool = False) -> tuple[Floats, Floats]:
        """Low and high ends of the 95 % intervals, two arrays as `array` gives them; NaN where there is none."""
        if expert == "mean":
            raise ValueError("a mean over experts has no interval: their errors depend on each other")
        _, low, high = self._core.scores(_id(metric))
        return self._placed(low, expert, experts), self._placed(high, expert, experts)

    def _placed(self, values: Floats, expert: int | Literal["mean"] | None, experts: bool) -> Floats:
        layer, component, of = self._core.places()
        count = int(of.max(initial=-1)) + 1
        if count and expert is None and not experts:
            raise Error(
                f"a place of this mixture has up to {count} cells",
                "map",
                expected="which of them",
                hint='expert=INDEX, expert="mean" or experts=True',
            )
        whole: Floats = np.full((self.layers, COMPONENTS, max(count, 1)), np.nan)
        dense = of < 0
        whole[layer[dense], component[dense], :] = values[dense, None]
        whole[layer[~dense], component[~dense], of[~dense]] = values[~dense]
        if experts:
            return whole
        if expert == "mean":
            there = ~np.isnan(whole)
            total = np.where(there, whole, 0.0).sum(axis=2)
            with np.errstate(invalid="ignore"):
                return np.where(there.any(axis=2), total / there.sum(axis=2), np.nan)
        if expert is not None and not 0 <= expert < max(count, 1):
            raise IndexError(f"expert {expert} of {count}")
        return np.ascontiguousarray(whole[:, :, expert or 0])

    def table(self) -> pyarrow.Table:
        """The tidy table, a row per metric and cell, in the order of map.csv: layer, component, expert (null of a dense projection), metric,
        value (null where there is no score), ci_low, ci_high, numel, status, reason.

        Arrow takes over every column's memory as it was filled in Rust: nothing is copied, only the words of the three dictionaries
        (component, metric, status) are made anew.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise ImportError("Map.table needs pyarrow: pip install 'tomograph[arrow]'") from error
        raw = self._core.table()
        rows = len(raw["layer"])

        def column(kind: Any, name: str) -> Any:
            validity = raw.get(f"{name}_validity")
            return pa.Array.from_buffers(kind, rows, [None if validity is None else pa.py_buffer(validity), pa.py_buffer(raw[name])])

        def coded(kind: Any, name: str, words: list[str]) -> Any:
            return pa.DictionaryArray.from_arrays(column(kind, name), pa.array(words, pa.string()))

        reason = [pa.py_buffer(raw[f"reason_{part}"]) for part in ("validity", "offsets", "bytes")]
        columns = {
            "layer": column(pa.int32(), "layer"),
            "component": coded(pa.int8(), "component", raw["components"]),
            "expert": column(pa.int32(), "expert"),
            "metric": coded(pa.int32(), "metric", raw["metrics"]),
            "value": column(pa.float64(), "value"),
            "ci_low": column(pa.float64(), "ci_low"),
            "ci_high": column(pa.float64(), "ci_high"),
            "numel": column(pa.int64(), "numel"),
            "status": coded(pa.int8(), "status", raw["statuses"]),
            "reason": pa.Array.from_buffers(pa.large_string(), rows, reason),
        }
        return pa.table(columns)

    def to_pandas(self) -> pandas.DataFrame:
        """The tidy table as a data frame: component, metric and status are categories, expert is a nullable integer, a missing value is
        NaN. Needs pandas alone."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("Map.to_pandas needs pandas: pip install 'tomograph[pandas]'") from error
        raw = self._core.table()
        rows = len(raw["layer"])

        def is_missing(name: str) -> Any:
            return np.unpackbits(raw[f"{name}_validity"], count=rows, bitorder="little") == 0

        offsets, text = raw["reason_offsets"], raw["reason_bytes"].tobytes()
        without = is_missing("reason")
        reasons = [None if without[at] else text[offsets[at] : offsets[at + 1]].decode() for at in range(rows)]
        return pd.DataFrame(
            {
                "layer": raw["layer"],
                "component": pd.Categorical.from_codes(raw["component"], categories=raw["components"]),
                "expert": pd.arrays.IntegerArray(raw["expert"], is_missing("expert")),
                "metric": pd.Categorical.from_codes(raw["metric"], categories=raw["metrics"]),
                "value": raw["value"],
                "ci_low": raw["ci_low"],
                "ci_high": raw["ci_high"],
                "numel": raw["numel"],
                "status": pd.Categorical.from_codes(raw["status"], categories=raw["statuses"]),
                "reason": pd.Series(reasons, dtype=object),
            }
        )

    # Pictures.

    def svg(self, metric: str | Enum | None = None, **look: Any) -> str:
        """The picture of a metric (the first where None) as SVG. look: normalise, origin, palette, full_range, as for `tomograph show`."""
        return self._core.draw(_optional_id(metric), "svg", _look(look)).decode()

    def png(self, metric: str | Enum | None = None, **look: Any) -> bytes:
        """The same as PNG."""
        return self._core.draw(_optional_id(metric), "png", _look(look))

    def report(self) -> str:
        """The report in words, as Markdown."""
        return self._core.draw(None, "md", []).decode()

    def heatmap(
        self, metric: str | Enum | None = None, ax: matplotlib.axes.Axes | None = None, **look: Any
    ) -> matplotlib.axes.Axes:
        """Draws a metric (the first where None) on matplotlib, as our own pictures do: layer 0 at the bottom, missing cells hatched, a colour
        bar with name and unit. look: normalise, origin, palette, full_range. Returns the axes."""
        from ._heatmap import draw

        return draw(json.loads(self._core.scene(_optional_id(metric), _look(look))), ax)

    def _repr_html_(self) -> str:
        if not self.metrics:
            return html.escape(repr(self))
        picture = self.svg()
        also = f"<div>{html.escape(repr(self)[1:-1])}</div>"
        # Notebooks want the element, not the document.
        return picture[picture.index("<svg") :] + also

    # The rest.

    def __repr__(self) -> str:
        of, metrics = self.provenance["model"], self.metrics
        named = ", ".join(metrics[:6]) + (f" and {len(metrics) - 6} more" if len(metrics) > 6 else "")
        return f"<Map of {of}: {len(self.cells)} cells of {self.layers} layers; {named or 'no metric'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Map) and self._core.equals(other._core)

    __hash__ = None  # type: ignore[assignment]


def _from_parts(content: bytes, beside: list[tuple[str, bytes]], ended_early: bool, comparison: dict[str, Any] | None) -> Map:
    map = Map(Core.from_parts(content, beside, ended_early))
    map.comparison = comparison
    return map


def _id(metric: str | Enum) -> str:
    return str(metric.value) if isinstance(metric, Enum) else metric


def _optional_id(metric: str | Enum | None) -> str | None:
    return None if metric is None else _id(metric)


def _look(look: dict[str, Any]) -> list[str]:
    """The words of `tomograph show` that say how a picture looks."""
    if "normalize" in look:
        look["normalise"] = look.pop("normalize")
    unknown: Iterable[str] = look.keys() - {"normalise", "origin", "palette", "full_range"}
    for name in unknown:
        raise TypeError(f"a picture has no option {name!r}: it has normalise, origin, palette, full_range")
    return arguments("show", [], look)[1:]
