"""Counts made continuous by uniform noise, and the score of a network that says which count is likely.

Pixels are whole numbers k; k + U, U uniform on [0, 1), has a density whose nats bound those of k. What its noised
density looks like within a bin is known exactly. So the network has but to tell the bins' probabilities, and its
denoiser is a mean over bins of a truncated normal's, which are written out here.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr

__all__ = ["bin_evidence", "bin_slopes", "binned", "dequantised"]


def dequantised(counts: jax.Array, uniform: jax.Array) -> jax.Array:
    """y = k + u: its density q satisfies P(k) = ∫ q(k + u) du, so E_u[log q(k + u)] <= log P(k).

    Args:
      counts: whole numbers of any dtype. uniform: same shape, floating, in [0, 1).
    Raises:
      ValueError: the two shapes differ.
    Source: Theis, van den Oord, Bethge 2016, "A note on the evaluation of generative models", section 3.1.

    >>> dequantised(jnp.array([0, 3]), jnp.array([0.5, 0.25]))
    Array([0.5 , 3.25], dtype=float32)
    """
    if counts.shape != uniform.shape:
        raise ValueError(f"uniform must have the shape of counts, {counts.shape}, got {uniform.shape}")
    whole = counts.astype(uniform.dtype)
    return jnp.minimum(whole + uniform, jnp.nextafter(whole + 1, whole))  # which rounding would lead into the next bin


def bin_evidence(x: jax.Array, sigma: jax.Array, num_bins: int) -> jax.Array:
    """Log density of a noised count at x, less a constant, for each count that it may come from.

    ℓ_k(x) = log P(k <= x − σ z < k + 1) = log[Φ(b_k) − Φ(a_k)],   a_k = (k − x)/σ,   b_k = (k + 1 − x)/σ.

    Args:
      x: (...) floating, in counts. sigma: σ > 0, as many axes, of sizes that broadcast. num_bins: K.
    Returns:
      (..., K) nats, finite however far the bin.

    >>> bin_evidence(jnp.array([0.5]), jnp.array([1e-3]), 2)[0, 0]  # the noise leads out of no bin
    Array(0., dtype=float32)
    """
    low, high = _standardised(x, sigma, num_bins)
    beyond = low > 0  # Φ(b) − Φ(a) = Φ(−a) − Φ(−b): in the lower tail, where nothing cancels
    of_low, of_high = log_ndtr(jnp.where(beyond, -high, low)), log_ndtr(jnp.where(beyond, -low, high))
    return of_high + jnp.log(-jnp.expm1(jnp.minimum(of_low - of_high, -jnp.finfo(x.dtype).tiny)))


def bin_slopes(x: jax.Array, sigma: jax.Array, num_bins: int) -> tuple[jax.Array, jax.Array]:
    """ℓ_k and its slope by x/σ, which is the mean of the noise taken back, given the bin.

    σ ∂ℓ_k/∂x = (φ(a_k) − φ(b_k)) / (Φ(b_k) − Φ(a_k)) = E[(y − x)/σ | x, k], in [a_k, b_k].

    Args:
      x, sigma, num_bins: see `bin_evidence`.
    Returns:
      ℓ, (..., K) nats, and the slopes, (..., K).

    >>> evidence, slopes = bin_slopes(jnp.array([1.0]), jnp.array([1e-3]), 2)  # at the edge of both
    >>> slopes.round(1)
    Array([[-0.8,  0.8]], dtype=float32)
    """
    low, high = _standardised(x, sigma, num_bins)
    evidence = bin_evidence(x, sigma, num_bins)
    slopes = jnp.exp(_log_normal(low) - evidence) - jnp.exp(_log_normal(high) - evidence)
    return evidence, jnp.clip(slopes, low, high)  # far away both terms are large and rounded; the mean is in the bin


def binned(apply_fn: Callable[..., jax.Array], *, num_bins: int, sigma_data: float, mean: float
           ) -> Callable[..., jax.Array]:
    """The score, at each noise level, of counts that a network tells the probabilities of.

    s(x, σ) = 1/σ Σ_k w_k σ ∂ℓ_k/∂x,   w = softmax(ℓ + logits),   logits = F((x − μ) / √(σ² + σ_d²), log(σ)/4):
    what each pixel itself says of its bin is Bayes' rule; the network says what the others do.

    Args:
      apply_fn: F(params, x, time, *conditions) -> logits (N, *shape, K); x (N, *shape), time (N,).
      num_bins: K, counts being 0 to K − 1. sigma_data: σ_d > 0, of y = k + u. mean: μ, of y.
    Returns:
      score_fn(params, x, level, *conditions) -> (N, *shape), x in counts.
    Raises:
      ValueError: num_bins is below 1.
      ValueError: sigma_data is not above 0.
      ValueError: apply_fn does not return logits (N, *shape, K).

    >>> even = lambda params, x, time: jnp.zeros((*x.shape, 2))
    >>> binned(even, num_bins=2, sigma_data=0.6, mean=1.0)(None, jnp.array([[0.5], [2.0]]), jnp.full(2, 0.01)).round(2)
    Array([[  0.  ],
           [-79.79]], dtype=float32)
    """
    if num_bins < 1:
        raise ValueError(f"num_bins must be at least 1, got {num_bins}")
    if not sigma_data > 0:
        raise ValueError(f"sigma_data must be above 0, got {sigma_data}")

    def score_fn(params: Any, x: jax.Array, level: jax.Array, *conditions: jax.Array) -> jax.Array:
        sigma = level.reshape(-1, *[1] * (x.ndim - 1))
        logits = apply_fn(params, (x - mean) / jnp.sqrt(sigma**2 + sigma_data**2), jnp.log(level) / 4, *conditions)
        if logits.shape != (*x.shape, num_bins):
            raise ValueError(f"apply_fn must return logits {(*x.shape, num_bins)}, got {logits.shape}")
        evidence, slopes = bin_slopes(x, sigma, num_bins)
        return jnp.sum(jax.nn.softmax(evidence + logits) * slopes, axis=-1) / sigma

    return score_fn


def _standardised(x: jax.Array, sigma: jax.Array, num_bins: int) -> tuple[jax.Array, jax.Array]:
    edges = jnp.arange(num_bins + 1, dtype=x.dtype).reshape(*[1] * x.ndim, -1)
    away = (edges - x[..., None]) / sigma[..., None]
    return away[..., :-1], away[..., 1:]


def _log_normal(z: jax.Array) -> jax.Array:
    return -0.5 * z**2 - 0.5 * jnp.log(2 * jnp.pi)
