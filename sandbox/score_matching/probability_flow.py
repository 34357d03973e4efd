"""The probability flow's ordinary differential equation: the same marginals without noise, by Heun's method."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.score_matching.levels import require_levels
from sandbox.score_matching.runge_kutta import EULER, HEUN, Stages, Standing, advance, in_dtype, stages_of, standing
from sandbox.score_matching.sampled import Sampled, begin, score_at

__all__ = ["heun"]


def heun(key: jax.Array, shape: tuple[int, ...], *, score_fn: Callable[..., jax.Array], levels: np.ndarray,
         start: jax.Array | None = None, churn: float = 0.0) -> Sampled:
    """dx/dσ = −σ s(x, σ) by Heun's method, a step to level 0 by Euler's, for there the flow is not asked.

    With churn S each step begins by noise that lifts σ to σ̂ = (1 + min(S/n, √2 − 1)) σ.

    Two evaluations a step, one to level 0: 35 for 18 levels and 0. Second order.

    Args:
      key: PRNG key. shape: (N, ...). score_fn: (x, level (N,)) -> (N, ...).
      levels: (n + 1,) falling, the last may be 0, in the units of x. start: x at levels[0], (N, ...); None for noise.
      churn: S >= 0; with 0 nothing is random but the start.
    Returns:
      Sampled.
    Raises:
      TypeError: levels are traced.
      ValueError: levels are fewer than two, not falling, or not above 0 but for the last.
      ValueError: churn is below 0.
      ValueError: shape has no axis of rows, or start another shape.
      ValueError: score_fn does not return the shape of x.
    Source: Karras et al. 2022, "Elucidating the design space of diffusion-based generative models", algorithms 1 and
      2, of S_noise = 1 and all levels between S_tmin and S_tmax.

    >>> drawn = heun(jax.random.key(0), (1, 2), score_fn=lambda x, level: (3 - x) / level[:, None] ** 2,
    ...              levels=np.array([9.0, 1.0]), start=jnp.full((1, 2), 12.0))  # data that are all 3
    >>> drawn.samples.round(4)  # 9 away at level 9, and 1 at level 1
    Array([[4., 4.]], dtype=float32)
    """
    levels = require_levels(levels)
    if not 0 <= churn < math.inf:
        raise ValueError(f"churn must be at least 0, got {churn}")
    above, below = levels[:-1], levels[1:]
    lifted = above * (1 + min(churn / len(above), math.sqrt(2) - 1))
    stages = stages_of(lifted, below, [HEUN if level > 0 else EULER for level in below])
    kicks = np.zeros(len(stages.ends))
    kicks[np.append(True, stages.ends[:-1])] = np.sqrt(lifted**2 - above**2)
    of_start, of_noise = jax.random.split(key)
    first = begin(of_start, shape, levels[0], start)

    def evaluate(now: Standing, what: tuple[Stages, jax.Array, jax.Array]) -> tuple[Standing, jax.Array]:
        stage, kick, of_kick = what
        if churn:  # base and point are one where a step begins, and the kick is 0 elsewhere
            noise = kick * jax.random.normal(of_kick, first.shape, first.dtype)
            now = now._replace(base=now.base + noise, point=now.point + noise)
        slope = -stage.at * score_at(score_fn, now.point, stage.at)
        now = advance(now, slope, stage)
        return now, now.point

    what = (in_dtype(stages, first.dtype), jnp.asarray(kicks, first.dtype), jax.random.split(of_noise, len(kicks)))
    end, visited = jax.lax.scan(evaluate, standing(first), what)
    return Sampled(end.point, jnp.concatenate([first[None], visited[np.flatnonzero(stages.ends)]]))
