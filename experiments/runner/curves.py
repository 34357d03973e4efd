"""Learning curves: the lines of metrics.jsonl by stage, metric and run, and as text for a terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.runner.metrics import NO_METRICS

HEIGHT = 15


class Curve(NamedTuple):
    """A metric of one run: steps (T,) and values (T,), those that are finite."""

    steps: np.ndarray
    values: np.ndarray


def curves(lines: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Curve]]]:
    """Every curve, by stage, metric and run.

    Args:
      lines: see experiments.runner.metrics.read.

    >>> curves([{"stage": "fit", "step": 2, "run": "seed 0", "seconds": 0.1, "loss": 0.5}])["fit"]["loss"]["seed 0"]
    Curve(steps=array([2]), values=array([0.5]))
    """
    points: dict[str, dict[str, dict[str, list]]] = {}
    for line in lines:
        for metric, value in line.items():
            if metric not in NO_METRICS:
                found = points.setdefault(line["stage"], {}).setdefault(metric, {}).setdefault(line["run"], [])
                if value is not None and math.isfinite(value):
                    found.append((line["step"], value))
    return {stage: {metric: {run: Curve(*map(np.array, zip(*found) if found else ([], [])))
                             for run, found in runs.items()}
                    for metric, runs in metrics.items()}
            for stage, metrics in points.items()}


def as_text(title: str, runs: Mapping[str, Curve], width: int, height: int = HEIGHT) -> str:
    """Curves of some runs in one picture of so many columns and rows, without colours; empty where none has two points.

    >>> as_text("loss", {"seed 0": Curve(np.array([1, 2, 3]), np.array([2.0, 1.0, 0.0]))}, 30, 9).split()[0]
    'loss'
    """
    import plotext  # 0.3 s, which only who looks at curves should wait for

    drawn = [curve for curve in runs.values() if len(curve.steps)]
    if all(len(curve.steps) < 2 for curve in drawn):
        return ""
    figure = plotext.figure  # the only one that there is
    figure.clear()
    try:
        figure.theme("colorless")
        figure.plot_size(width, height)
        figure.title(title)
        for axis, of_runs in zip("xy", zip(*drawn)):
            limits = _limits(np.concatenate(of_runs))
            figure.ruler(axis).lim(*limits)
            figure.ruler(axis).ticks(_ticks(*limits, whole=axis == "x"))
        for curve in drawn:
            figure.draw(figure.signal(curve.steps.tolist(), curve.values.tolist(), marker="braille").lines())
        return "\n".join(line.rstrip() for line in plotext.uncolorize(figure.build()).splitlines())
    finally:
        figure.clear()


def _limits(values: np.ndarray) -> tuple[float, float]:
    """From the least to the largest, and some room about what is all the same."""
    low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    room = 0.0 if high - low > 1e-6 * largest else max(largest / 2, 1.0)
    return low - room, high + room


def _ticks(low: float, high: float, whole: bool) -> list[float]:
    """Round numbers between two others."""
    from matplotlib.ticker import MaxNLocator  # which only who draws should wait for, too

    return [float(tick) for tick in MaxNLocator(5, integer=whole).tick_values(low, high) if low <= tick <= high]
