"""The page: what was read, put into templates; and the same, in short, as JSON for who compares runs."""

import base64
import datetime
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from experiments.gallery import curves, reading, views, words
from experiments.gallery.applications import APPLICATIONS, Application
from experiments.gallery.pictures import Picture
from experiments.gallery.reading import Shelf

NEWEST, OLDER, CARD = (1300, 80), (800, 65), (560, 76)
"""Width in pixels and quality of the figures: of the run that is shown open, of others, of the first screen."""
ROOM = 18_000_000
"""Bytes of the others' figures as they were drawn, from which on they are made smaller still."""


def render(runs: Path, shelves: list[Shelf], drawn: dict[tuple[Path, bool], Picture]) -> str:
    """The whole page as HTML; drawn: a picture of each that is `wanted`."""
    here = Path(__file__).parent
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(here), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.globals.update(width=curves.WIDTH, height=curves.HEIGHT, left=curves.LEFT, right=curves.RIGHT,
                               top=curves.TOP, bottom=curves.BOTTOM)
    environment.filters.update(shown=words.shown, plain=views.plain)
    style, script = (here / "page.css").read_text(), (here / "page.js").read_text()
    verdicts, uncertified = reading.certificate(runs)
    by_name = {shelf.experiment: shelf for shelf in shelves}
    order = [*(one.name for one in APPLICATIONS if one.name in by_name),
             *(name for name in by_name if name not in {one.name for one in APPLICATIONS})]
    sections = [views.section(by_name[name], [one for one in verdicts if one.application == name], drawn)
                for name in order]
    return environment.get_template("page.html.jinja").render(
        sections=sections, uncertified=uncertified, verdicts=verdicts, holding=sum(one.holds for one in verdicts),
        num_runs=sum(len(shelf.runs) + len(shelf.sweeps) for shelf in shelves), style=Markup(style),
        script=Markup(script), policy=_policy(style, script), data=Markup(_in_script(_comparable(sections))),
        made=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"))


def wanted(shelves: list[Shelf]) -> dict[tuple[Path, bool], tuple[Path, int, int]]:
    """What to shrink, and how far: each figure, by its path and whether it is for the first screen."""
    found, older = {}, _older(shelves)
    for shelf in shelves:
        newest = reading.newest_finished(shelf)
        for one in [*shelf.runs, *shelf.sweeps]:
            found |= {(path, False): (path, *(NEWEST if one is newest else older)) for path in one.figures}
        if newest and (path := views.thumbnail(newest)):
            found[path, True] = (path, *CARD)
    return found


def _older(shelves: list[Shelf]) -> tuple[int, int]:
    """Width and quality of the figures of runs that are not shown open: the less the more there are."""
    others = (run for shelf in shelves for run in shelf.runs if run is not reading.newest_finished(shelf))
    size = sum(path.stat().st_size for run in others for path in run.figures if path.is_file())
    width, quality = OLDER
    return max(width // 2, int(width * min(1, math.sqrt(ROOM / max(size, 1))))), quality


def _comparable(sections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What page.js needs of each run."""
    return [{
        "key": view["key"], "application": section["about"].title, "name": f"{view['title']}, {view['date']}",
        "config": view["config"], "facts": view["facts"],
        "metrics": [[metric.name, metric.mean, metric.half, [_short(one) for one in metric.per_seed], metric.published]
                    for metric in view["run"].metrics],
        "curves": [_drawn(curve, section["about"]) for curve in view["curves"]],
    } for section in sections for view in section["runs"]]


def _drawn(curve: curves.Curve, about: Application) -> dict[str, Any]:
    steps, values, mean = curves.thinned(curve, views.POINTS_COMPARED)
    return {"stage": curve.stage, "metric": curve.metric, "unit": about.units.get(curve.metric, ""),
            "steps": [_short(step) for step in steps.tolist()], "mean": [_short(one) for one in mean.tolist()],
            "seeds": [[_short(one) for one in row] for row in values.tolist()] if len(values) > 1 else []}


def _short(value: float | None) -> float | None:
    if value is None or not np.isfinite(value):
        return None
    short = float(f"{value:.5g}")
    return int(short) if short.is_integer() else short


def _in_script(value: Any) -> str:
    """JSON that no browser takes for the end of its script, nor for anything but text."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(style: str, script: str) -> str:
    """No request whatever, and no code or style but these."""
    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (f"default-src 'none'; img-src data:; script-src {hashed(script)}; style-src {hashed(style)}; "
            f"base-uri 'none'; form-action 'none'")
