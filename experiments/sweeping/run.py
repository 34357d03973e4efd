"""A sweep from its first line to its table: groups of points trained together, then each finished as the run it is."""

import contextlib
import dataclasses
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax

import experiments
from experiments.runner import devices, figures, files, loop, metrics
from experiments.runner import directory as directories
from experiments.runner.config import require
from experiments.runner.errors import Interrupted, UserError
from experiments.runner.loop import Ahead, train
from experiments.runner.progress import console, say
from experiments.runner.result import Result
from experiments.runner.run import Failure, Run, start, stop_later
from experiments.runner.stage import Stage
from experiments.sweeping import table
from experiments.sweeping.grid import Point, axes_of, points_of
from experiments.sweeping.heat_map import heat_map
from experiments.sweeping.together import groups_of, of_point


def run(module: ModuleType, config: Any) -> table.Sweep:
    """Run an experiment at every point of config.sweep, or go on with such a sweep.

    Raises:
      UserError: --sweep asks for what cannot be; see grid.points_of. Interrupted: SIGTERM or Ctrl-C; what was done is
        saved.
    """
    require(not config.distributed, "--distributed", "left out of a sweep: start one for each part of the grid", True)
    points = points_of(config)
    if config.resume is not None and (config.resume / "sweep.json").exists():
        directories.refuse_changes(config.resume, directories.read_config(module.NAME, config.resume, type(config)),
                                   config)
        return _conclude(config.resume, table.read(config.resume), config.sweep_metric)
    of_sweep = dataclasses.replace(config, track=None)  # points have trackers of their own
    with start(module.NAME, of_sweep) as work, devices.programs_kept_meanwhile():
        try:
            sizes = " x ".join(str(len(values)) for values in axes_of(config).values())
            say(f"A sweep of {len(points)} points: {sizes}.")
            done = {point.label: _finished(work, point) for point in points}
            left = [point for point in points if done[point.label] is None]
            for group, stages in groups_of(module, points, work.mesh) if left else []:
                _run_group(work, module, [point for point in group if done[point.label] is None], group, stages, done)
        except Interrupted as stop:
            raise Interrupted(f"Stopped, and saved. Go on with --resume {work.directory}", stop.signal_number) from stop
        rows = [_row(point, done[point.label]) for point in points]
        return _conclude(work.directory, table.Sweep(module.NAME, list(points[0].values), "", rows, work.directory),
                         config.sweep_metric)


def _run_group(work: Run, module: ModuleType, left: Sequence[Point], group: Sequence[Point], stages: Sequence[Stage],
               done: dict[str, Result | None]) -> None:
    """Finish the points of a group that are left, having trained all of them together if they can be."""
    if not left:
        return
    if stages:
        say(f"{len(group)} points train together: {group[0].label} to {group[-1].label}")
    scratch = work.directory / "together" / group[0].folder
    trained = _train(work, module.NAME, group, stages, scratch) if stages else {}
    for point in left:
        if not stages:
            say(f"Point {sum(result is not None for result in done.values()) + 1} of {len(done)}: {point.label}")
        ahead = {name: _part(whole, group, group.index(point)) for name, whole in trained.items()}
        with _quiet(bool(stages)):
            done[point.label] = result = _run_point(work, module, point, ahead)
        name = work.config.sweep_metric or next(iter(result.summary["metrics"]))
        say(f"  {point.label}: {name} {table.cell(_row(point, result), name)}")
        loop.heed_signals(work, "the sweep", sum(result is not None for result in done.values()), len(done))
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
    with stop_later(together):
        return {stage.name: Ahead(stage.given, train(together, stage).state, metrics.read(scratch, stage.name),
                                  together.seconds[stage.name],
                                  [one for one in together.failures if one.stage == stage.name]) for stage in stages}


def _part(whole: Ahead, group: Sequence[Point], position: int) -> Ahead:
    """What one point has of a stage that all of a group were trained in: its runs, and its share of the seconds."""
    num_runs = len(whole.state[0][0]) // len(group)
    before = f"{group[position].label}, "

    def own(labelled: str) -> bool:
        return labelled.startswith(before)

    lines = [{**line, "run": line["run"].removeprefix(before), "seconds": round(line["seconds"] / len(group), 4)}
             for line in whole.lines if own(line["run"])]
    failures = [Failure(one.stage, one.label.removeprefix(before), one.step, one.leaf.removeprefix("[1]"))
                for one in whole.failures if own(one.label)]
    return Ahead(whole.given[1:], of_point(whole.state[1], position, num_runs), lines,
                 {kind: seconds / len(group) for kind, seconds in whole.seconds.items()}, failures)


def _run_point(work: Run, module: ModuleType, point: Point, ahead: dict[str, Ahead]) -> Result:
    """The run of a point, gone on with if it was begun; of what lies ahead it trains nothing."""
    where = work.directory / "points" / point.folder
    begun = (where / "config.json").exists()
    config = dataclasses.replace(point.config, **{"resume" if begun else "out": where})
    token = loop.ahead.set(ahead)
    try:
        return module.run(config)
    finally:
        loop.ahead.reset(token)


def _finished(work: Run, point: Point) -> Result | None:
    where = work.directory / "points" / point.folder
    return experiments.load(where) if (where / "summary.json").exists() else None


def _row(point: Point, result: Result | None) -> table.Row:
    assert result is not None
    return table.Row(f"points/{point.folder}", point.values, result.summary["metrics"], list(result.failures))


def _conclude(directory: Path, sweep: table.Sweep, metric: str | None) -> table.Sweep:
    """Draw the heat map, and write sweep.json, which makes the sweep a finished one."""
    names = list(sweep.points[0].metrics)
    if metric is not None and metric not in names:
        raise UserError(f"--sweep-metric must be one of {', '.join(names)}, got {metric}. All points are kept: go on "
                        f"with --resume {directory}")
    sweep = dataclasses.replace(sweep, metric=metric or sweep.metric or names[0])
    shutil.rmtree(directory / "together", ignore_errors=True)
    figures.save(directory, "heat_map", heat_map(sweep))
    files.write_json(directory / "sweep.json", table.to_json(sweep))
    return sweep


@contextlib.contextmanager
def _quiet(wanted: bool) -> Iterator[None]:
    before, console.quiet = console.quiet, wanted or console.quiet
    try:
        yield
    finally:
        console.quiet = before
