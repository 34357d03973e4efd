"""What the templates show: each run, sweep and experiment in the words, drawings and tables of the page."""

import datetime
import hashlib
from pathlib import Path
from typing import Any

from experiments.gallery import curves, reading, source, words
from experiments.gallery.applications import APPLICATIONS, Application
from experiments.gallery.comparison import comparable, deciding
from experiments.gallery.documents import Metric, Point, Verdict
from experiments.gallery.mathematics import mathematics, parts
from experiments.gallery.pictures import Picture
from experiments.gallery.reading import Run, Shelf, Sweep

POINTS, POINTS_OF_OTHERS = 200, 80
"""The most points of a line: of the run that is shown open, of others."""
IN_EVERY_TITLE, MOST_FLAGS = ("preset", "dataset", "seed", "seeds"), 3
"""Flags in the title of a run: those that are there anyway, and how many besides."""


def thumbnail(run: Run) -> Path | None:
    """The figure that speaks for a run."""
    picture = application(run.experiment).picture
    return next((path for path in run.figures if path.stem == picture), next(iter(run.figures), None))


def application(name: str) -> Application:
    """What is said of an experiment: of one that the list lacks, its docstring."""
    known = next((one for one in APPLICATIONS if one.name == name), None)
    return known or Application(name, name, source.idea(name), "", (), (), {}, "", {}, {})


def section(shelf: Shelf, verdicts: list[Verdict], drawn: dict[tuple[Path, bool], Picture]) -> dict[str, Any]:
    """Everything that the page says of one experiment."""
    about, newest = application(shelf.experiment), reading.newest_finished(shelf)
    views = [_run(run, title, about, run is newest, drawn) for run, title in zip(shelf.runs, _titles(shelf.runs))]
    sweeps = [_sweep(sweep, drawn) for sweep in shelf.sweeps]
    path = thumbnail(newest) if newest else None
    shown = next((view for view in views if view["newest"]), None)
    return {
        "anchor": _anchor(shelf.experiment), "name": shelf.experiment, "about": about,
        "formula": mathematics(about.formula), "objective": [parts(line) for line in about.objective],
        "derivative": [parts(line) for line in about.derivative], "verdicts": verdicts,
        "holding": sum(one.holds for one in verdicts), "reached": _headline(shown, about),
        "thumbnail": drawn.get((path, True)) if path else None, "runs": views, "newest": shown,
        "others": [view for view in views if not view["newest"]], "sweeps": sweeps,
        "comparable": [comparable(view, about) for view in [
            *views, *(row["point"] for view in sweeps for row in view["rows"] if row["point"])]],
    }


def _headline(view: dict[str, Any] | None, about: Application) -> dict[str, Any] | None:
    """The number that speaks for a run."""
    if view is None or not view["run"].metrics:
        return None
    by_name = {metric.name: metric for metric in view["run"].metrics}
    name = next((name for name in about.headline if name in by_name), next(iter(by_name)))
    metric = by_name[name]
    return {"value": words.interval(metric.mean, metric.half), "what": about.headline.get(name, plain(name)),
            "reference": metric.reference, "source": metric.source, "of": view["title"]}


def _run(run: Run, title: str, about: Application, newest: bool, drawn: dict[tuple[Path, bool], Picture]
         ) -> dict[str, Any]:
    """A run as the template shows it."""
    view, most = _named(run, title), POINTS if newest else POINTS_OF_OTHERS
    return {
        **view, "newest": newest,
        "panels": [curves.panel(one, about.units.get(one.metric, ""), most) for one in view["curves"]],
        "table": [_row(metric) for metric in run.metrics],
        "referred": any(metric.reference is not None or metric.source for metric in run.metrics),
        "figures": _figures(run, about.captions, drawn, about.picture),
        "command": words.command(run.manifest), "facts": _facts(run),
        "config": {name: words.flag(value) for name, value in run.config.items()},
        "per_seed": any(len(metric.per_seed) > 1 for metric in run.metrics),
    }


def _named(run: Run, title: str) -> dict[str, Any]:
    """A run as it is picked."""
    return {"run": run, "key": _key(run.directory), "title": title, "date": _date(run.started),
            "curves": curves.families(run.lines)}


def _sweep(sweep: Sweep, drawn: dict[tuple[Path, bool], Picture]) -> dict[str, Any]:
    names = list(dict.fromkeys(metric.name for point in sweep.points for metric in point.metrics))
    names.sort(key=lambda name: name != sweep.metric)
    rows = [{"values": [point.values.get(key, "") for key in sweep.keys], "failures": point.failures,
             "metrics": [_row(by_name[name]) if name in by_name else None for name in names],
             "point": _named(sweep.runs[point.name], _point_title(point)) if point.name in sweep.runs else None}
            for point in sweep.points for by_name in [{metric.name: metric for metric in point.metrics}]]
    return {"sweep": sweep, "key": _key(sweep.directory), "date": _date(sweep.started), "names": names, "rows": rows,
            "failed": any(row["failures"] for row in rows), "pickable": any(row["point"] for row in rows),
            "command": words.command(sweep.manifest), "facts": words.made_with(sweep.manifest),
            "figures": _figures(sweep, {"heat_map": "The metric over the grid."}, drawn)}


def _row(metric: Metric) -> dict[str, Any]:
    return {"name": metric.name, "reached": words.interval(metric.mean, metric.half),
            "per_seed": [words.shown(value) for value in metric.per_seed], "source": metric.source,
            "reference": "" if metric.reference is None else words.shown(metric.reference)}


def _figures(of: Run | Sweep, captions: dict[str, str], drawn: dict[tuple[Path, bool], Picture],
             picture: str = "") -> list[dict]:
    """A picture, a caption and a text for each figure, that of the first screen first."""
    order = sorted(of.figures, key=lambda path: (path.stem != picture, path.stem))
    return [{"picture": drawn[path, False], "caption": captions.get(path.stem, f"{plain(path.stem)}."),
             "alt": f"{plain(path.stem)}: {captions.get(path.stem, 'a figure of this run.')}"} for path in order]


def _facts(run: Run) -> dict[str, str]:
    """What a run was made with, and how long it took."""
    seconds = "; ".join(f"{name} {words.shown(value, 3)}" for name, value in run.seconds.items())
    return words.made_with(run.manifest) | ({"seconds": seconds} if seconds else {})


def _titles(runs: list[Run]) -> list[str]:
    """Each run in a few words; those that began in one minute and are worded alike have their directory's name, too."""
    titles = [_title(run) for run in runs]
    seen = [(title, _date(run.started)) for title, run in zip(titles, runs)]
    return [f"{title}, {run.directory.name}" if seen.count(one) > 1 else title
            for one, title, run in zip(seen, titles, runs)]


def _title(run: Run) -> str:
    """Preset, data and seeds, and the flags that are not the preset's."""
    usual = source.preset(run.experiment, str(run.config.get("preset")))
    flags = [f"{plain(name)} {value}" for name, value in deciding(run.config).items()
             if name in usual and run.config[name] != usual[name] and name not in IN_EVERY_TITLE]
    more = len(flags) - MOST_FLAGS
    parts = [run.config.get("preset"), run.config.get("dataset"), words.seeds(run.seeds), *flags[:MOST_FLAGS],
             f"{more} more flag{'' if more == 1 else 's'}" if more > 0 else ""]
    return ", ".join(str(part) for part in parts if part) or run.directory.name


def _point_title(point: Point) -> str:
    return "point " + ", ".join(f"{plain(key)} {value}" for key, value in point.values.items())


def _date(started: float) -> str:
    return datetime.datetime.fromtimestamp(started).strftime("%Y-%m-%d %H:%M")


def _key(directory: Path) -> str:
    return hashlib.sha256(str(directory).encode("utf-8", "surrogateescape")).hexdigest()[:10]


def _anchor(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name) + "-" + hashlib.sha256(
        name.encode("utf-8", "surrogateescape")).hexdigest()[:4]


def plain(name: str) -> str:
    return name.replace("_", " ")
