"""python -m experiments.porting.overhead: what a mesh of one device costs a step, beside no mesh at all."""

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro
from rich import box
from rich.table import Table

from experiments.porting.programs import chunk_of_stage, stages_of
from experiments.runner.progress import bar, console, say
from experiments.runner.stage import placements
from sandbox.sharding import make_mesh

ALLOWED = 1.02


@dataclasses.dataclass(frozen=True)
class Options:
    """Time a training chunk of experiments' quick presets on one device, with a mesh of it and without, in turns.

    The exit status is 1 where a chunk with the mesh takes more than 1.02 times as long, by the median of all turns.
    """

    experiments: tuple[str, ...] = ("attention", "convolution", "kalman", "matrix_factorization")
    """Whose last stage is timed; of matrix_factorization, that is alternating least squares."""
    seconds: float = 30.0
    """That the turns of an experiment take, one with the mesh and one without each time; but 51 turns at least."""


class Turns(NamedTuple):
    """stage: that is timed. without, within: seconds of each turn without a mesh, and with one of one device."""

    stage: str
    without: list[float]
    within: list[float]


def main(options: Options) -> int:
    """Time all, and show it; returns the exit status."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title_justify="left",
                  title=f"ms a chunk on one {jax.devices()[0].device_kind}, medians; ratios of turns side by side")
    for name in ("stage", "turns", "no mesh", "a mesh of one", "ratio", "its 95% interval"):
        drawn.add_column(name, justify="left" if name == "stage" else "right")
    dearer = []
    with bar("stages", len(options.experiments)) as show:
        for number, name in enumerate(options.experiments):
            show(number, name)
            timed = in_turns(name, options.seconds)
            low, ratio, high = median(np.divide(timed.within, timed.without))
            without, within = (f"{1000 * np.median(one):.1f}" for one in timed[1:])
            drawn.add_row(f"{name}: {timed.stage}", str(len(timed.without)), without, within, f"{ratio:.3f}",
                          f"{low:.3f} to {high:.3f}")
            if ratio > ALLOWED:
                dearer.append(name)
    console.print(drawn)
    say(f"More than {ALLOWED} times as long: {', '.join(dearer) or 'none'}.")
    return 1 if dearer else 0


def in_turns(name: str, seconds: float, least: int = 51) -> Turns:
    """Time an experiment's chunks in turns, for so long."""
    mesh = make_mesh({"data": 1}, jax.devices()[:1])
    ready = [prepared(name, None), prepared(name, mesh)]
    for _, take in ready:
        take()
    turns, end = Turns(ready[0][0], [], []), time.perf_counter() + seconds
    while len(turns.without) < least or time.perf_counter() < end:
        for which in ((0, 1), (1, 0))[len(turns.without) % 2]:  # who comes first finds another cache
            began = time.perf_counter()
            ready[which][1]()
            (turns.without, turns.within)[which].append(time.perf_counter() - began)
    return turns


def median(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, between the ends of its 95% interval, which are values whose rank is off by √n.

    >>> median(range(100))
    (39.5, 49.5, 59.5)
    """
    ranked, middle = np.sort(np.asarray(values, float)), (len(values) - 1) / 2
    ends = middle - np.sqrt(len(values)), middle, middle + np.sqrt(len(values))
    low, between, high = (float(np.interp(at, np.arange(len(ranked)), ranked)) for at in ends)
    return low, between, high


def prepared(name: str, mesh: Any) -> tuple[str, Callable[[], None]]:
    """A stage's name, and what takes its next chunk, compiled as the training loop does it."""
    stage = stages_of(name, mesh)[-1]
    of_state, of_data = placements(stage, mesh)
    state = jax.jit(stage.initial, out_shardings=of_state)(*stage.given)
    data = jax.device_put(stage.data, of_data)
    built = chunk_of_stage(stage, mesh, min(stage.chunk_steps, 5), platform=jax.default_backend())
    compiled = built.function.lower(state, *data).compile()

    def take():
        nonlocal state
        state = jax.block_until_ready(compiled(state, *data)).state

    return stage.name, take


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, prog="python -m experiments.porting.overhead")))
