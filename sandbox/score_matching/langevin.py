"""Annealed Langevin dynamics: many small steps at each level, the levels falling."""

from collections.abc import Callable

import jax
import numpy as np

from sandbox.score_matching.levels import require_levels
from sandbox.score_matching.sampled import Moves, Sampled, begin, walk

__all__ = ["annealed_langevin"]


def annealed_langevin(key: jax.Array, shape: tuple[int, ...], *, score_fn: Callable[..., jax.Array],
                      levels: np.ndarray, start: jax.Array | None = None, steps_per_level: int = 10,
                      step_ratio: float = 0.2) -> Sampled:
    """Langevin dynamics at each level below the first, its step in proportion to the level's variance.

    x ← x + a/2 s(x, σ) + √a z,   a = r σ²,   T times at each level;   to level 0, x ← x + σ² s(x, σ) from the level
    before it, and no noise.

    T evaluations a level, one to level 0.

    Args:
      key: PRNG key. shape: (N, ...). score_fn: (x, level (N,)) -> (N, ...).
      levels: (n + 1,) falling, the last may be 0, in the units of x. start: x at levels[0], (N, ...); None for noise.
      steps_per_level: T >= 1. step_ratio: r in (0, 4), above which the dynamics diverge; NCSN's ε over the square of
        the last level. The variance at a level comes out at up to 1 / (1 − r/4) of what it should be.
    Returns:
      Sampled, its path told at the end of each level.
    Raises:
      TypeError: levels are traced.
      ValueError: levels are fewer than two, not falling, or not above 0 but for the last.
      ValueError: steps_per_level is below 1.
      ValueError: step_ratio is not in (0, 4).
      ValueError: shape has no axis of rows, or start another shape.
      ValueError: score_fn does not return the shape of x.
    Source: Song, Ermon 2019, "Generative modeling by estimating gradients of the data distribution", algorithm 1; the
      step to 0, Jolicoeur-Martineau et al. 2021, "Adversarial score matching and improved sampling", section 3.1.

    >>> drawn = annealed_langevin(jax.random.key(0), (1, 2), score_fn=lambda x, level: (3 - x) / level[:, None] ** 2,
    ...                           levels=np.array([9.0, 1.0, 0.0]))  # data that are all 3
    >>> drawn.samples.round(4), drawn.path.shape
    (Array([[3., 3.]], dtype=float32), (3, 1, 2))
    """
    levels = require_levels(levels)
    if not steps_per_level >= 1:
        raise ValueError(f"steps_per_level must be at least 1, got {steps_per_level}")
    if not 0 < step_ratio < 4:
        raise ValueError(f"step_ratio must be in (0, 4), got {step_ratio}")
    noisy = levels[1:][levels[1:] > 0]
    at, size = np.repeat(noisy, steps_per_level), step_ratio * np.repeat(noisy, steps_per_level) ** 2
    gain, spread = size / 2, np.sqrt(size)
    ends = steps_per_level * np.arange(1, len(noisy) + 1) - 1
    if levels[-1] == 0:
        last = levels[-2]
        at, gain, spread = np.append(at, last), np.append(gain, last**2), np.append(spread, 0)
        ends = np.append(ends, len(at) - 1)
    of_start, of_noise = jax.random.split(key)
    return walk(of_noise, begin(of_start, shape, levels[0], start), score_fn=score_fn,
                moves=Moves(at, np.ones_like(at), gain, spread), ends=ends)
