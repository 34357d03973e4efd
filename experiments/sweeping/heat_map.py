"""One figure of a sweep: its metric over the grid, the numbers written in the cells."""

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from experiments.runner.figures import style
from experiments.sweeping.table import Row, Sweep, failed_text, mean_of, shown

NO_RESULT = "0.85"
MOST_COLUMNS = 4


def heat_map(sweep: Sweep) -> Figure:
    """The last key along the columns, the one before it along the rows, a panel for each combination of the rest."""
    *rest, vertical, horizontal = [None, *sweep.keys] if len(sweep.keys) == 1 else sweep.keys
    panels: dict[tuple, list[Row]] = {}
    for row in sweep.points:
        panels.setdefault(tuple(shown(row.values[key]) for key in rest), []).append(row)
    values = [mean for row in sweep.points if (mean := mean_of(row, sweep.metric)) is not None]
    norm = _norm(min(values, default=0.0), max(values, default=0.0))
    across, down = _values(sweep.points, horizontal), _values(sweep.points, vertical)
    columns = min(MOST_COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    size = (max(3.6, 0.5 + 0.95 * len(across)) * columns + 1.0, max(1.3, 0.55 * len(down) + 0.9) * lines + 0.5)
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, sharex=True, sharey=True)
        image = None
        for axis, (combination, rows) in zip(axes.flat, panels.items()):
            image = _panel(sweep, axis, rows, (vertical, down), (horizontal, across), norm)
            axis.set_title(", ".join(f"{key} = {value}" for key, value in zip(rest, combination)), fontsize=9)
        for axis in axes.flat[len(panels):]:
            axis.axis("off")
        figure.colorbar(image, ax=axes, shrink=0.9)
        figure.suptitle(f"{sweep.experiment}: {sweep.metric}", x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def _panel(sweep: Sweep, axis: Axes, rows: list[Row], vertical: tuple, horizontal: tuple, norm: Normalize) -> Any:
    (of_rows, down), (of_columns, across) = vertical, horizontal
    grid = np.full((len(down), len(across)), np.nan)
    for row in rows:
        place = _place(row, of_rows, down), _place(row, of_columns, across)
        if sweep.metric not in row.metrics:
            continue  # a cell without words: the point has no such metric
        mean = mean_of(row, sweep.metric)
        grid[place] = np.nan if mean is None else mean
        axis.text(place[1], place[0], "not\nfinite" if mean is None else f"{mean:.4g}\n{failed_text(row)}".strip(),
                  ha="center", va="center", color="white" if mean is not None and norm(mean) < 0.55 else "black",
                  fontsize=8)
    axis.set_facecolor(NO_RESULT)
    image = axis.imshow(np.ma.masked_invalid(grid), norm=norm, aspect="auto", cmap="viridis")
    axis.set_xticks(range(len(across)), across, rotation=30 if max(map(len, across)) > 9 else 0)
    axis.set_yticks(range(len(down)) if of_rows else [], down if of_rows else [])
    axis.set_xlabel(of_columns)
    axis.set_ylabel(of_rows or "")
    axis.label_outer()
    return image


def _norm(low: float, high: float) -> Normalize:
    """One scale for all panels; values that are all the same are in its middle."""
    wider = 0.0 if low < high else 0.1 * abs(low) or 1.0
    return Normalize(low - wider, high + wider)


def _values(rows: list[Row], key: str | None) -> list[str]:
    return list(dict.fromkeys(shown(row.values[key]) for row in rows)) if key else [""]


def _place(row: Row, key: str | None, values: list[str]) -> int:
    return values.index(shown(row.values[key])) if key else 0
