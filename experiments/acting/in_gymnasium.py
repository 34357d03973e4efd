"""A policy at play in gymnasium's own environments."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import numpy as np

from experiments.runner.errors import UserError
from sandbox.reinforce import Discrete, Environment


def play(name: str, act: Callable[[np.ndarray], np.ndarray], *, episodes: int, seed: int) -> np.ndarray:
    """Undiscounted returns (episodes,), of one episode each of as many environments, in lockstep.

    Args:
      name: gymnasium's, of an environment with a limit of steps. act: (observations (episodes, D) float32) -> actions,
        (episodes,) integer for a Discrete, (episodes, A) floating for a Box, which are clipped to its bounds. It is
        shown the last observations of episodes that are over too, so that it is always called with one shape.
    Raises:
      UserError: gymnasium cannot make the environment, it has no time limit, or a return is not finite.
    """
    environments = [_made(name) for _ in range(episodes)]
    if environments[0].spec.max_episode_steps is None:
        raise UserError(f"gymnasium's {name} has no limit of steps: its episodes might never end")
    seeds = np.random.SeedSequence(seed).generate_state(episodes).tolist()
    first = [environment.reset(seed=seed)[0] for environment, seed in zip(environments, seeds)]
    observations, returns, going = np.stack(first).astype(np.float32), np.zeros(episodes), set(range(episodes))
    while going:
        actions = _within(environments[0].action_space, act(observations))
        for number in sorted(going):
            observations[number], reward, terminated, truncated, _ = environments[number].step(actions[number])
            returns[number] += reward
            if terminated or truncated:
                going.remove(number)
    for environment in environments:
        environment.close()
    if not np.isfinite(returns).all():
        raise UserError(f"returns must be finite, but of gymnasium's {name} one is {returns[~np.isfinite(returns)][0]}")
    return returns


def require_matching(name: str, environment: Environment) -> None:
    """Refuse an environment of gymnasium in which a policy for `environment` cannot act: it must show a Box of as many
    numbers, and take a Discrete that counts from 0 to the same number, or a Box of the same shape.

    Raises:
      UserError: the two do not fit, or gymnasium cannot make the one of that name.
    """
    made, actions = _made(name), environment.actions
    theirs = _words(made.observation_space), _words(made.action_space)
    made.close()
    ours = (f"Box({environment.observation_size},)",
            f"Discrete({actions.size})" if isinstance(actions, Discrete) else f"Box{actions.shape}")
    if theirs != ours:
        raise UserError(f"gymnasium's {name} shows {theirs[0]} and takes {theirs[1]}, but a policy for "
                        f"{environment.name} must be shown {ours[0]} and acts in {ours[1]}")


def _made(name: str) -> Any:
    gymnasium = _gymnasium()
    try:
        return gymnasium.make(name)
    except (gymnasium.error.Error, ImportError) as error:
        close = [] if name in gymnasium.registry else get_close_matches(name, gymnasium.registry)
        hint = f"; close to it: {', '.join(close)}" if close else ""
        raise UserError(f"gymnasium cannot make {name!r}: {str(error).rstrip('.')}{hint}") from error


def _gymnasium() -> Any:
    try:
        import gymnasium
    except ImportError:
        raise UserError("gymnasium is not installed: pip install -e '.[gym]'") from None
    return gymnasium


def _within(space: Any, actions: np.ndarray) -> np.ndarray:
    actions = np.asarray(actions)
    return np.clip(actions, space.low, space.high).astype(space.dtype) if _is_box(space) else actions


def _words(space: Any) -> str:
    return f"Box{space.shape}" if _is_box(space) else str(space)


def _is_box(space: Any) -> bool:
    return isinstance(space, _gymnasium().spaces.Box)
