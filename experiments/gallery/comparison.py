"""What page.js needs of a run to lay it beside others: drawn there, and worded here."""

import math
from typing import Any

from experiments.gallery import curves, source, words
from experiments.gallery.applications import Application
from experiments.gallery.curves import Family
from experiments.gallery.documents import Metric
from experiments.gallery.reading import Run

POINTS = 80
"""The most points of a line."""


def comparable(view: dict[str, Any], about: Application) -> dict[str, Any]:
    """A run in short, as JSON; view: its key, title, date and curves, and the run itself."""
    run: Run = view["run"]
    return {
        "key": view["key"], "application": about.title, "name": f"{view['title']}, {view['date']}",
        "config": deciding(run.config), "facts": _facts(run), "metrics": [_metric(metric) for metric in run.metrics],
        "curves": [_curve(one, about) for one in view["curves"]],
    }


def deciding(config: dict[str, Any]) -> dict[str, str]:
    """The flags that say what is computed, as words; null, an empty list and no flag at all are the same."""
    return {name: words.flag(value) for name, value in config.items()
            if name not in source.how_it_runs() and value not in (None, "", [])}


def _facts(run: Run) -> dict[str, str]:
    made = words.made_with(run.manifest)
    return made | ({"another version": run.version} if run.version else {})


def _metric(metric: Metric) -> dict[str, Any]:
    mean, half = metric.mean, metric.half
    ends = [] if mean is None or half is None else [_short(mean - half), _short(mean + half)]
    return {"name": metric.name, "mean": _short(mean), "ends": ends,
            "seeds": [_short(one) for one in metric.per_seed], "reference": _short(metric.reference),
            "words": words.interval(mean, half) + (
                "" if metric.reference is None else f"; reference {words.shown(metric.reference)}")}


def _curve(family: Family, about: Application) -> dict[str, Any]:
    steps, values, mean = curves.thinned(family, POINTS)
    return {"stage": family.stage, "metric": family.metric, "unit": about.units.get(family.metric, ""),
            "steps": [_short(step) for step in steps.tolist()], "mean": [_short(one) for one in mean.tolist()],
            "seeds": [[_short(one) for one in row] for row in values.tolist()] if len(values) > 1 else []}


def _short(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.5g}")
    return int(short) if short.is_integer() else short
