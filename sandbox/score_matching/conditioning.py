"""Scores made to obey: by a class, more or less, and by what was seen of the data."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

__all__ = ["guided", "inpainted"]

ScoreFn = Callable[[jax.Array, jax.Array], jax.Array]


def guided(score_fn: ScoreFn, unconditional: ScoreFn, weight: float | jax.Array) -> ScoreFn:
    """Classifier-free guidance: s_∅ + w (s_c − s_∅).

    At each level the score of p_c^w p_∅^(1−w), which is not the noising of that of the data, except where both are
    Gaussians of one covariance: then of N(m_∅ + w (m_c − m_∅), ·). w = 0: unconditional; 1: conditional.

    Args:
      score_fn: s_c, (x, level (N,)) -> (N, *shape), its condition bound. unconditional: s_∅, the same without.
      weight: w, a number.
    Returns:
      (x, level) -> (N, *shape), for any sampler.
    Raises:
      ValueError: when called, the two scores differ in shape.
    Source: Ho, Salimans 2022, "Classifier-free diffusion guidance", eq. 6, whose weight is w − 1.

    >>> score_fn = guided(lambda x, level: 1 - x, lambda x, level: -x, 3.0)
    >>> score_fn(jnp.zeros((1, 2)), jnp.ones(1))
    Array([[3., 3.]], dtype=float32)
    """
    def of_both(x: jax.Array, level: jax.Array) -> jax.Array:
        without, given = unconditional(x, level), score_fn(x, level)
        if without.shape != given.shape:
            raise ValueError(f"unconditional must return the shape of score_fn, {given.shape}, got {without.shape}")
        return without + weight * (given - without)

    return of_both


def inpainted(score_fn: ScoreFn, observed: jax.Array, mask: jax.Array, sigma_data: float) -> ScoreFn:
    """The score of data of which some numbers were seen, guided through the denoiser D(x) = x + σ² s(x).

    s(x) + ∇_x log N(observed; D(x), r² I) over what was seen,   r² = σ² σ_d² / (σ² + σ_d²).

    Exact for data N(m, σ_d² I): there what was seen has the score (observed − x) / σ², and the rest its own.

    Args:
      score_fn: s, (x, level (N,)) -> (N, *shape). observed: (N, *shape); may hold anything where not seen.
      mask: (N, *shape), true or above 0 where seen. sigma_data: σ_d > 0, in the units of x.
    Returns:
      (x, level) -> (N, *shape), for any sampler; one evaluation of the score and its transpose.
    Raises:
      ValueError: mask has another shape than observed.
      ValueError: sigma_data is not above 0.
      ValueError: when called, x has another shape than observed.
      ValueError: when called, score_fn does not return the shape of x.
    Source: Song, Vahdat, Mardani, Kautz 2023, "Pseudoinverse-guided diffusion models for inverse problems", section
      3, of no noise in what was seen.

    >>> of_normal = lambda x, level: -x / (1 + level[:, None] ** 2)
    >>> score_fn = inpainted(of_normal, jnp.array([[5.0, jnp.nan]]), jnp.array([[True, False]]), 1.0)
    >>> score_fn(jnp.ones((1, 2)), jnp.ones(1))  # (5 − 1) / 1², and −1 / (1 + 1²)
    Array([[ 4. , -0.5]], dtype=float32)
    """
    if mask.shape != observed.shape:
        raise ValueError(f"mask must have the shape of observed, {observed.shape}, got {mask.shape}")
    if not sigma_data > 0:
        raise ValueError(f"sigma_data must be above 0, got {sigma_data}")

    def of_seen(x: jax.Array, level: jax.Array) -> jax.Array:
        if x.shape != observed.shape:
            raise ValueError(f"observed must have the shape of x, {x.shape}, got {observed.shape}")
        score, pull = jax.vjp(lambda x: score_fn(x, level), x)
        if score.shape != x.shape:
            raise ValueError(f"score_fn must return the shape of x, {x.shape}, got {score.shape}")
        variance = jnp.reshape(level, (-1, *[1] * (x.ndim - 1))) ** 2
        missed = jnp.where(mask > 0, jnp.asarray(observed, x.dtype) - (x + variance * score), 0)
        pulled = missed * (1 / variance + 1 / sigma_data**2)
        return score + pulled + variance * pull(pulled)[0]

    return of_seen
