"""Score matching against the same in PyTorch.

python -m experiments.benchmarks.score_matching [flags]. Training steps a second by the denoising loss: batches drawn
and noised, Adam, gradients clipped, weights averaged. Here as the experiment takes them, one seed and several in one
compiled program; there one, by what most people write, on one core and on all; with channels last for images; and by
torch.compile. Then samples by Heun's method, and what a gradient of the implicit loss costs beside the sliced one's. In
float64 loss, gradients and samples must agree. PyTorch runs under an interpreter that has it (--peers-python), in turns
with ours: a ratio is of the two in one turn, and the median of turns is shown. Times are wall seconds, compilation
apart.
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

Dataset = Literal["mixture", "digits"]
Sides = dict[str, Callable[[], dict[str, Any]]]
AGREEING = ("loss", "gradients", "samples")
TOLERANCE = 1e-10  # between two implementations in float64
FLAGS = ("width", "layers", "channels", "batch_size")  # of the experiment


@dataclass(frozen=True)
class Config:
    """What to measure. The defaults take some fifteen minutes on two cores, half of them PyTorch's compiler."""

    peers_python: str | None = ".venv-peers/bin/python"
    """Interpreter with PyTorch; where there is none, only our half runs."""
    datasets: tuple[Dataset, ...] = ("mixture", "digits")
    """Of the experiment, with their recipes: points of a plane, and images."""
    seeds: int = 4
    """That learn together, of points; one alone is measured, too. Those of images learn one after another."""
    devices: int = 2
    """To divide these seeds over. A CPU counts as many as are asked for, an accelerator as 1."""
    threads: tuple[int, ...] = tuple(sorted({1, os.cpu_count() or 1}))
    """Of PyTorch."""
    compiling: bool = True
    """Whether PyTorch is measured compiled, too, where a C++ compiler is."""
    width: int | None = None
    """Of layers; None, here and below: the recipe's."""
    layers: int | None = None
    """How many there are."""
    channels: int | None = None
    """Of the convolutions, of images."""
    batch_size: int | None = None
    """Rows of data."""
    chunk_steps: int = 50
    """Steps that are timed together."""
    chunks: int = 5
    """Such chunks in a turn, and draws of all samples."""
    turns: int = 3
    """Of each side, in a process of its own."""
    points: int = 10_000
    """To sample."""
    images: int = 500
    """To sample, where the data are images."""
    evaluations: int = 35
    """Of the score for a sample."""
    dimensions: tuple[int, ...] = (8, 64, 784)
    """Of the perceptron whose implicit and sliced losses are set against each other."""


def main(config: Config) -> dict[str, Any]:
    """Run every case, print its tables, and return the reports: by dataset, and of the traces."""
    reports = {}
    for dataset in config.datasets:
        reports[dataset] = measured(dataset, config)
        for table in (learning_table, sampling_table):
            console.print(table(reports[dataset]))
        require_agreement(reports[dataset]["oracle"])
    if config.dimensions:
        reports["traces"] = traces(config)
        console.print(traces_table(reports["traces"], config.dimensions))
    return reports


def measured(dataset: str, config: Config) -> dict[str, Any]:
    """What was built, how far PyTorch's is from ours in float64, and each side's seconds by turn: of a step, with its
    seeds, and of all samples."""
    flags = {"dataset": dataset} | {name: value for name in FLAGS if (value := getattr(config, name)) is not None}
    with tempfile.TemporaryDirectory() as folder:
        path, target = (Path(folder) / f"{name}.npz" for name in ("nothing", "reference"))
        np.savez(path)
        built = run_side("score_matching_ours", "reference", path, {
            "flags": flags, "rows": 8, "evaluations": config.evaluations, "target": str(target)})
        num = config.images if built["num_classes"] else config.points
        oracle, learning, sampling = None, ours_learning(flags, built, config, path), {"here": partial(
            run_side, "score_matching_ours", "sample", path,
            {"flags": flags, "num": num, "evaluations": config.evaluations, "repeats": config.chunks})}
        if is_there(config.peers_python):
            oracle = run_side("score_matching_peers", "oracle", target, {"built": built}, python=config.peers_python)
            learning |= peers("train", built, config, target,
                              {"chunk_steps": config.chunk_steps, "chunks": config.chunks})
            sampling |= peers("sample", built, config, target, {"num": num, "repeats": config.chunks})
        return {"dataset": dataset, "built": built, "oracle": oracle, "num": num, "evaluations": config.evaluations,
                "learning": in_turns(learning, config.turns), "sampling": in_turns(sampling, config.turns)}


def ours_learning(flags: Mapping[str, Any], built: Mapping[str, Any], config: Config, path: Path) -> Sides:
    """How to measure our steps, by name."""
    options = {"flags": flags, "chunk_steps": config.chunk_steps, "chunks": config.chunks}
    many = config.seeds if built["runs"] == "vmap" else 1
    return {f"here, {seeds} seed{'s'[:seeds - 1]} on {devices}": partial(
        run_side, "score_matching_ours", "learn", path, options | {"seeds": seeds, "devices": devices})
        for seeds, devices in {1: 1, many: config.devices if many > 1 else 1}.items()}


def peers(task: str, built: Mapping[str, Any], config: Config, path: Path, options: Mapping[str, Any]) -> Sides:
    """The same of PyTorch, by every way and number of threads."""
    ways = {"eager": (False, False)}
    if built["num_classes"]:
        ways["eager, channels last"] = False, True
    if config.compiling and shutil.which("g++"):  # torch.compile writes C++
        ways["compiled"] = True, False
    return {f"PyTorch, {way}, {threads} threads": partial(
        run_side, "score_matching_peers", task, path,
        {"built": built, "compiling": compiling, "channels_last": channels_last, "threads": threads, **options},
        python=config.peers_python, environment={"TORCHINDUCTOR_CACHE_DIR": str(path.with_name(f"of_{threads}"))})
        for way, (compiling, channels_last) in ways.items() for threads in config.threads}


def in_turns(sides: Sides, turns: int) -> dict[str, dict[str, Any]]:
    """The last report of each side, with the seconds of every turn, and of the first compilation."""
    reports = [{name: side() for name, side in sides.items()} for _ in range(turns)]
    return {name: reports[-1][name] | {"compile_seconds": reports[0][name]["compile_seconds"],
                                       "seconds": [report[name]["seconds"] for report in reports]} for name in sides}


def traces(config: Config) -> dict[str, Any]:
    """Seconds of a gradient of both losses, by turn and dimension."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nothing.npz"
        np.savez(path)
        return run_side("score_matching_ours", "traces", path, {
            "dimensions": config.dimensions, "width": 256, "rows": 64, "repeats": config.chunks * config.turns})


def require_agreement(oracle: Mapping[str, float] | None) -> None:
    """Refuse to compare what is not the same."""
    if oracle and not (apart := float(np.max([oracle[name] for name in AGREEING]))) <= TOLERANCE:
        raise ValueError(f"in float64 the two sides must agree to {TOLERANCE:.0e}, but in {', '.join(AGREEING)} "
                         f"they are up to {apart:.0e} apart")


def ratios(sides: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[float, float | None, float | None]]:
    """Of each side its rate, and how many times the rate of PyTorch's fastest way in the same turn, eager and of all.

    >>> ratios({"here": {"seconds": [[1.0], [2.0]]}, "PyTorch, eager": {"seconds": [[2.0], [6.0]]}})["here"]
    (0.75, 2.5, 2.5)
    """
    rates = {name: np.array([side.get("seeds", 1) / median(turn) for turn in side["seconds"]])
             for name, side in sides.items()}
    def beside(rate: np.ndarray, start: str) -> float | None:
        peers = [peer for name, peer in rates.items() if name.startswith(start)]
        return float(np.median(rate / np.max(peers, axis=0))) if peers else None

    return {name: (float(np.median(rate)), beside(rate, "PyTorch, eager"), beside(rate, "PyTorch"))
            for name, rate in rates.items()}


def learning_table(report: Mapping[str, Any]) -> Table:
    """Each side's steps a second, and how many times PyTorch's."""
    sides, built = report["learning"], report["built"]
    shown = _table(f"{report['dataset']}: training steps a second of all seeds together; networks of "
                   f"{built['parameters']:,} parameters, {built['recipe']['batch_size']} rows, {_versions(sides)}",
                   "steps/s")
    for name, (rate, *beside) in ratios(sides).items():
        shown.add_row(name, f"{rate:,.1f}", *_times(beside), _compiling(name, sides))
    for name in AGREEING if report["oracle"] else ():
        shown.add_row(f"{name}, in float64", f"{report['oracle'][name]:.0e} apart", "", "", "")
    return shown


def sampling_table(report: Mapping[str, Any]) -> Table:
    """Each side's seconds for all samples, and how many times faster than PyTorch."""
    sides = report["sampling"]
    shown = _table(f"{report['dataset']}: {report['num']:,} samples by Heun's method, {report['evaluations']} "
                   f"evaluations, {_versions(sides)}", "seconds")
    for name, (rate, *beside) in ratios(sides).items():
        shown.add_row(name, f"{1 / rate:.3f}", *_times(beside), _compiling(name, sides))
    return shown


def traces_table(report: Mapping[str, Any], dimensions: tuple[int, ...]) -> Table:
    """Milliseconds of a gradient by dimension, how they grow, and how many times faster the sliced is."""
    title = f"a gradient of each loss, perceptron of {report['width']}, {report['rows']} rows, jax {report['jax']}"
    shown = Table(*(Column(name, justify="right") for name in (
        "D", "implicit, ms", "sliced, ms", "implicit / sliced", "D grew", "implicit grew", "sliced grew")), title=title)
    first = None
    for size, implicit, sliced in zip(dimensions, report["implicit"], report["sliced"]):
        now = size, median(implicit), median(sliced)
        first = first or now
        ratio = median(whole / part for whole, part in zip(implicit, sliced))
        shown.add_row(f"{size}", f"{1e3 * now[1]:.2f}", f"{1e3 * now[2]:.2f}", f"{ratio:.1f} x",
                      *(f"{here / there:.1f} x" for here, there in zip(now, first)))
    return shown


def _table(title: str, unit: str, *more: str) -> Table:
    return Table(Column(no_wrap=True), *(Column(name, justify="right") for name in (
        unit, "of PyTorch, eager", "of its fastest", "compile, s", *more)), title=title)


def _times(beside: list[float | None]) -> list[str]:
    return [f"{ratio:.2f} x" if ratio else "-" for ratio in beside]


def _compiling(name: str, sides: Mapping[str, Mapping[str, Any]]) -> str:
    return f"{sides[name]['compile_seconds']:.1f}" if "eager" not in name else "-"


def _versions(sides: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(f"{library} {side[library]}" for side in sides.values()
                                   for library in ("jax", "torch") if library in side))


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m experiments.benchmarks.score_matching"))
