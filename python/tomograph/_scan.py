"""The scan: what a call asks for, as the words of a command line and metrics of the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from . import _tomograph
from ._arguments import arguments, said
from ._map import Map
from ._own import OwnMetric
from ._progress import Progress, Told


def own_metrics(metrics: object) -> tuple[list[str] | None, list[OwnMetric]]:
    """Metrics of the registry by their ids (None where none was named), and those of the caller's."""
    if metrics is None:
        return None, []
    if isinstance(metrics, (str, Enum, OwnMetric)):
        metrics = [metrics]
    if not isinstance(metrics, Iterable):
        raise TypeError(f"metrics are ids, members of tomograph.Metric or metrics of your own, found {metrics!r}")
    asked = list(metrics)
    own = [metric for metric in asked if isinstance(metric, OwnMetric)]
    ids = [str(metric) for metric in asked if not isinstance(metric, OwnMetric)]
    return ids or None, own


def scan_arguments(model: object, options: Mapping[str, Any]) -> list[str]:
    """The words of the scan that `tomograph.scan(model, **options)` makes, but for the metrics of the caller's.

    They can be sent to another process: `tomograph._scan.run(words)` makes the scan there.
    """
    options = dict(options)
    ids, _ = own_metrics(options.pop("metrics", None))
    return arguments("map", [model], {"metric": ids, **options})


def run(words: list[str], own: list[OwnMetric] | None = None, progress: bool | Progress = False) -> Map:
    """Makes the scan that `scan_arguments` put into words."""
    with Told(progress) as tell:
        core, text = _tomograph.scan(words, own or [], tell)
    said(text)
    return Map(core)
