"""python -m experiments.porting.overhead: what a mesh of one device costs a step, beside no mesh at all."""

import dataclasses
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import tyro
from rich import box
from rich.table import Table

from experiments.porting.programs import stages_of
from experiments.runner.progress import bar, console
from experiments.runner.stage import chunk, placements
from sandbox.sharding import make_mesh


@dataclasses.dataclass(frozen=True)
class Options:
    """Time a training chunk of experiments' quick presets on one device, with a mesh of it and without, in turns."""

    experiments: tuple[str, ...] = ("attention", "convolution", "kalman", "matrix_factorization")
    """Whose first stage is timed; of matrix_factorization, its last, alternating least squares."""
    turns: int = 15
    """Of each, one after another."""


def main(options: Options) -> int:
    """Time all, and show it; returns the exit status."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title_justify="left",
                  title=f"ms a chunk on one {jax.devices()[0].device_kind}, medians of {options.turns} turns")
    for name in ("stage", "no mesh", "a mesh of one", "ratio"):
        drawn.add_column(name, justify="left" if name == "stage" else "right")
    with bar("stages", len(options.experiments)) as show:
        for number, name in enumerate(options.experiments):
            show(number, name)
            stage, seconds = in_turns(name, options.turns)
            without, within = (1000 * float(np.median(one)) for one in seconds)
            ratio = float(np.median(np.divide(seconds[1], seconds[0])))
            drawn.add_row(f"{name}: {stage}", f"{without:.1f}", f"{within:.1f}", f"{ratio:.3f}")
    console.print(drawn)
    return 0


def in_turns(name: str, turns: int) -> tuple[str, tuple[list[float], list[float]]]:
    """The stage's name, and seconds of each turn without a mesh and with one of one device."""
    mesh = make_mesh({"data": 1}, jax.devices()[:1])
    ready = [prepared(name, None), prepared(name, mesh)]
    for _, take in ready:
        take()
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns):
        for which in ((0, 1), (1, 0))[turn % 2]:  # who comes first finds another cache
            began = time.perf_counter()
            ready[which][1]()
            seconds[which].append(time.perf_counter() - began)
    return ready[0][0], seconds


def prepared(name: str, mesh: Any) -> tuple[str, Callable[[], None]]:
    """A stage's name, and what takes its next chunk."""
    stage = stages_of(name, "quick", 1, mesh)[-1]
    of_state, of_data = placements(stage, mesh)
    state = jax.jit(stage.initial, out_shardings=of_state)(*stage.given)
    data = jax.device_put(stage.data, of_data)
    function = chunk(stage, min(stage.chunk_steps, 5), platform=jax.default_backend(), mesh=mesh)
    compiled = jax.jit(function, donate_argnums=0).lower(state, *data).compile()

    def take():
        nonlocal state
        state = jax.block_until_ready(compiled(state, *data)).state

    return stage.name, take


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, prog="python -m experiments.porting.overhead")))
