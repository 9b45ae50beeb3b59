"""Pictures on matplotlib, from the same layout as our own."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import matplotlib.axes


def draw(scene: dict[str, Any], ax: matplotlib.axes.Axes | None) -> matplotlib.axes.Axes:
    """Draws a scene: rows from the top of the picture, columns left to right."""
    try:
        import matplotlib.pyplot as plt
        from matplotlib.colors import ListedColormap
        from matplotlib.patches import Rectangle
    except ImportError as error:
        raise ImportError("Map.heatmap needs matplotlib: pip install 'tomograph[plot]'") from error
    rows, columns, bar = scene["rows"], scene["columns"], scene["bar"]
    values = np.array([np.nan if value is None else value for value in scene["values"]], dtype=float)
    values = values.reshape(len(rows), len(columns))
    if ax is None:
        _, ax = plt.subplots(figsize=(6.0, max(3.6, 1.8 + 0.16 * len(rows))), layout="constrained")
    if bar is not None:
        colours = ListedColormap(bar["colours"])
        low, high = bar["low"], bar["high"]
        spread = (high - low) or abs(high) or 1.0
        limits = (low, high) if high > low else (low - spread / 2, high + spread / 2)
        image = ax.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto", interpolation="nearest")
        ax.figure.colorbar(image, ax=ax, label=bar["label"])
    else:
        ax.set_xlim(-0.5, len(columns) - 0.5)
        ax.set_ylim(len(rows) - 0.5, -0.5)
    for row, column in zip(*np.nonzero(np.isnan(values))):
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, hatch="////", fill=True, facecolor="#f2f2f2", edgecolor="#9a9a9a", linewidth=0))
    ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(scene["ticks"], [str(rows[at]) for at in scene["ticks"]])
    ax.set_xlabel(scene["column_axis"])
    ax.set_ylabel(scene["row_axis"])
    lines = [line for text in (scene["title"], *scene["subtitle"]) for line in textwrap.wrap(text, 60)]
    ax.set_title("\n".join(lines), fontsize="medium")
    return ax
