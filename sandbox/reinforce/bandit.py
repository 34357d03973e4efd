"""A bandit: one decision among K arms, each of which pays its mean and unit noise."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from sandbox.reinforce.environment import Discrete, Environment

__all__ = ["BANDIT", "bandit_of"]

MEANS = (0.0, 0.5, 1.0, -1.0)


def bandit_of(name: str, means: Sequence[float]) -> Environment:
    """An episode is one step: the reward is means[action] + N(0, 1); nothing is observed but a constant 1.

    Args:
      name: its name. means: of the K arms.
    Returns:
      Environment, whose x is the key of its noise.

    >>> environment = bandit_of("two arms", (-100.0, 100.0))
    >>> state, observation = environment.reset(jax.random.key(0))
    >>> outcome = environment.step(state, jnp.array(1))
    >>> observation.tolist(), bool(outcome.reward > 90), bool(outcome.terminated)
    ([1.0], True, True)
    """
    means = tuple(means)

    def advance(key, action):
        return key, jnp.array(means)[action] + jax.random.normal(key), jnp.ones((), bool)

    return Environment(name, lambda key: key, advance, lambda key: jnp.ones(1), 1, Discrete(len(means)), 1)


BANDIT = bandit_of("bandit", MEANS)
