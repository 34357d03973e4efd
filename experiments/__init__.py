"""Experiments: each a module of this package with a Config, PRESETS, run(config) and revive(config, learned).

>>> import experiments
>>> "matrix_factorization" in experiments.names()
True
"""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["configure", "load", "names", "sweep"]


def names() -> tuple[str, ...]:
    """The experiments that exist: the modules of this package. Its sub-packages are their shelves."""
    modules = pkgutil.iter_modules(__path__)
    return tuple(sorted(module.name for module in modules if not module.ispkg and module.name != "__main__"))


def configure(name: str, preset: str = "quick", **flags: Any) -> Any:
    """An experiment's config with the values of a preset, and flags over them.

    >>> configure("matrix_factorization", "full", rank=4).rank
    4
    """
    from experiments.runner.config import configure as configure_module

    return configure_module(_module(name), preset, **flags)


def load(directory: str | Path) -> Any:
    """A finished run brought back, ready to use: load("runs/matrix_factorization/latest").

    Args:
      directory: of the run.
    Returns:
      experiments.runner.result.Result, as the run itself returned it.
    Raises:
      experiments.runner.errors.UserError: not a run directory, unfinished, or damaged.
    """
    from experiments.runner.directory import experiment_of
    from experiments.runner.finish import load as load_run

    name = experiment_of(Path(directory))
    module = _module(name)
    return load_run(Path(directory), name, module.Config, module.revive)


def sweep(name: str, preset: str = "quick", **flags: Any) -> Any:
    """An experiment at every combination: sweep("kalman", learning_rate=[0.1, 0.01], steps=40).

    Args:
      name: of the experiment. preset: see `configure`. flags: a list, a range or an array of one axis holds the values
        of a key; all else, a tuple too, is one value for all points.
    Returns:
      experiments.sweeping.table.Sweep, which shows itself as its table.
    Raises:
      experiments.runner.errors.UserError: as for --sweep.
    """
    from experiments.sweeping.grid import sweep_words
    from experiments.sweeping.run import run

    axes = {key: list(values) for key, values in flags.items()
            if isinstance(values, list | range) or getattr(values, "ndim", 0) == 1}
    common = {key: value for key, value in flags.items() if key not in axes}
    return run(_module(name), configure(name, preset, **common, sweep=sweep_words(**axes)))


def _module(name: str) -> ModuleType:
    from experiments.runner.errors import UserError

    if name not in names():
        raise UserError(f"there is no experiment {name!r}; the experiments are {', '.join(names())}")
    return importlib.import_module(f"experiments.{name}")


def __getattr__(name: str) -> ModuleType:
    if name in names():
        return importlib.import_module(f"experiments.{name}")
    raise AttributeError(f"module 'experiments' has no attribute {name!r}; the experiments are {', '.join(names())}")


def __dir__() -> list[str]:
    return [*__all__, *names()]
