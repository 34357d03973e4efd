"""A sweep from its first line to its table: groups of points trained together, then each finished as the run it is."""

import contextlib
import dataclasses
import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

from experiments.runner import devices, figures, files, loop, metrics
from experiments.runner import directory as directories
from experiments.runner.config import require
from experiments.runner.errors import Interrupted, UserError
from experiments.runner.loop import Ahead, train
from experiments.runner.progress import console, say
from experiments.runner.run import Failure, Run, start
from experiments.runner.stage import Stage
from experiments.sweeping import table
from experiments.sweeping.grid import Point, axes_of, points_of
from experiments.sweeping.heat_map import heat_map
from experiments.sweeping.together import groups_of, of_point

Rows = dict[str, table.Row | None]
"""By label of a point; None: it is left to be run."""


def run(module: ModuleType, config: Any) -> table.Sweep:
    """Run an experiment at every point of config.sweep, or go on with such a sweep.

    Raises:
      UserError: --sweep asks for what cannot be; see grid.points_of. Interrupted: SIGTERM or Ctrl-C; what was done is
        saved.
    """
    require(not config.distributed, "--distributed", "left out of a sweep: start one for each part of the grid", True)
    points = points_of(config)
    if config.resume is not None and (finished := _finished(module, config)):
        return finished
    _read_all(module, points)
    infinite = np.errstate(over="ignore")  # what a number beyond float32 becomes; its point fails, and says so
    with start(module.NAME, config) as work, devices.programs_kept_meanwhile(), infinite:
        sizes = " x ".join(str(len(values)) for values in axes_of(config).values())
        say(f"A sweep of {table.counted(points)}: {sizes}.")
        rows: Rows = {point.label: _row(work.directory, point) for point in points}
        _metric(work.directory, _done(rows), config.sweep_metric)
        try:
            for group, stages in groups_of(module, points, work.mesh) if None in rows.values() else []:
                _run_group(work, module, group, stages, rows)
        except Interrupted as stop:
            raise Interrupted(f"Stopped, and saved. Go on with --resume {work.directory}", stop.signal_number) from stop
        return _conclude(table.Sweep(module.NAME, list(points[0].values), "", _done(rows), work.directory), config)


def _finished(module: ModuleType, config: Any) -> table.Sweep | None:
    """A sweep that has its table, written anew only to show another metric. None: it has none, or a damaged one, which
    is to be made anew."""
    where = config.resume
    if not (where / "sweep.json").exists():
        return None
    directories.refuse_changes(where, directories.read_config(module.NAME, where, type(config)), config)
    try:
        sweep = table.read(where)
    except UserError as error:
        say(f"{error}. It is made anew.")
        with directories.hold(where):
            (where / "sweep.json").unlink()
        return None
    say(f"{where} is finished")
    if config.sweep_metric in (None, sweep.metric):
        return sweep
    with directories.hold(where):
        return _conclude(sweep, config)


def _read_all(module: ModuleType, points: Sequence[Point]) -> None:
    """Where the data are a key, have all that cannot be read refused before anything is learned from the others."""
    by_subject = {point.config.subject: point.config for point in points}
    for config in by_subject.values() if "dataset" in points[0].values else []:
        module.read(config)


def _run_group(work: Run, module: ModuleType, group: Sequence[Point], stages: Sequence[Stage], rows: Rows) -> None:
    """Finish the points of a group that are left, having trained all of them together if they can be."""
    left = [point for point in group if rows[point.label] is None]
    if not left:
        return
    if stages:
        say(f"{len(group)} points train together: {group[0].label} to {group[-1].label}")
    scratch = work.directory / "together" / group[0].folder
    trained = _train(work, module.NAME, group, stages, scratch) if stages else {}
    for point in left:
        loop.heed_signals(work, "the sweep", len(_done(rows)), len(rows))
        if not stages:
            say(f"Point {len(_done(rows)) + 1} of {len(rows)}: {point.label}")
        ahead = {stage.name: _part(trained[stage.name], stage, group, group.index(point)) for stage in stages}
        with _quiet(bool(stages)):
            _run_point(work, module, point, ahead)
        rows[point.label] = row = _row(work.directory, point)
        assert row is not None
        name = _metric(work.directory, _done(rows), work.config.sweep_metric)
        say(f"  {point.label}: {name} {table.cell(row, name)}")
    shutil.rmtree(scratch, ignore_errors=True)


def _train(work: Run, name: str, group: Sequence[Point], stages: Sequence[Stage], scratch: Path) -> dict[str, Ahead]:
    """All runs of a group to the end of its stages, from the newest checkpoints if there are any."""
    words = tuple(point.label for point in group)
    together = Run(name, dataclasses.replace(group[0].config, sweep=words), scratch, work.mesh)
    data = hashlib.sha256()
    for leaf in jax.tree.leaves([(stage.given[1:], stage.data) for stage in stages]):
        data.update(loop.bits(leaf).tobytes())
    if (scratch / "manifest.json").exists():
        directories.refuse_other_data(scratch, data.hexdigest())
    else:
        scratch.mkdir(parents=True, exist_ok=True)
        files.write_json(scratch / "manifest.json", {"data": data.hexdigest()})
    return {stage.name: Ahead(stage.given, train(together, stage).state, stage.num_steps,
                              metrics.read(scratch, stage.name), together.seconds[stage.name],
                              [one for one in together.failures if one.stage == stage.name]) for stage in stages}


def _part(whole: Ahead, stage: Stage, group: Sequence[Point], position: int) -> Ahead:
    """What one point has of a stage that all of a group were trained in: its runs, and its share of the seconds. It
    ends, as it would alone, with the chunk in which the last of its runs failed."""
    num_runs = len(stage.labels) // len(group)
    before = f"{group[position].label}, "
    failures = [Failure(one.stage, one.label.removeprefix(before), one.step, one.leaf)
                for one in whole.failures if one.label.startswith(before)]
    end = whole.step if len(failures) < num_runs else min(whole.step, stage.chunk_steps * max(
        math.ceil(one.step / stage.chunk_steps) for one in failures))
    lines = [{**line, "run": line["run"].removeprefix(before), "seconds": round(line["seconds"] / len(group), 4)}
             for line in whole.lines if line["run"].startswith(before) and line["step"] <= end]
    return Ahead(whole.given[1:], of_point(whole.state.state, position, num_runs), end, lines,
                 {kind: seconds / len(group) for kind, seconds in whole.seconds.items()}, failures)


def _run_point(work: Run, module: ModuleType, point: Point, ahead: dict[str, Ahead]) -> None:
    """The run of a point, gone on with if it was begun; of what lies ahead it trains nothing."""
    where = work.directory / "points" / point.folder
    begun = (where / "config.json").exists()
    config = dataclasses.replace(point.config, **{"resume" if begun else "out": where})
    token = loop.ahead.set(ahead)
    try:
        module.run(config)
    except UserError as error:
        raise UserError(f"at {point.label}: {error}. The points before it are kept, in {work.directory}") from error
    finally:
        loop.ahead.reset(token)


def _row(directory: Path, point: Point) -> table.Row | None:
    """A finished point, as its summary tells it."""
    where = f"points/{point.folder}"
    path = directory / where / "summary.json"
    if not path.exists():
        return None
    try:
        summary = json.loads(path.read_text())
        return table.Row(where, point.values, summary["metrics"], summary["failures"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read: {error}. Delete it, and the point is finished again") from error


def _done(rows: Rows) -> list[table.Row]:
    return [row for row in rows.values() if row is not None]


def _metric(directory: Path, rows: Iterable[table.Row], asked: str | None) -> str:
    """The metric that was asked for, or else the first one ("": no row yet); UserError, if these rows have no such."""
    names = table.names(rows)
    if names and asked is not None and asked not in names:
        raise UserError(f"--sweep-metric must be one of {', '.join(names)}, got {asked}. What is done is kept: go on "
                        f"with --resume {directory} --sweep-metric NAME")
    return asked or next(iter(names), "")


def _conclude(sweep: table.Sweep, config: Any) -> table.Sweep:
    """Draw the heat map, and write sweep.json, which makes the sweep a finished one."""
    where = sweep.directory
    sweep = dataclasses.replace(sweep, metric=_metric(where, sweep.points, config.sweep_metric))
    shutil.rmtree(where / "together", ignore_errors=True)
    figures.save(where, "heat_map", heat_map(sweep))
    was = json.loads((where / "config.json").read_text())
    if was["sweep_metric"] != config.sweep_metric:  # or a name that there is not would be asked for again
        files.write_json(where / "config.json", {**was, "sweep_metric": config.sweep_metric})
    files.write_json(where / "sweep.json", table.to_json(sweep))
    return sweep


@contextlib.contextmanager
def _quiet(wanted: bool) -> Iterator[None]:
    before, console.quiet = console.quiet, wanted or console.quiet
    try:
        yield
    finally:
        console.quiet = before
