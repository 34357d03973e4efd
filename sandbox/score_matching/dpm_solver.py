"""DPM-Solver++(2M): the probability flow with its linear part solved exactly, and two denoisers' line for the rest."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.score_matching.levels import require_levels
from sandbox.score_matching.sampled import Sampled, begin, score_at

__all__ = ["dpm_solver_2m"]


def dpm_solver_2m(key: jax.Array, shape: tuple[int, ...], *, score_fn: Callable[..., jax.Array], levels: np.ndarray,
                  start: jax.Array | None = None) -> Sampled:
    """The flow of the denoiser D = x + σ² s, held to the line through its last two values in λ = −log σ.

    x_{i+1} = σ_{i+1}/σ_i x_i + (1 − σ_{i+1}/σ_i) (D_i + h_i / (2 h_{i−1}) (D_i − D_{i−1})),   h_i = λ_{i+1} − λ_i;
    the first step, and one to 0, by D_i alone. One evaluation a step; second order.

    Args:
      key: PRNG key. shape: (N, ...). score_fn: (x, level (N,)) -> (N, ...).
      levels: (n + 1,) falling, the last may be 0, in the units of x. start: x at levels[0], (N, ...); None for noise.
    Returns:
      Sampled.
    Raises:
      TypeError: levels are traced.
      ValueError: levels are fewer than two, not falling, or not above 0 but for the last.
      ValueError: shape has no axis of rows, or start another shape.
      ValueError: score_fn does not return the shape of x.
    Source: Lu et al. 2022, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models",
      algorithm 2, for α = 1.

    >>> drawn = dpm_solver_2m(jax.random.key(0), (1, 2), score_fn=lambda x, level: (3 - x) / level[:, None] ** 2,
    ...                       levels=np.array([9.0, 1.0]), start=jnp.full((1, 2), 12.0))  # data that are all 3
    >>> drawn.samples.round(4)  # 9 away at level 9, and 1 at level 1
    Array([[4., 4.]], dtype=float32)
    """
    levels = require_levels(levels)
    of_start, _ = jax.random.split(key)
    first = begin(of_start, shape, levels[0], start)
    table = (jnp.asarray(column, first.dtype) for column in (levels[:-1], levels[1:] / levels[:-1], _lines(levels)))

    def step(carry: tuple[jax.Array, jax.Array], now: tuple[jax.Array, ...]):
        x, before = carry
        level, keep, line = now
        denoised = x + level**2 * score_at(score_fn, x, level)
        x = keep * x + (1 - keep) * (denoised + line * (denoised - before))
        return (x, denoised), x

    (samples, _), visited = jax.lax.scan(step, (first, jnp.zeros_like(first)), tuple(table))
    return Sampled(samples, jnp.concatenate([first[None], visited]))


def _lines(levels: np.ndarray) -> np.ndarray:
    """h_i / (2 h_{i−1}); 0 where there is no value before, and to 0, where h_i has no end."""
    positive = levels[levels > 0]
    h = -np.diff(np.log(positive))
    lines = np.zeros(len(levels) - 1)
    lines[1:len(h)] = h[1:] / (2 * h[:-1])
    return lines
