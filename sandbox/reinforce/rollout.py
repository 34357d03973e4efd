"""Experience: environments side by side, under way without end, or one whole episode each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.reinforce.distributions import Distribution
from sandbox.reinforce.environment import Environment, EnvironmentState

__all__ = ["Steps", "UnderWay", "acting_by", "begin", "play_episodes", "unroll"]

Act = Callable[[jax.Array, Any], jax.Array]


class UnderWay(NamedTuple):
    """E environments in the middle of their episodes.

    states: EnvironmentState. observations: (E, D), of those. returns: (E,), the rewards of the episodes so far.
    """

    states: EnvironmentState
    observations: jax.Array
    returns: jax.Array


class Steps(NamedTuple):
    """T steps of E environments.

    observations: (T, E, D). actions: (T, E) or (T, E, A). rewards: (T, E). next_observations: (T, E, D), of the state
    that the step led to, also where the episode ended there. terminated, truncated: (T, E) bool. returns: (T, E), the
    rewards of the episode, with this step's. weights: (T, E), 1; 0 for what lies behind the end of an episode that no
    other follows.
    """

    observations: jax.Array
    actions: jax.Array
    rewards: jax.Array
    next_observations: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    returns: jax.Array
    weights: jax.Array


def begin(key: jax.Array, environment: Environment, *, num: int) -> UnderWay:
    """Environments at the beginning of their first episodes.

    >>> from sandbox.reinforce import CARTPOLE
    >>> begin(jax.random.key(0), CARTPOLE, num=3).observations.shape
    (3, 4)
    """
    return _begun(environment, jax.random.split(key, num))


def acting_by(policy: Callable[[jax.Array], Any], distribution: Distribution, environment: Environment) -> Act:
    """Act by drawing from a policy's heads.

    Args:
      policy: (observations) -> heads. distribution: what they mean. environment: whose actions they are of.
    Returns:
      (observations, noise) -> actions, for `unroll` and `play_episodes`; the noise is the distribution's.
    Raises:
      ValueError: when it acts, where heads do not fit the environment's actions.

    >>> from sandbox.reinforce import CARTPOLE, CATEGORICAL
    >>> acting_by(lambda observations: jnp.zeros((1, 3)), CATEGORICAL, CARTPOLE)(jnp.zeros((1, 4)), jnp.zeros(1))
    Traceback (most recent call last):
    ValueError: heads of a policy for CartPole-v1 must be (..., 2), got (1, 3)
    """
    def act(observations: jax.Array, noise: Any) -> jax.Array:
        heads = policy(observations)
        for leaf in jax.tree.leaves(heads):
            if leaf.shape[-1:] != (environment.actions.size,):
                raise ValueError(f"heads of a policy for {environment.name} must be (..., {environment.actions.size}), "
                                 f"got {leaf.shape}")
        return distribution.sample(heads, noise)

    return act


def unroll(key: jax.Array, environment: Environment, act: Act, start: UnderWay, noise: Any
           ) -> tuple[UnderWay, Steps]:
    """T steps of E environments, each of which begins anew when its episode has ended.

    Args:
      key: of the resets. act: (observations (E, D), noise of one step) -> actions. start: where they are.
      noise: (T, E, ...), what the actions are drawn with.
    Returns:
      Where they are then, and Steps.

    >>> from sandbox.reinforce import CARTPOLE
    >>> start = begin(jax.random.key(0), CARTPOLE, num=3)
    >>> always_right = lambda observations, noise: jnp.ones(3, int)
    >>> _, steps = jax.jit(lambda: unroll(jax.random.key(1), CARTPOLE, always_right, start, jnp.zeros((20, 3))))()
    >>> bool(steps.terminated.any()), float(steps.rewards.sum())
    (True, 60.0)
    """
    length, num = jax.tree.leaves(noise)[0].shape[:2]
    fresh = jax.vmap(lambda keys: _begun(environment, keys))(jax.random.split(key, (length, num)))

    def step(at: UnderWay, drawn: Any) -> tuple[UnderWay, Steps]:
        noise, fresh = drawn
        after, steps = _taken(environment, at, act(at.observations, noise))
        ended = steps.terminated | steps.truncated
        return jax.tree.map(
            lambda new, old: jnp.where(jax.lax.broadcast_in_dim(ended, new.shape, (0,)), new, old), fresh, after), steps

    return jax.lax.scan(step, start, (noise, fresh))


def play_episodes(key: jax.Array, environment: Environment, act: Act, noise: Any) -> Steps:
    """One whole episode of each of E environments; behind its end, weights and rewards are 0, and terminated is True.

    Args:
      key: of the resets. act: see `unroll`. noise: (T, E, ...), T at least the environment's limit for all to end.
    Returns:
      Steps.

    >>> from sandbox.reinforce import CARTPOLE
    >>> always_right = lambda observations, noise: jnp.ones(3, int)
    >>> steps = jax.jit(lambda: play_episodes(jax.random.key(1), CARTPOLE, always_right, jnp.zeros((20, 3))))()
    >>> bool((steps.weights.sum(axis=0) == steps.rewards.sum(axis=0)).all()), int(steps.weights.sum()) < 60
    (True, True)
    """
    start = begin(key, environment, num=jax.tree.leaves(noise)[0].shape[1])

    def step(carry: tuple[UnderWay, jax.Array], noise: Any) -> tuple[tuple[UnderWay, jax.Array], Steps]:
        at, over = carry
        after, steps = _taken(environment, at, act(at.observations, noise))
        masked = steps._replace(rewards=jnp.where(over, 0, steps.rewards), terminated=steps.terminated | over,
                                truncated=steps.truncated & ~over, returns=jnp.where(over, at.returns, steps.returns),
                                weights=jnp.where(over, 0, steps.weights))
        return (after._replace(returns=masked.returns), over | steps.terminated | steps.truncated), masked

    return jax.lax.scan(step, (start, jnp.zeros(start.observations.shape[0], bool)), noise)[1]


def _begun(environment: Environment, keys: jax.Array) -> UnderWay:
    states, observations = jax.vmap(environment.reset)(keys)
    return UnderWay(states, observations, jnp.zeros(keys.shape, observations.dtype))


def _taken(environment: Environment, at: UnderWay, actions: jax.Array) -> tuple[UnderWay, Steps]:
    """One step of each, nothing reset."""
    after = jax.vmap(environment.step)(at.states, actions)
    returns = at.returns + after.reward
    steps = Steps(at.observations, actions, after.reward, after.observation, after.terminated, after.truncated, returns,
                  jnp.ones_like(returns))
    return UnderWay(after.state, after.observation, returns), steps
