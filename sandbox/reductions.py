"""Means over the real rows of a padded batch."""

import jax
import jax.numpy as jnp


def weighted_mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted mean Σ wₙ xₙ / Σ wₙ; zero, with zero gradient, where no row is real.

    Args:
      values: (...) floating; a row of weight 0 is left out even where it is not finite.
      weights: same shape, >= 0.
    Returns:
      Scalar.
    Raises:
      ValueError: the two shapes differ.

    >>> weighted_mean(jnp.array([1.0, 3.0, jnp.nan]), jnp.array([1.0, 1.0, 0.0]))
    Array(2., dtype=float32)
    """
    if values.shape != weights.shape:
        raise ValueError(f"weights must have the shape of values, {values.shape}, got {weights.shape}")
    total = jnp.sum(weights)
    kept = jnp.where(weights > 0, values, 0)
    return jnp.sum(weights * kept) / jnp.where(total > 0, total, 1)
