"""Training a generator and a discriminator against the same in PyTorch.

python -m experiments.benchmarks.gan [flags]. Training steps a second of all pairs together: relativistic loss, R1 and
R2, Adam, averaged weights, batches drawn. Here as the experiment takes them, one pair and several in one compiled
program; there one pair, by what most people write, gradients of gradients along a tape, on one core and on all; with
channels last for images; and compiled, with torch.func, as torch.compile takes no gradients of gradients otherwise. In
float64 losses and gradients must agree. PyTorch runs under an interpreter that has it (--peers-python), in turns with
ours. Times are wall seconds, compilation apart.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import tyro
from rich.table import Column, Table

from experiments.benchmarks.sides import is_there, run_side
from experiments.runner.progress import console

Dataset = Literal["ring", "grid", "digits"]
AGREEING = ("losses", "gradients")
TOLERANCE = 1e-10  # between two implementations in float64


@dataclass(frozen=True)
class Config:
    """What to measure. The defaults take some ten minutes on two cores, half of them PyTorch's compiler."""

    peers_python: str | None = ".venv-peers/bin/python"
    """Interpreter with PyTorch; where there is none, only our half runs."""
    datasets: tuple[Dataset, ...] = ("ring", "digits")
    """Of the experiment, with their recipes: points of a plane, and images."""
    pairs: int = 10
    """That learn together, of points; one alone is measured, too."""
    image_pairs: int = 2
    """The same of images."""
    devices: int = 2
    """To divide these pairs over. A CPU counts as many as are asked for, an accelerator as 1."""
    threads: tuple[int, ...] = tuple(sorted({1, os.cpu_count() or 1}))
    """Of PyTorch."""
    compiling: bool = True
    """Whether PyTorch is measured compiled, too, where a C++ compiler is."""
    widths: tuple[int, ...] | None = None
    """Of layers; None: the recipe's."""
    batch_size: int | None = None
    """Pairs of samples; None: the recipe's."""
    chunk_steps: int = 20
    """Steps that are timed together."""
    chunks: int = 5
    """Such chunks in a turn."""
    turns: int = 2
    """Of each side, in a process of its own; the median of all their chunks counts."""


def main(config: Config) -> dict[str, Any]:
    """Run every case, print a table of each, and return the reports by dataset."""
    reports = {}
    for dataset in config.datasets:
        reports[dataset] = measured(dataset, config)
        console.print(table(reports[dataset]))
        require_agreement(reports[dataset]["oracle"])
    return reports


def measured(dataset: str, config: Config) -> dict[str, Any]:
    """What was built, how far PyTorch's is from ours in float64, and each side's seconds a step, with its pairs."""
    flags = {"dataset": dataset} | {name: value for name in ("widths", "batch_size")
                                    if (value := getattr(config, name)) is not None}
    with tempfile.TemporaryDirectory() as folder:
        path, target = (Path(folder) / f"{name}.npz" for name in ("nothing", "reference"))
        np.savez(path)
        built = run_side("gan_ours", "reference", path, {"flags": flags, "rows": 8, "target": str(target)})
        oracle, sides = None, ours(flags, bool(built["num_classes"]), config, path)
        if is_there(config.peers_python):
            oracle = run_side("gan_peers", "oracle", target, {"built": built}, python=config.peers_python)
            sides |= peers(built, config, target)
        turns = [{name: side() for name, (_, side) in sides.items()} for _ in range(config.turns)]
    return {"dataset": dataset, "built": built, "oracle": oracle, "sides": {
        name: turns[-1][name] | {"pairs": pairs, "compile_seconds": turns[0][name]["compile_seconds"],
                                 "seconds": [one for turn in turns for one in turn[name]["seconds"]]}
        for name, (pairs, _) in sides.items()}}


def ours(flags: Mapping[str, Any], of_images: bool, config: Config,
         path: Path) -> dict[str, tuple[int, Callable[[], Any]]]:
    """Number of pairs and how to measure them, by name."""
    many = config.image_pairs if of_images else config.pairs
    options = {"flags": flags, "chunk_steps": config.chunk_steps, "chunks": config.chunks}
    return {f"here, {pairs} on {devices}": (pairs, partial(
        run_side, "gan_ours", "learn", path, options | {"pairs": pairs, "devices": devices}))
        for pairs, devices in {1: 1, many: config.devices if many > 1 else 1}.items()}


def peers(built: Mapping[str, Any], config: Config, path: Path) -> dict[str, tuple[int, Callable[[], Any]]]:
    """The same of PyTorch, by every way and number of threads."""
    ways = {"eager": (False, False)}
    if built["num_classes"]:
        ways["eager, channels last"] = False, True
    if config.compiling and shutil.which("g++"):  # torch.compile writes C++
        ways["compiled"] = True, False
    options = {"built": built, "chunk_steps": config.chunk_steps, "chunks": config.chunks}
    return {f"PyTorch, {way}, {threads} threads": (1, partial(
        run_side, "gan_peers", "train", path,
        options | {"compiling": compiling, "channels_last": channels_last, "threads": threads},
        python=config.peers_python, environment={"TORCHINDUCTOR_CACHE_DIR": str(path.with_name(f"of_{threads}"))}))
        for way, (compiling, channels_last) in ways.items() for threads in config.threads}


def require_agreement(oracle: Mapping[str, float] | None) -> None:
    """Refuse to compare what is not the same."""
    if oracle and not (apart := max(oracle[name] for name in AGREEING)) <= TOLERANCE:
        raise ValueError(f"in float64 the two sides must agree to {TOLERANCE:.0e}, but in {' and '.join(AGREEING)} "
                         f"they are {apart:.0e} apart")


def table(report: Mapping[str, Any]) -> Table:
    """Each side's steps a second, and how many times the rate of PyTorch's fastest way, eager and of all."""
    sides, recipe = report["sides"], report["built"]["recipe"]
    rates = {name: side["pairs"] / median(side["seconds"]) for name, side in sides.items()}
    eager, fastest = (max((rate for name, rate in rates.items() if name.startswith(start)), default=None)
                      for start in ("PyTorch, eager", "PyTorch"))
    versions = ", ".join(dict.fromkeys(f"{library} {side[library]}" for side in sides.values()
                                       for library in ("jax", "torch") if library in side))
    title = (f"{report['dataset']}: steps a second of all pairs together; generators of "
             f"{report['built']['parameters']['generator']:,} parameters, discriminators of "
             f"{report['built']['parameters']['discriminator']:,}, {recipe['batch_size']} rows, {versions}")
    shown = Table(Column(no_wrap=True), "pairs", *(Column(name, justify="right") for name in (
        "steps/s", "of PyTorch, eager", "of its fastest", "compile, s", "loss")), title=title)
    for name, side in sides.items():
        ratios = (f"{rates[name] / peer:.2f} x" if peer else "-" for peer in (eager, fastest))
        compiling = f"{side['compile_seconds']:.1f}" if "eager" not in name else "-"
        shown.add_row(name, str(side["pairs"]), f"{rates[name]:,.1f}", *ratios, compiling, f"{side['loss']:.3f}")
    for name in AGREEING if report["oracle"] else ():
        shown.add_row(f"{name}, in float64", "", f"{report['oracle'][name]:.0e} apart", "", "", "", "")
    return shown


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m experiments.benchmarks.gan"))
