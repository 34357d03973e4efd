"""The page: what was read, put into templates; and the same, in short, as JSON for who compares runs."""

import base64
import datetime
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from experiments.gallery import curves, reading, views, words
from experiments.gallery.applications import APPLICATIONS
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
    data = [one for section in sections for one in section["comparable"]]
    return environment.get_template("page.html.jinja").render(
        sections=sections, uncertified=uncertified, verdicts=verdicts, holding=sum(one.holds for one in verdicts),
        there=how_many(shelves), style=Markup(style),
        script=Markup(script), policy=_policy(style, script), data=Markup(_in_script(data)),
        made=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"))


def how_many(shelves: list[Shelf]) -> str:
    """What there is on the page, in words; empty if there is nothing."""
    runs, sweeps = (sum(len(of) for of in all_of) for all_of in zip(*((shelf.runs, shelf.sweeps) for shelf in shelves)))
    return words.how_many(runs, sweeps) if runs or sweeps else ""


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
