"""A stage of learning as data: what it starts from, a step, and where its arrays go on a mesh."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
from jax.sharding import Mesh, PartitionSpec

from sandbox import sharding
from sandbox.sharding import Rules
from sandbox.training import Chunk, chunk_of

EACH_RUN: Rules = (("", PartitionSpec("data")),)
"""Runs are divided over the devices of `data`, each with a state and, if they are its own, data."""


class Stage(NamedTuple):
    """How K runs learn together.

    name: its checkpoints, metrics and seconds go by it.
    initial: (*given) -> state of the K runs, stacked on a leading axis. given: as a rule their keys, (K,).
    step: (state, *data) -> (state, metrics by name) of one run; see sandbox.training. data: what it needs besides;
      stacked on a leading axis of K where data_axis is 0.
    num_steps: in all. chunk_steps: per compiled chunk; the last chunk takes what is left.
    labels: name of each of the K runs, as in "seed 3".
    runs: see sandbox.training.chunk_of; "map-on-cpu" is for runs that together do not fit its caches.
    state_rules, data_rules: where leaves go on a mesh, see sandbox.sharding.sharding_by_rules; none: copies.
    follows: name of the stage whose end it begins with, where the experiment's `run` puts that in the place of
      `initial`; "": it stands by itself.
    compiler_options: XLA's own, see devices.SMALL_LOOPS.
    """

    name: str
    initial: Callable[..., Any]
    given: tuple
    step: Callable[..., tuple[Any, dict[str, jax.Array]]]
    data: tuple
    num_steps: int
    chunk_steps: int
    labels: Sequence[str]
    runs: Literal["vmap", "map", "map-on-cpu"] = "vmap"
    data_axis: int | None = None
    state_rules: Rules = ()
    data_rules: Rules = ()
    follows: str = ""
    compiler_options: Mapping[str, Any] = {}


def divides_runs(stage: Stage) -> bool:
    """Whether runs are what a mesh divides.

    >>> stage = Stage("learn", lambda: None, (), lambda state: (state, {}), (), 1, 1, [])
    >>> divides_runs(stage), divides_runs(stage._replace(state_rules=EACH_RUN))
    (False, True)
    """
    return any(isinstance(spec, PartitionSpec) and spec[:1] == ("data",) for _, spec in stage.state_rules)


def chunk(stage: Stage, length: int, *, platform: str, mesh: Mesh | None) -> Callable[..., Chunk]:
    """The function of (state, *data) that takes so many of a stage's steps, to be compiled.

    Args:
      platform: that it is compiled for, as jax names it. mesh: that its arrays are placed on.
    """
    divided = mesh is not None and divides_runs(stage)
    return chunk_of(stage.step, length, runs="vmap" if divided else runs_on(platform, stage.runs),
                    data_axis=stage.data_axis)


def runs_on(platform: str, runs: str) -> Literal["vmap", "map"]:
    """How runs are taken on a platform.

    >>> runs_on("cpu", "map-on-cpu"), runs_on("tpu", "map-on-cpu")
    ('map', 'vmap')
    """
    return "map" if runs == "map" or (runs == "map-on-cpu" and platform == "cpu") else "vmap"


def placements(stage: Stage, mesh: Mesh | None) -> tuple[Any, Any]:
    """Where the leaves of a stage's state, and of its data, are to be.

    Raises:
      ValueError: see sandbox.sharding.sharding_by_rules.
    """
    state = jax.eval_shape(stage.initial, *stage.given)
    if mesh is None:
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        return jax.tree.map(lambda leaf: here, (state, stage.data))
    return (sharding.sharding_by_rules(mesh, state, stage.state_rules),
            sharding.sharding_by_rules(mesh, stage.data, stage.data_rules))
