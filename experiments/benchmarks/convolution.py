"""Convolution and a network of it against jax.lax and PyTorch.

python -m experiments.benchmarks.convolution [flags]. A training step of one 3 x 3 layer, inside a compiled loop and
outside, alone and for several seeds; a training step of the small network beside the same in PyTorch, parameters,
images and all, on all cores: here a device each, which get a part of the batch. Both take plain gradient descent with
momentum, which both have: PyTorch's Muon takes no kernels. PyTorch runs under an interpreter that has it
(--peers-python), in turns with ours. Times are wall seconds, compilation apart.
"""

import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import tyro
from rich.table import Column, Table

from experiments import configure
from experiments.benchmarks.sides import against, is_there, run_side
from experiments.runner.progress import console

SCANNED = {"one": "here in scan", "many": "here, vmap in scan"}
TRAP = "jax.lax in scan"
PRODUCT_FLOPS = 2 * 2048**3
# Of PyTorch: whether compiled, whether channels are last in memory.
MODES = {"eager": (False, False), "eager, channels last": (False, True), "compiled, channels last": (True, True)}
AGREEING = {  # what is compared in float64, by case
    "oracle": {"logits": "logits of the network", "loss": "its loss", "gradients": "its gradients"},
    "convolutions": {"y": "convolutions", "dx": "their gradients to x", "dw": "their gradients to w",
                     "pooling": "pooling and its gradient"}}
TOLERANCE = 1e-10  # between two implementations in float64


@dataclass(frozen=True)
class Config:
    """What to measure. The defaults take some minutes on two cores."""

    peers_python: str | None = ".venv-peers/bin/python"
    """Interpreter with PyTorch; where there is none, only our half runs."""
    layers: tuple[tuple[int, int, int], ...] = (
        (128, 28, 16), (32, 28, 32), (128, 14, 32), (32, 14, 64), (128, 7, 64))
    """Rows, places on a side, and channels of each layer."""
    seeds: int = 4
    """Kernels and inputs that are trained together."""
    steps: int = 8
    """Steps of one layer that are timed together."""
    repeats: int = 5
    """Such times of which the median counts."""
    convolutions: int = 12
    """Convolutions, drawn, on which PyTorch has to agree."""
    preset: Literal["quick", "full"] = "full"
    """Of the experiment: the small network, its batch and its loss."""
    image_size: int = 28
    """Pixels on a side."""
    batches: int = 8
    """Of different images."""
    chunk_steps: int = 10
    """Steps of the network that are timed together."""
    chunks: int = 4
    """Such chunks in a turn."""
    turns: int = 3
    """Of each side, in a process of its own; the median of all their chunks counts."""


def main(config: Config) -> dict[str, Any]:
    """Run every case, print the tables, and return the reports by case."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nothing.npz"
        np.savez(path)
        reports = {"layers": _ours("layers", path, shapes=config.layers, seeds=config.seeds, steps=config.steps,
                                   repeats=config.repeats)}
        console.print(layers_table(reports["layers"], config))
        console.print(seeds_table(reports["layers"], config))
        reports["convolutions"] = convolutions_case(config, path)
        reports |= network_case(config, path)
        console.print(train_table(reports))
    require_agreement(reports)
    return reports


def convolutions_case(config: Config, path: Path) -> dict[str, float] | None:
    """How far PyTorch's convolution and its gradients are from ours, in float64; None without PyTorch."""
    if not is_there(config.peers_python):
        return None
    rng, target = np.random.default_rng(0), path.with_name("convolutions.npz")
    cases = [drawn_case(rng, kind) for _, kind in zip(range(config.convolutions), ("one", "two", "depthwise") * 99)]
    _ours("convolutions", path, cases=cases, target=str(target))
    return run_side("convolution_peers", "convolutions", target, {"cases": cases}, python=config.peers_python)


def drawn_case(rng: np.random.Generator, kind: str) -> dict[str, Any]:
    """Shapes of x and w, and keywords of conv, of one or two spatial axes; kind: of its groups."""
    rank = int(rng.integers(1, 3))
    groups = {"one": 1, "two": 2, "depthwise": 4}[kind]
    size, kernel, strides, dilation = (rng.integers(low, high, rank).tolist()
                                       for low, high in ((7, 12), (1, 4), (1, 4), (1, 3)))
    explicit = rng.integers(-1, 3, (rank, 2)).tolist()
    padding = ("SAME", "VALID", explicit)[rng.integers(3)]
    return {"x": [3, *size, 4], "w": [*kernel, 4 // groups, 8],
            "how": {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}}


def network_case(config: Config, path: Path) -> dict[str, Any]:
    """How far PyTorch's network is from ours in float64, and every side's training, in turns: its last report, with the
    seconds a step of all turns."""
    preset, target = configure("convolution", config.preset), path.with_name("network.npz")
    sizes = {"num_classes": 10} | {name: getattr(preset, name)
                                   for name in ("widths", "depths", "stem_size", "stem_strides")}
    loss = {"sizes": sizes, "label_smoothing": preset.label_smoothing}
    _ours("reference", path, size=config.image_size, rows=8, num_images=config.batches * preset.batch_size,
          target=str(target), **loss)
    options = loss | {"batch_size": preset.batch_size, "learning_rate": 0.01, "momentum": 0.9,
                      "chunk_steps": config.chunk_steps, "chunks": config.chunks}
    sides, oracle = {"ours": lambda: _ours("train", target, **options)}, None
    if is_there(config.peers_python):
        oracle = run_side("convolution_peers", "oracle", target, loss, python=config.peers_python)
        for mode, (compiling, channels_last) in MODES.items():
            if not compiling or shutil.which("g++"):  # torch.compile writes C++
                sides[mode] = lambda how={"compiling": compiling, "channels_last": channels_last}: run_side(
                    "convolution_peers", "train", target, options | how, python=config.peers_python)
    turns = [{name: side() for name, side in sides.items()} for _ in range(config.turns)]
    train = {name: turns[-1][name] | {"seconds": [one for turn in turns for one in turn[name]["seconds"]],
                                      "compile_seconds": turns[0][name]["compile_seconds"]} for name in sides}
    return {"oracle": oracle, "train": train, "batch_size": preset.batch_size}


def require_agreement(reports: Mapping[str, Any]) -> None:
    """Refuse to compare what is not the same."""
    for case, names in AGREEING.items():
        if (report := reports[case]) and (apart := max(report[name] for name in names)) > TOLERANCE:
            raise ValueError(f"in float64 the two sides must agree to {TOLERANCE:.0e}, but in {', '.join(names)} they "
                             f"are {apart:.0e} apart")


def layers_table(report: Mapping[str, Any], config: Config) -> Table:
    """Each layer alone: milliseconds a step outside a loop and inside, over the faster one outside; share of rate."""
    rate = median(one / 1e9 for layer in report["layers"] for one in _rates(layer))
    title = (f"a training step of a 3 x 3 layer of (rows, side, channels), jax {report['jax']}: ms, times the faster "
             f"one outside a loop, and share of the rate of products of matrices, {rate:.0f} GFLOP/s")
    shown = Table(Column("layer", no_wrap=True), "jax.lax", "here", TRAP, "ratio", SCANNED["one"], "ratio", "share",
                  "apart", title=title)
    for shape, layer in zip(config.layers, report["layers"]):
        seconds = _medians(layer["one"])
        faster = min(seconds["jax.lax"], seconds["here"])
        shown.add_row(
            ", ".join(map(str, shape)), *(f"{1e3 * seconds[name]:.1f}" for name in ("jax.lax", "here")),
            *(cell for name in (TRAP, SCANNED["one"])
              for cell in (f"{1e3 * seconds[name]:.1f}", f"{seconds[name] / faster:.2f} x")),
            f"{_share(layer, shape, seconds[SCANNED['one']]):.0%}", f"{layer['apart']:.0e}")
    return shown


def seeds_table(report: Mapping[str, Any], config: Config) -> Table:
    """The same of several seeds: every way outside a loop, the one inside, over the fastest outside; share of rate."""
    inside = SCANNED["many"]
    outside = [name for name in report["layers"][0]["many"] if name != inside]
    title = f"the same of {config.seeds} seeds: ms of all together, and times the fastest outside a loop"
    shown = Table(Column("layer", no_wrap=True), *outside, inside, "ratio", "share", title=title)
    for shape, layer in zip(config.layers, report["layers"]):
        seconds = _medians(layer["many"])
        fastest = min(seconds[name] for name in outside)
        shown.add_row(", ".join(map(str, shape)), *(f"{1e3 * seconds[name]:.1f}" for name in (*outside, inside)),
                      f"{seconds[inside] / fastest:.2f} x",
                      f"{_share(layer, shape, seconds[inside] / config.seeds):.0%}")
    return shown


def train_table(reports: Mapping[str, Any]) -> Table:
    """A training step beside PyTorch's fastest one, and agreement in float64."""
    train, seconds = reports["train"], _medians(reports["train"])
    fastest = min((name for name in train if name != "ours"), key=seconds.__getitem__, default=None)
    peer, batch_size = train.get(fastest), reports["batch_size"]
    title = f"training of the small network, {train['ours']['parameters']:,} parameters, {batch_size} images a step"
    shown = Table("", "here", f"PyTorch, {fastest}" if fastest else "PyTorch", "ratio", title=title)
    shown.add_row("ms a step", *against(1e3 * seconds["ours"], 1e3 * seconds[fastest] if fastest else None, digits=2))
    shown.add_row("images a second", f"{batch_size / seconds['ours']:,.0f}",
                  f"{batch_size / seconds[fastest]:,.0f}" if fastest else "-", "")
    shown.add_row("seconds to compile", *against(train["ours"]["compile_seconds"],
                                                 peer["compile_seconds"] if peer else None, digits=1))
    for name in (name for name in train if name not in ("ours", fastest)):
        shown.add_row(f"ms a step, {name}", "", f"{1e3 * seconds[name]:.2f}", "")
    shown.add_row("loss at the end, nats", f"{train['ours']['loss']:.4f}", f"{peer['loss']:.4f}" if peer else "-", "")
    for case, names in AGREEING.items():
        for name, label in names.items():
            shown.add_row(f"{label}, in float64", "", "", f"{reports[case][name]:.0e} apart" if reports[case] else "-")
    return shown


def _medians(ways):
    return {name: median(way["seconds"]) for name, way in ways.items()}


def _rates(layer):
    """Floating-point operations a second of the products of matrices that took turns with this layer."""
    return [PRODUCT_FLOPS / seconds for seconds in layer["one"]["product"]["seconds"]]


def _share(layer, shape, seconds):
    """Of the rate of a product of matrices: x ∗ w and its two gradients take as many multiplications each."""
    rows, size, channels = shape
    return 3 * 2 * rows * math.prod((size, size, 3, 3, channels, channels)) / seconds / median(_rates(layer))


def _ours(task, path, **options):
    return run_side("convolution_ours", task, path, options)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m experiments.benchmarks.convolution"))
