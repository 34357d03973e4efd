"""What samples are made of."""

import jax
import jax.numpy as jnp

__all__ = ["draw_latents"]


def draw_latents(key: jax.Array, num: int, size: int, dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Standard normal numbers.

    Args:
      key: PRNG key. num: of samples, N. size: numbers of each, L >= 1.
    Returns:
      (N, L).
    Raises:
      ValueError: size is below 1.

    >>> draw_latents(jax.random.key(0), 3, 2).shape
    (3, 2)
    """
    if size < 1:
        raise ValueError(f"size must be at least 1: of 0 numbers every sample would be the same, got {size}")
    return jax.random.normal(key, (num, size), dtype)
