"""Runge–Kutta methods in which each stage looks along the slope of the one before, an evaluation at a time.

A step of several stages is laid out flat, so that a field that is a network is compiled once and not once a stage.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["EULER", "HEUN", "RK4", "Stages", "Standing", "advance", "in_dtype", "stages_of", "standing"]

EULER = ((0.0, 1.0),)
HEUN = ((0.0, 1 / 2), (1.0, 1 / 2))
RK4 = ((0.0, 1 / 6), (1 / 2, 1 / 3), (1 / 2, 1 / 3), (1.0, 1 / 6))
"""Stages (c, b): looks at t + c h, c h along the slope before; the step is h Σ b slope. Source: Hairer, Nørsett,
Wanner 1993, "Solving ordinary differential equations I", section II.1."""


class Stages(NamedTuple):
    """Arrays (M,), an evaluation after the other.

    at: where the field is asked for. share: b h. ahead: c h of the stage after it. ends: whether a step ends here.
    """

    at: jax.Array
    share: jax.Array
    ahead: jax.Array
    ends: jax.Array


class Standing(NamedTuple):
    """base: where the step began. gained: what its stages have added. point: where to look next. Pytrees alike."""

    base: Any
    gained: Any
    point: Any


def stages_of(begins: np.ndarray, ends: np.ndarray, methods: Sequence[tuple[tuple[float, float], ...]]) -> Stages:
    """The evaluations of steps from each of the begins to each of the ends.

    Args:
      begins, ends: (n,). methods: n of them, stages (c, b) each.
    Returns:
      Stages, on the host.

    >>> stages_of(np.array([1.0]), np.array([3.0]), [HEUN]).at.tolist()
    [1.0, 3.0]
    """
    rows = [(begin + c * (end - begin), b * (end - begin), after * (end - begin), k == len(method) - 1)
            for begin, end, method in zip(begins, ends, methods)
            for k, ((c, b), (after, _)) in enumerate(zip(method, (*method[1:], (0.0, 0.0))))]
    at, share, ahead, last = zip(*rows)
    return Stages(np.array(at), np.array(share), np.array(ahead), np.array(last))


def in_dtype(stages: Stages, dtype: Any) -> Stages:
    """As arrays of the dtype, for a scan; the last field stays what it is.

    >>> in_dtype(stages_of(np.array([1.0]), np.array([3.0]), [EULER]), jnp.float32).share
    Array([2.], dtype=float32)
    """
    at, share, ahead, ends = stages
    return Stages(jnp.asarray(at, dtype), jnp.asarray(share, dtype), jnp.asarray(ahead, dtype), jnp.asarray(ends))


def standing(start: Any) -> Standing:
    """Before the first stage.

    >>> standing(jnp.ones(2)).gained
    Array([0., 0.], dtype=float32)
    """
    return Standing(start, jax.tree.map(jnp.zeros_like, start), start)


def advance(before: Standing, slope: Any, stage: Stages) -> Standing:
    """After a stage, of which the slope was found at its point.

    Args:
      before: Standing. slope: a pytree like the point. stage: Stages of scalars, of the dtype of the point.
    Returns:
      Standing; where the stage ends its step, its point is where the step arrives.

    >>> stage = Stages(*(jnp.array(value) for value in (0.0, 0.5, 0.0, True)))  # half a unit of time along the slope
    >>> advance(standing(jnp.ones(2)), jnp.full(2, 4.0), stage).point
    Array([3., 3.], dtype=float32)
    """
    def of_leaf(base: jax.Array, gained: jax.Array, slope: jax.Array):
        gained = gained + stage.share * slope
        point = base + jnp.where(stage.ends, gained, stage.ahead * slope)
        return jnp.where(stage.ends, point, base), jnp.where(stage.ends, jnp.zeros_like(gained), gained), point

    leaves, structure = jax.tree.flatten(before.base)
    moved = map(of_leaf, leaves, jax.tree.leaves(before.gained), jax.tree.leaves(slope))
    return Standing(*(jax.tree.unflatten(structure, kind) for kind in zip(*moved)))
