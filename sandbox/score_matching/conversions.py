"""One score in the forms that the field trains: denoiser, noise, velocity; and networks made into scores."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sandbox.score_matching.processes import Process, drift_and_diffusion, per_row

__all__ = [
    "denoised_of_score", "in_process", "noise_of_score", "preconditioned", "score_of_denoised", "score_of_noise",
    "score_of_velocity", "velocity_of_score",
]


def denoised_of_score(score: jax.Array, x: jax.Array, sigma: jax.Array | float, alpha: jax.Array | float = 1.0
                      ) -> jax.Array:
    """Tweedie's formula: E[x | x_t] = (x_t + σ² s) / α.

    Args:
      score: s at x_t, (N, *shape), in 1 / units of x. x: x_t, same shape. sigma, alpha: (N,), or one for all.
    Returns:
      (N, *shape), in the units of x.
    Source: Robbins 1956; Efron 2011, "Tweedie's formula and selection bias", eq. 1.2.

    >>> denoised_of_score(-jnp.ones((1, 2)), jnp.ones((1, 2)), 0.5)
    Array([[0.75, 0.75]], dtype=float32)
    """
    return (x + per_row(sigma, x) ** 2 * score) / per_row(alpha, x)


def score_of_denoised(denoised: jax.Array, x: jax.Array, sigma: jax.Array | float, alpha: jax.Array | float = 1.0
                      ) -> jax.Array:
    """s = (α E[x | x_t] − x_t) / σ².

    Args:
      denoised: (N, *shape). x: x_t, same shape. sigma, alpha: (N,), or one for all.
    Returns:
      (N, *shape), in 1 / units of x.
    Source: Efron 2011, eq. 1.2; Karras et al. 2022, eq. 3.

    >>> score_of_denoised(jnp.full((1, 2), 0.75), jnp.ones((1, 2)), 0.5)
    Array([[-1., -1.]], dtype=float32)
    """
    return (per_row(alpha, x) * denoised - x) / per_row(sigma, x) ** 2


def noise_of_score(score: jax.Array, sigma: jax.Array | float) -> jax.Array:
    """E[ε | x_t] = −σ s.

    Args:
      score: (N, *shape), in 1 / units of x. sigma: (N,), or one for all.
    Returns:
      (N, *shape), dimensionless.
    Source: Song et al. 2021, "Score-based generative modeling", section 3.2 and appendix C; Ho et al. 2020, "DDPM".

    >>> noise_of_score(-jnp.ones((1, 2)), 0.5)
    Array([[0.5, 0.5]], dtype=float32)
    """
    return -per_row(sigma, score) * score


def score_of_noise(noise: jax.Array, sigma: jax.Array | float) -> jax.Array:
    """s = −E[ε | x_t] / σ.

    Args:
      noise: (N, *shape), dimensionless. sigma: (N,), or one for all.
    Returns:
      (N, *shape), in 1 / units of x.
    Source: as of `noise_of_score`.

    >>> score_of_noise(jnp.ones((1, 2)), 0.5)
    Array([[-2., -2.]], dtype=float32)
    """
    return -noise / per_row(sigma, noise)


def velocity_of_score(score: jax.Array, x: jax.Array, time: jax.Array, process: Process) -> jax.Array:
    """The probability flow's velocity, which is E[α' x + σ' ε | x_t]: v = f x_t − ½ g² s.

    Args:
      score: s at x_t, (N, *shape). x: x_t, same shape. time: (N,), or one for all. process: of f and g².
    Returns:
      (N, *shape), units of x per unit of time.
    Source: Song et al. 2021, "Score-based generative modeling", eq. 13.

    >>> from sandbox.score_matching.processes import linear_path
    >>> velocity_of_score(-jnp.ones((1, 2)), jnp.ones((1, 2)), jnp.array([0.5]), linear_path())
    Array([[-1., -1.]], dtype=float32)
    """
    f, g2 = drift_and_diffusion(process, time)
    return per_row(f, x) * x - 0.5 * per_row(g2, x) * score


def score_of_velocity(velocity: jax.Array, x: jax.Array, time: jax.Array, process: Process) -> jax.Array:
    """s = 2 (f x_t − v) / g².

    Args:
      velocity: (N, *shape). x: x_t, same shape. time: (N,), or one for all. process: of f and g².
    Returns:
      (N, *shape), in 1 / units of x.
    Source: Song et al. 2021, "Score-based generative modeling", eq. 13.

    >>> from sandbox.score_matching.processes import linear_path
    >>> score_of_velocity(-jnp.ones((1, 2)), jnp.ones((1, 2)), jnp.array([0.5]), linear_path())
    Array([[-1., -1.]], dtype=float32)
    """
    f, g2 = drift_and_diffusion(process, time)
    return 2 * (per_row(f, x) * x - velocity) / per_row(g2, x)


def in_process(score_fn: Callable[..., jax.Array], process: Process) -> Callable[..., jax.Array]:
    """From a score that knows levels the score of any process: x_t / α is the data with noise of level σ / α.

    s_t(x) = s(x / α, σ / α) / α.

    Args:
      score_fn: (params, x, level, *conditions) -> (N, *shape), of α = 1. process: α, σ.
    Returns:
      (params, x, time, *conditions) -> (N, *shape).

    >>> from sandbox.score_matching.processes import linear_path
    >>> of_normal = in_process(lambda params, x, level: -x / (1 + level[:, None] ** 2), linear_path())
    >>> of_normal(None, jnp.ones((1, 2)), jnp.array([0.5]))
    Array([[-2., -2.]], dtype=float32)
    """
    def of_process(params: Any, x: jax.Array, time: jax.Array, *conditions: jax.Array) -> jax.Array:
        alpha, sigma = process.scale(time), process.level(time)
        return score_fn(params, x / per_row(alpha, x), sigma / alpha, *conditions) / per_row(alpha, x)

    return of_process


def preconditioned(apply_fn: Callable[..., jax.Array], sigma_data: float, mean: float | jax.Array = 0.0
                   ) -> Callable[..., jax.Array]:
    """A score from a network whose input and target have variance 1 at every level: EDM's, told as a score.

    s = −(x − m) / (σ² + σ_d²) + σ_d F(c_in (x − m), ¼ log σ) / (σ √(σ² + σ_d²)),   c_in = 1 / √(σ² + σ_d²).

    With F = 0 it is the score of N(m, (σ_d² + σ²) I). Written so, nothing large is taken from what is large.

    Args:
      apply_fn: F, (params, (N, *shape), (N,), *conditions) -> (N, *shape).
      sigma_data: σ_d > 0, standard deviation of a number of the data. mean: m, a number or (*shape).
    Returns:
      (params, x, level, *conditions) -> (N, *shape), in 1 / units of x.
    Raises:
      ValueError: sigma_data is not above 0.
    Source: Karras et al. 2022, eq. 7 and table 1.

    >>> score_fn = preconditioned(lambda params, x, noise: jnp.zeros_like(x), 3.0)
    >>> score_fn(None, jnp.ones((1, 2)), jnp.array([4.0]))
    Array([[-0.04, -0.04]], dtype=float32)
    """
    if not sigma_data > 0:
        raise ValueError(f"sigma_data must be above 0, got {sigma_data}: data of zero variance have no score")

    def score_fn(params: Any, x: jax.Array, level: jax.Array, *conditions: jax.Array) -> jax.Array:
        sigma = per_row(level, x)
        away = x - (mean if jnp.ndim(mean) == 0 else jnp.asarray(mean, x.dtype)[None])
        spread = jnp.sqrt(sigma**2 + sigma_data**2)
        output = apply_fn(params, away / spread, jnp.log(level) / 4, *conditions)
        return (sigma_data / sigma * output - away / spread) / spread

    return score_fn
