"""Learning curves as drawings: a thin line for each seed, a thick one for their mean."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from experiments.gallery.documents import number
from experiments.gallery.words import shown
from experiments.runner.metrics import NO_METRICS

WIDTH, HEIGHT = 340, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 40
POINTS_OF_ALL = 2000


class Family(NamedTuple):
    """Curves of a metric of a stage over steps (T,), one for each of K labels: values (K, T), NaN where not finite."""

    stage: str
    metric: str
    labels: list[str]
    steps: np.ndarray
    values: np.ndarray


class Panel(NamedTuple):
    """A family drawn: paths and ticks in the coordinates of the drawing, and in words what is to be seen."""

    title: str
    metric: str
    unit: str
    logarithmic: bool
    single: bool
    seeds: list[str]
    mean: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    words: str


def families(lines: Iterable[dict[str, Any]]) -> list[Family]:
    """Every metric of every stage, from the lines of metrics.jsonl; lines of another form are passed over."""
    series: dict[tuple[str, str], dict[str, dict[float, float]]] = {}
    for line in lines:
        step = number(line.get("step"))
        if step is None:
            continue
        for name, value in line.items():
            if name not in NO_METRICS and (value is None or isinstance(value, int | float)):
                of_run = series.setdefault((str(line.get("stage")), name), {}).setdefault(str(line.get("run")), {})
                of_run[step] = math.nan if number(value) is None else float(value)
    return [_family(stage, name, runs) for (stage, name), runs in series.items()]


def thinned(family: Family, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps (P,), values (K, P) and their mean (P,) at no more than `most` steps, no spike left out.

    Of each bucket of steps a line keeps its lowest and its highest value, in their order.
    """
    mean = family.values.mean(axis=0)
    rows = np.vstack([family.values, mean])
    buckets = min(most, max(40, POINTS_OF_ALL // len(family.labels))) // 2
    if len(family.steps) > 2 * buckets:
        parts = np.array_split(np.arange(len(family.steps)), buckets)
        steps = np.concatenate([family.steps[part[[0, -1]]] for part in parts])
        rows = np.concatenate([_extremes(rows[:, part]) for part in parts], axis=1)
    else:
        steps = family.steps
    return steps, rows[:-1], rows[-1]


def panel(family: Family, unit: str, most: int) -> Panel:
    """A family as a drawing with axes, logarithmic where values are positive and far apart."""
    steps, values, mean = thinned(family, most)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    logarithmic = bool(low > 0 and high / low > 30)
    scale = np.log10 if logarithmic else np.asarray
    bottom, top = _widened(float(scale(low)), float(scale(high)))
    first, last = _widened(min(0.0, float(steps.min())), float(steps.max()), margin=0)

    def x(step: Any) -> Any:
        return LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: Any) -> Any:
        return HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = y(scale(np.vstack([values, mean])))
    places = decades(bottom, top) if logarithmic else ticks(bottom, top)
    return Panel(
        family.stage, family.metric, unit, logarithmic, len(steps) == 1, [_path(x(steps), row) for row in drawn[:-1]],
        _path(x(steps), drawn[-1]) if len(values) > 1 else "",
        [(round(x(place), 1), shown(place)) for place in ticks(first, last)],
        [(round(y(place), 1), shown(10**place if logarithmic else place)) for place in places], _words(family, unit))


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between two: steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0, 100), ticks(-0.3, 0.4)
    ([0.0, 20.0, 40.0, 60.0, 80.0, 100.0], [-0.2, 0.0, 0.2, 0.4])
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12 - math.floor(math.log10(step))) + 0.0
            for k in range(first, math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Places of ticks on a logarithmic axis: powers of ten, no more than six."""
    powers = range(math.ceil(low), math.floor(high) + 1)
    return [float(power) for power in powers][::-(-len(powers) // 6) or 1]


def _family(stage: str, name: str, runs: dict[str, dict[float, float]]) -> Family:
    steps = sorted({step for of_run in runs.values() for step in of_run})
    values = np.array([[of_run.get(step, math.nan) for step in steps] for of_run in runs.values()])
    return Family(stage, name, list(runs), np.array(steps), values)


def _extremes(part: np.ndarray) -> np.ndarray:
    """(K, B) -> (K, 2): lowest and highest of each row, in the order in which they come."""
    known = np.where(np.isfinite(part), part, 0)
    places = np.sort(np.stack([np.argmin(np.where(np.isfinite(part), known, np.inf), axis=1),
                               np.argmax(np.where(np.isfinite(part), known, -np.inf), axis=1)], axis=1), axis=1)
    return np.take_along_axis(part, places, axis=1)


def _widened(low: float, high: float, margin: float = 0.04) -> tuple[float, float]:
    span = high - low or abs(high) or 1.0
    return low - margin * span, high + margin * span if high > low or margin else high + span


def _path(xs: np.ndarray, ys: np.ndarray) -> str:
    """A path of an SVG, which breaks off where a value is not finite."""
    parts, broken = [], True
    for x, y in zip(xs.tolist(), ys.tolist()):
        if math.isfinite(y):
            parts.append(f"{'M' if broken else 'L'}{x:.0f} {y:.1f}")
        broken = not math.isfinite(y)
    return "".join(parts) + ("h0" if len(parts) == 1 else "")


def _words(family: Family, unit: str) -> str:
    """What it shows, for who does not see it."""
    mean = np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else math.nan for row in family.values.T])
    known = np.flatnonzero(np.isfinite(mean))
    if not known.size:
        return f"{family.metric}: no finite value."
    first, last, lowest, highest = known[0], known[-1], np.nanargmin(mean), np.nanargmax(mean)
    many = len(family.labels)
    what = family.metric + (f", mean of {many} runs" if many > 1 else "") + (f", in {unit}" if unit else "")
    return (f"{what}: {shown(mean[first])} at step {shown(family.steps[first])}, {shown(mean[last])} at step "
            f"{shown(family.steps[last])}; lowest {shown(mean[lowest])} at step {shown(family.steps[lowest])}, highest "
            f"{shown(mean[highest])} at step {shown(family.steps[highest])}.")
