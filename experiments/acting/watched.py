"""A look back: what a run's parameters were early on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.reinforce import ActorCritic, Learner


class Watched(NamedTuple):
    """learner: under way. early: its parameters as they were after some batches."""

    learner: Learner
    early: ActorCritic


def at_first(learner: Learner) -> Watched:
    """A learner at its beginning, which is all there is to look back to."""
    return Watched(learner, jax.tree.map(jnp.copy, learner.params))


def watched(step: Callable[[Learner], tuple[Learner, Any]], *, at: int) -> Callable[[Watched], tuple[Watched, Any]]:
    """The same step, which keeps the parameters of the first `at` batches."""
    def both(before: Watched) -> tuple[Watched, Any]:
        learner, values = step(before.learner)
        early = jax.tree.map(lambda new, old: jnp.where(learner.step <= at, new, old), learner.params, before.early)
        return Watched(learner, early), values

    return both
