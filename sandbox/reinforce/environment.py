"""An environment as pure functions: reset(key), step(state, action), with termination and truncation apart."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Box", "Discrete", "Environment", "EnvironmentState", "Outcome", "check_actions"]


class Discrete(NamedTuple):
    """Actions 0 to size − 1."""

    size: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one action."""
        return ()


class Box(NamedTuple):
    """Actions (len(low),), each number in [low, high]; beyond that an environment does what its docstring says."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def size(self) -> int:
        """Numbers in one action."""
        return len(self.low)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one action."""
        return (self.size,)


class EnvironmentState(NamedTuple):
    """x: what the dynamics know, any pytree. time: () int32, steps taken in this episode."""

    x: Any
    time: jax.Array


class Outcome(NamedTuple):
    """What a step leads to.

    state: EnvironmentState. observation: (D,) of that very state, also where the episode ends there. reward: ().
    terminated: () bool, the task has ended, and what follows is worth nothing. truncated: () bool, the clock ran out,
    and what would have followed is worth what it is worth.
    """

    state: EnvironmentState
    observation: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array


class Environment(NamedTuple):
    """A Markov decision process with a time limit, for one agent; vmap makes many.

    name: as gymnasium spells it where it has it. start: (key) -> x. advance: (x, action) -> (x, reward, terminated).
    observe: (x) -> (observation_size,). actions: Discrete or Box. max_episode_steps: the limit.

    >>> from sandbox.reinforce import CARTPOLE
    >>> state, observation = CARTPOLE.reset(jax.random.key(0))
    >>> outcome = CARTPOLE.step(state, jnp.array(1))
    >>> float(outcome.reward), bool(outcome.terminated), int(outcome.state.time)
    (1.0, False, 1)
    """

    name: str
    start: Callable[[jax.Array], Any]
    advance: Callable[[Any, jax.Array], tuple[Any, jax.Array, jax.Array]]
    observe: Callable[[Any], jax.Array]
    observation_size: int
    actions: Discrete | Box
    max_episode_steps: int

    def reset(self, key: jax.Array) -> tuple[EnvironmentState, jax.Array]:
        """The first state of an episode, and its observation."""
        x = self.start(key)
        return EnvironmentState(x, jnp.zeros((), jnp.int32)), self.observe(x)

    def step(self, state: EnvironmentState, action: jax.Array) -> Outcome:
        """What an action leads to. Nothing is reset: an episode that has ended is the caller's to begin anew.

        Args:
          state: from reset or step. action: () integer for Discrete, (A,) floating for Box. One that is none of a
            Discrete's is answered by a reward of NaN; `check_actions` refuses it, and what is beyond a Box.
        Returns:
          Outcome.
        Raises:
          TypeError: the action is not of that type.
          ValueError: nor of that shape.
        """
        action = jnp.asarray(action)
        _require_type(self, action)
        if action.shape != self.actions.shape:
            raise ValueError(f"an action of {self.name} must be {self.actions.shape}, got {action.shape}")
        x, reward, terminated = self.advance(state.x, action)
        if isinstance(self.actions, Discrete):
            reward = jnp.where((action >= 0) & (action < self.actions.size), reward, jnp.nan)
        time = state.time + 1
        return Outcome(EnvironmentState(x, time), self.observe(x), reward, terminated, time >= self.max_episode_steps)


def check_actions(environment: Environment, actions: Any) -> None:
    """Refuse actions that the environment does not have; for the host, on concrete arrays.

    Args:
      environment: whose. actions: (...) integer for Discrete, (..., A) floating for Box.
    Raises:
      TypeError: they are not of that type.
      ValueError: one is out of range or not finite, or the last axis is not that of the Box.

    >>> from sandbox.reinforce import CARTPOLE
    >>> check_actions(CARTPOLE, jnp.array([0, 1, 2]))
    Traceback (most recent call last):
    ValueError: actions of CartPole-v1 must be 0 to 1, got 2
    """
    name, space, actions = environment.name, environment.actions, np.asarray(actions)
    _require_type(environment, actions)
    if isinstance(space, Discrete):
        good, what = (actions >= 0) & (actions < space.size), f"0 to {space.size - 1}"
    else:
        if actions.shape[-1:] != space.shape:
            raise ValueError(f"actions of {name} must be (..., {space.size}), got {actions.shape}")
        low, high = (np.array(bound, actions.dtype) for bound in space)
        good, what = (actions >= low) & (actions <= high) & np.isfinite(actions), f"in {space.low} to {space.high}"
    if not good.all():
        raise ValueError(f"actions of {name} must be {what}, got {actions[~good][0]}")


def _require_type(environment: Environment, actions: Any) -> None:
    whole = isinstance(environment.actions, Discrete)
    wanted, what = (jnp.integer, "integers") if whole else (jnp.floating, "floating")
    if not jnp.issubdtype(actions.dtype, wanted):
        raise TypeError(f"actions of {environment.name} must be {what}, got {actions.dtype}")
