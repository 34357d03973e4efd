"""Ancestral sampling: from each level to the next by the posterior of the level below, as DDPM does."""

from collections.abc import Callable

import jax
import numpy as np

from sandbox.score_matching.levels import require_levels
from sandbox.score_matching.sampled import Moves, Sampled, begin, walk

__all__ = ["ancestral"]


def ancestral(key: jax.Array, shape: tuple[int, ...], *, score_fn: Callable[..., jax.Array], levels: np.ndarray,
              start: jax.Array | None = None) -> Sampled:
    """Draws of q(x_σ' | x_σ, x̂), x̂ what the denoiser sees in x_σ, from each level σ to the next, σ'.

    x' = x + (σ² − σ'²) s(x, σ) + σ' √(σ² − σ'²) / σ z;   to σ' = 0, x' = x̂ and no noise.

    One evaluation a step.

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
    Source: Ho, Jain, Abbeel 2020, "Denoising diffusion probabilistic models", eq. 6 and 7; in levels of α = 1, Song et
      al. 2021, "Score-based generative modeling through stochastic differential equations", eq. 47.

    >>> drawn = ancestral(jax.random.key(0), (1, 2), score_fn=lambda x, level: (3 - x) / level[:, None] ** 2,
    ...                   levels=np.array([9.0, 1.0, 0.0]))  # data that are all 3
    >>> drawn.samples.round(4), drawn.path.shape
    (Array([[3., 3.]], dtype=float32), (3, 1, 2))
    """
    levels = require_levels(levels)
    above, below = levels[:-1], levels[1:]
    gain = above**2 - below**2
    of_start, of_noise = jax.random.split(key)
    return walk(of_noise, begin(of_start, shape, levels[0], start), score_fn=score_fn,
                moves=Moves(above, np.ones_like(above), gain, below * np.sqrt(gain) / above))
