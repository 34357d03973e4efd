"""The end of a run, and its coming back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.runner import checkpoints, directory, figures, files, processes
from experiments.runner.config import RunConfig
from experiments.runner.errors import UserError
from experiments.runner.result import Result
from experiments.runner.run import Run, total_seconds
from experiments.runner.summary import Reference, summarise


def finish(run: Run, *, metrics: Mapping[str, Sequence[float]], reference: Mapping[str, Reference],
           drawn: Mapping[str, Figure], learned: Any, model: Any, sample: str = "") -> Result:
    """Write figures, what was learned, and last of all summary.json, which makes the run a finished one.

    Args:
      run: from `start`.
      metrics: one value per seed, by name. reference: what to hold some of them against.
      drawn: figures by name.
      learned: nested dictionaries of arrays, from which the experiment's `revive` makes the model again.
      model: what the experiment hands its user.
      sample: text for the closing page.
    Returns:
      Result.
    """
    config = run.config
    paths = processes.first(lambda: {name: str(figures.save(run.directory, name, figure))
                                     for name, figure in drawn.items()})
    kept = run.directory / "learned"
    if not processes.first(kept.exists):
        checkpoints.save(kept, learned, {"experiment": run.name})
    failures = tuple(f"{failure.stage}, {failure.label}: {failure.leaf} at step {failure.step}"
                     for failure in run.failures)

    def conclude() -> dict[str, Any]:
        devices = json.loads((run.directory / "manifest.json").read_text())["devices"]
        seeds = range(config.seed, config.seed + config.seeds)
        summary = summarise(run.name, config.preset, config.subject, seeds, metrics, total_seconds(run), devices,
                            reference)
        told = {"failures": failures, "sample": sample, "figures": list(paths)}
        files.write_json(run.directory / "summary.json", {**summary, **told})
        directory.point_latest(run.directory)
        return summary

    summary = processes.first(conclude)
    return Result(config, summary, run.directory, {name: Path(path) for name, path in paths.items()}, model, failures,
                  sample)


def load(where: Path, name: str, config_type: type[RunConfig], revive: Any) -> Result:
    """A finished run brought back from its directory.

    Args:
      where: run directory. name, config_type: of the experiment.
      revive: (config, learned) -> model.
    Returns:
      Result, equal to what the run itself returned.
    Raises:
      UserError: not a run directory, unfinished, or damaged.
    """
    where = where.resolve() if where.is_symlink() else where
    config = directory.read_config(name, where, config_type)
    try:
        summary = json.loads((where / "summary.json").read_text())
    except FileNotFoundError:
        if config.sweep:
            raise UserError(f"{where} is a sweep: below {where}/points are its runs, each to be loaded by "
                            f"itself") from None
        raise UserError(f"{where} is unfinished: go on with it by --resume {where}") from None
    except ValueError as error:
        raise UserError(f"{where}/summary.json cannot be read: {error}") from error
    learned, _ = checkpoints.load(where / "learned")
    failures, sample = tuple(summary.pop("failures")), summary.pop("sample")
    there = sorted(path.stem for path in (where / "figures").glob("*.png"))
    paths = {name: where / "figures" / f"{name}.png" for name in summary.pop("figures", there)}
    return Result(config, summary, where, paths, revive(config, learned), failures, sample)
