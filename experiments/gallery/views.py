"""What the templates show: each run, sweep and experiment in the words, drawings and tables of the page."""

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from markupsafe import Markup

from experiments.gallery import curves, reading, source, words
from experiments.gallery.applications import APPLICATIONS, Application
from experiments.gallery.documents import Metric, Verdict
from experiments.gallery.pictures import Picture
from experiments.gallery.reading import Run, Shelf, Sweep

POINTS, POINTS_COMPARED = 200, 80
"""The most points of a line: of the run that is shown open, of others."""


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
    views = [_run(run, about, run is newest, drawn) for run in shelf.runs]
    path = thumbnail(newest) if newest else None
    return {
        "anchor": _anchor(shelf.experiment), "name": shelf.experiment, "about": about,
        "formula": mathematics(about.formula), "objective": [parts(line) for line in about.objective],
        "derivative": [parts(line) for line in about.derivative], "verdicts": verdicts,
        "holding": sum(one.holds for one in verdicts), "reached": _headline(newest, about),
        "thumbnail": drawn.get((path, True)) if path else None, "runs": views,
        "newest": next((view for view in views if view["newest"]), None),
        "others": [view for view in views if not view["newest"]],
        "sweeps": [_sweep(sweep, drawn) for sweep in shelf.sweeps],
    }


def _headline(run: Run | None, about: Application) -> dict[str, Any] | None:
    """The number that speaks for a run."""
    if run is None or not run.metrics:
        return None
    by_name = {metric.name: metric for metric in run.metrics}
    name = next((name for name in about.headline if name in by_name), run.metrics[0].name)
    metric = by_name[name]
    return {"value": words.interval(metric.mean, metric.half), "what": about.headline.get(name, plain(name)),
            "published": metric.published, "source": metric.source, "of": _title(run)}


def _run(run: Run, about: Application, newest: bool, drawn: dict[tuple[Path, bool], Picture]) -> dict[str, Any]:
    """A run as the template shows it."""
    found = curves.curves(run.lines)
    return {
        "run": run, "key": _key(run.directory), "newest": newest, "title": _title(run), "date": _date(run.started),
        "curves": found, "panels": [curves.panel(one, about.units.get(one.metric, ""),
                                                  POINTS if newest else POINTS_COMPARED) for one in found],
        "table": [_row(metric) for metric in run.metrics],
        "published": any(metric.published is not None or metric.source for metric in run.metrics),
        "figures": _figures(run, about.captions, drawn, about.picture),
        "command": words.command(run.manifest), "facts": _facts(run.manifest, run.seconds) | run.version,
        "config": {name: _value(value) for name, value in run.config.items()},
        "per_seed": any(len(metric.per_seed) > 1 for metric in run.metrics),
    }


def _sweep(sweep: Sweep, drawn: dict[tuple[Path, bool], Picture]) -> dict[str, Any]:
    names = list(dict.fromkeys(metric.name for point in sweep.points for metric in point.metrics))
    names.sort(key=lambda name: name != sweep.metric)
    rows = [{"values": [point.values.get(key, "") for key in sweep.keys], "failures": point.failures,
             "metrics": [_row(by_name[name]) if name in by_name else None for name in names]}
            for point in sweep.points for by_name in [{metric.name: metric for metric in point.metrics}]]
    return {"sweep": sweep, "key": _key(sweep.directory), "date": _date(sweep.started), "names": names, "rows": rows,
            "failed": any(row["failures"] for row in rows),
            "command": words.command(sweep.manifest), "facts": _facts(sweep.manifest, {}),
            "figures": _figures(sweep, {"heat_map": "The metric over the grid."}, drawn)}


def _row(metric: Metric) -> dict[str, Any]:
    return {"name": metric.name, "reached": words.interval(metric.mean, metric.half),
            "per_seed": [words.shown(value) for value in metric.per_seed], "source": metric.source,
            "published": "" if metric.published is None else words.shown(metric.published)}


def _figures(of: Run | Sweep, captions: dict[str, str], drawn: dict[tuple[Path, bool], Picture],
             picture: str = "") -> list[dict]:
    """A picture, a caption and a text for each figure, that of the first screen first."""
    order = sorted(of.figures, key=lambda path: (path.stem != picture, path.stem))
    return [{"picture": drawn[path, False], "caption": captions.get(path.stem, f"{plain(path.stem)}."),
             "alt": f"{plain(path.stem)}: {captions.get(path.stem, 'a figure of this run.')}"} for path in order]


def _facts(manifest: dict[str, Any], seconds: dict[str, float]) -> dict[str, str]:
    """What a run was made with, as words by name."""
    device, versions = ((value if isinstance(value, dict) else {}) for value in
                        (manifest.get("devices"), manifest.get("versions")))
    facts = {
        "device": bool(device) * "{} × {} ({})".format(
            *(device.get(name, "?") for name in ("count", "kind", "platform"))),
        "machine": ", ".join(str(manifest[name]) + unit for name, unit in (("system", ""), ("cpus", " CPUs"))
                             if manifest.get(name)),
        "seconds": "; ".join(f"{name} {words.shown(value, 3)}" for name, value in seconds.items()),
        "versions": ", ".join(f"{name} {version}" for name, version in
                              {"Python": manifest.get("python"), **versions}.items() if version),
        "commit": str(manifest.get("commit") or ""),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _title(run: Run) -> str:
    """A run in a few words."""
    parts = [run.config.get("preset"), run.config.get("dataset"), words.seeds(run.seeds)]
    return ", ".join(str(part) for part in parts if part) or run.directory.name


def _date(started: float) -> str:
    return datetime.datetime.fromtimestamp(started).strftime("%Y-%m-%d %H:%M")


def _key(directory: Path) -> str:
    return hashlib.sha256(str(directory).encode("utf-8", "surrogateescape")).hexdigest()[:10]


def _anchor(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name) + "-" + hashlib.sha256(
        name.encode("utf-8", "surrogateescape")).hexdigest()[:4]


def plain(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def mathematics(latex: str) -> Markup:
    return Markup(convert(latex, display="block")) if latex else Markup("")


def parts(line: str) -> list[Markup]:
    """The formulas of a line, each by itself, so that a narrow page can stack them."""
    return [mathematics(part.strip(" ,")) for part in line.split(r"\qquad")]
