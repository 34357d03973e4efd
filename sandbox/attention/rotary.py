"""Rotary positions: a query and a key turned by their positions, so that their product knows the distance alone."""

import jax
import jax.numpy as jnp

__all__ = ["rotate"]


def rotate(x: jax.Array, positions: jax.Array, *, base: float = 10_000.0) -> jax.Array:
    """Turn pairs of components by angles that grow with the position.

    (a_m, b_m) ← (a_m cos θ − b_m sin θ, a_m sin θ + b_m cos θ),   θ = position · base^{−2m/H},
    with a the first half of the components and b the second. ⟨rotate(q, i), rotate(k, j)⟩ depends on i − j.

    Args:
      x: (..., T, N, H) floating, H even. positions: (T,) or (..., T) integer.
      base: of the wavelengths, which reach from 2π to 2π · base positions.
    Returns:
      (..., T, N, H), the dtype of x; lengths are kept.
    Raises:
      ValueError: H is odd.
    Source: Su et al. 2021, eq. 34.

    >>> rotate(jnp.array([[[1.0, 0.0]]]), jnp.array([0]))
    Array([[[1., 0.]]], dtype=float32)
    """
    size = x.shape[-1]
    if size % 2:
        raise ValueError(f"a head size must be even to be turned in pairs, got {size}")
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    frequency = base ** (-jnp.arange(size // 2, dtype=dtype) * 2 / size)
    angle = jnp.expand_dims(positions.astype(dtype), (-2, -1)) * jnp.expand_dims(frequency, range(positions.ndim + 1))
    a, b = jnp.split(x.astype(dtype), 2, axis=-1)
    cos, sin = (jnp.broadcast_to(function(angle), (*x.shape[:-2], 1, size // 2)) for function in (jnp.cos, jnp.sin))
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1).astype(x.dtype)
