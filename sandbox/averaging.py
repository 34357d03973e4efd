"""Averaged weights: what a run learned, without the noise of its last steps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Averaged", "averaged", "with_average"]


class Averaged(NamedTuple):
    """state: of a run, with params and step. average: of its parameters, of the same structure."""

    state: Any
    average: Any


def with_average(state: Any) -> Averaged:
    """A state, with its parameters as the average to begin with.

    >>> import collections
    >>> State = collections.namedtuple("State", ("params", "step"))
    >>> with_average(State(jnp.ones(2), jnp.array(0))).average
    Array([1., 1.], dtype=float32)
    """
    return Averaged(state, jax.tree.map(jnp.copy, state.params))


def averaged(step: Callable[..., tuple[Any, Any]], *, decay: float) -> Callable[..., tuple[Averaged, Any]]:
    """The same step, which keeps an exponential moving average of its parameters.

    w̄_t = λ_t w̄_{t−1} + (1 − λ_t) w_t,   λ_t = min(λ, 1 − 1/t): the plain mean until that is as long as the memory
    of λ, 1/(1 − λ) steps.

    Args:
      step: (state, *data) -> (state, metrics), of a state with params and step, the number of steps done.
      decay: λ, in [0, 1).
    Returns:
      step(Averaged, *data) -> (Averaged, metrics).
    Raises:
      ValueError: decay is not in [0, 1).
    Source: Polyak, Juditsky 1992; Tarvainen, Valpola 2017.

    >>> import collections
    >>> State = collections.namedtuple("State", ("params", "step"))
    >>> step = averaged(lambda state: (State(state.params + 1, state.step + 1), None), decay=0.5)
    >>> step(step(with_average(State(jnp.array(0.0), jnp.array(0))))[0])[0].average
    Array(1.5, dtype=float32)
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be in [0, 1), got {decay}")

    def both(before: Averaged, *data) -> tuple[Averaged, Any]:
        state, metrics = step(before.state, *data)
        share = jnp.maximum(1 - decay, 1 / state.step)
        average = jax.tree.map(lambda mean, new: mean + share.astype(mean.dtype) * (new - mean),
                               before.average, state.params)
        return Averaged(state, average), metrics

    return both
