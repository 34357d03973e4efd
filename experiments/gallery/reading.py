"""Run directories as data. Whatever is in them: what cannot be read is named, and the rest is shown."""

import datetime
import json
from pathlib import Path
from typing import Any, NamedTuple

import experiments
from experiments.gallery import documents, source
from experiments.gallery.documents import Metric, Point
from experiments.gallery.lenient import UNREADABLE, directories, figures, json_lines, json_object


class Run(NamedTuple):
    """One run directory. state: "finished", "unfinished" or "cannot be read"; notes: why, and what else is amiss;
    version: how its flags differ from those of today, empty if they do not."""

    experiment: str
    directory: Path
    state: str
    notes: list[str]
    version: str
    started: float
    config: dict[str, Any]
    manifest: dict[str, Any]
    seeds: list[str]
    metrics: list[Metric]
    seconds: dict[str, float]
    failures: list[str]
    sample: str
    figures: list[Path]
    lines: list[dict[str, Any]]


class Sweep(NamedTuple):
    """One directory of a sweep: the values of its keys and the metrics, point by point, and the run of each that is
    there, by the name of its directory."""

    experiment: str
    directory: Path
    state: str
    notes: list[str]
    started: float
    manifest: dict[str, Any]
    keys: list[str]
    metric: str
    points: list[Point]
    runs: dict[str, Run]
    figures: list[Path]


class Shelf(NamedTuple):
    """What there is of one experiment, the newest first."""

    experiment: str
    runs: list[Run]
    sweeps: list[Sweep]


def read(runs: Path) -> list[Shelf]:
    """Every experiment that exists or has a run, in the order of their names."""
    shelves = {name: Shelf(name, [], []) for name in experiments.names()}
    for directory in _run_directories(runs):
        one = _read(directory)
        shelf = shelves.setdefault(one.experiment, Shelf(one.experiment, [], []))
        (shelf.sweeps if isinstance(one, Sweep) else shelf.runs).append(one)
    for shelf in shelves.values():
        shelf.runs.sort(key=lambda run: (run.started, run.directory.name), reverse=True)
        shelf.sweeps.sort(key=lambda sweep: (sweep.started, sweep.directory.name), reverse=True)
    return [shelves[name] for name in sorted(shelves)]


def _read(directory: Path) -> Run | Sweep:
    try:
        return read_sweep(directory) if _is_sweep(directory) else read_run(directory)
    except OSError as error:  # closed to us, or gone while it was read
        return Run(directory.parent.name, directory, "cannot be read", [str(error)], "", 0.0, {}, {}, [], [], {}, [],
                   "", [], [])


def newest_finished(shelf: Shelf) -> Run | None:
    """The run that speaks for its experiment: of today's version, if there is one."""
    finished = [run for run in shelf.runs if run.state == "finished"]
    return next((run for run in finished if not run.version), next(iter(finished), None))


def read_run(directory: Path) -> Run:
    """A run directory, in whatever state it is."""
    notes, (config, manifest, summary), state = _opened(directory, "summary.json")
    if not (directory / "summary.json").exists():
        notes.append(_what_to_do(directory))
    experiment = _experiment_of(directory, config, summary)
    version = _another_version(experiment, config)
    if version:
        notes.append(f"Another version made it: {version}.")
    lines, drawn = json_lines(directory / "metrics.jsonl", notes), figures(directory)
    there = {path.stem for path in drawn}
    notes += [f"figures/{name}.png is gone." for name in documents.texts(summary.get("figures")) if name not in there]
    config = {"preset": summary.get("preset"), "dataset": summary.get("dataset"), **config}
    config.pop("experiment", None)
    seeds = summary.get("seeds")
    return Run(
        experiment, directory, state, notes, version, _started(directory, manifest), config, manifest,
        seeds=[str(seed) for seed in seeds] if isinstance(seeds, list) else [],
        metrics=documents.metrics(summary), seconds=documents.numbers(summary.get("seconds")),
        failures=documents.texts(summary.get("failures")), sample=documents.text(summary.get("sample")),
        figures=drawn, lines=lines)


def read_sweep(directory: Path) -> Sweep:
    """A sweep's directory, in whatever state it is."""
    notes, (config, manifest, document), state = _opened(directory, "sweep.json")
    if not (directory / "sweep.json").exists():
        notes.append("The sweep has not come to its end.")
    keys = documents.texts(document.get("keys")) or [
        words.partition("=")[0] for words in documents.texts(config.get("sweep"))]
    runs = {run.directory.name: run for run in map(_read, directories(directory / "points")) if isinstance(run, Run)}
    return Sweep(
        _experiment_of(directory, document, config), directory, state, notes, _started(directory, manifest), manifest,
        keys, documents.text(document.get("metric")), documents.points(document) or _points_so_far(keys, runs), runs,
        figures(directory))


def _opened(directory: Path, last: str) -> tuple[list[str], list[dict[str, Any]], str]:
    """What is wrong with its documents, what they hold, and its state: the last one to be written makes it finished."""
    notes: list[str] = []
    held = [json_object(directory / name, notes) for name in ("config.json", "manifest.json", last)]
    finished = (directory / last).exists()
    return notes, held, "cannot be read" if notes else "finished" if finished else "unfinished"


def _points_so_far(keys: list[str], runs: dict[str, Run]) -> list[Point]:
    """Those of a sweep that has no table yet."""
    return [Point(name, {key: str(run.config.get(key, "")) for key in keys}, run.metrics, run.failures)
            for name, run in runs.items() if run.state == "finished"]


def certificate(runs: Path) -> tuple[list[documents.Verdict], str]:
    """The verdicts that `make verify` wrote, and why there are none."""
    path = runs / "certificate.json"
    if not path.exists():
        return [], "It has not been made: make verify"
    try:
        return documents.verdicts(json.loads(path.read_text())), ""
    except UNREADABLE as error:
        return [], f"{path.name} cannot be read: {error}"


def _run_directories(runs: Path) -> list[Path]:
    """runs/NAME/RUN_ID, and runs/RUN_ID of who named it so by --out; no links, nothing that is still made aside."""
    found = []
    for home in directories(runs):
        if _has_any(home):
            found.append(home)
        elif home.name in experiments.names() or any(map(_has_any, directories(home))):
            found += directories(home)
    return found


def _has_any(directory: Path) -> bool:
    try:
        return any((directory / f"{name}.json").exists() for name in ("config", "manifest", "summary", "sweep"))
    except OSError:
        return False


def _is_sweep(directory: Path) -> bool:
    return (directory / "sweep.json").exists() or bool(json_object(directory / "config.json", []).get("sweep"))


def _what_to_do(directory: Path) -> str:
    """What an unfinished run is told."""
    if not any(directory.iterdir()):
        return "The directory is empty."
    if not (directory / "config.json").exists():
        return "It has no config.json: nothing can go on with it."
    return "It has no summary.json: it still runs, or was stopped, and --resume goes on with it."


def _experiment_of(directory: Path, *documents: dict[str, Any]) -> str:
    named = [document["experiment"] for document in documents if isinstance(document.get("experiment"), str)]
    return named[0] if named else directory.parent.name


def _another_version(experiment: str, config: dict[str, Any]) -> str:
    known = source.flags(experiment)
    if known is None or not config:
        return ""
    there = set(config) - {"experiment"}
    return "; ".join(f"{words} {', '.join(sorted(names))}" for words, names in
                     (("it lacks", known - there), ("unknown today are", there - known)) if names)


def _started(directory: Path, manifest: dict[str, Any]) -> float:
    try:
        return datetime.datetime.fromisoformat(str(manifest.get("started"))).timestamp()
    except (ValueError, OverflowError, OSError):
        return directory.stat().st_mtime
