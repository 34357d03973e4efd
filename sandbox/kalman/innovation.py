"""What a measurement said that was not expected, and how unlikely that was."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.kalman.small import solve_lower

__all__ = ["Innovation", "innovation_of"]


class Innovation(NamedTuple):
    """Per row: residual z − ẑ (M,), in the sensor's units; factor (M, M), lower triangular, of its covariance
    S; whitened (M,) = S^{−½} (z − ẑ), dimensionless; nis () = its squared length; log_likelihood () of the
    measurement given all before it, nats; degrees () of freedom, how many components were measured."""

    residual: jax.Array
    factor: jax.Array
    whitened: jax.Array
    nis: jax.Array
    log_likelihood: jax.Array
    degrees: jax.Array


def innovation_of(residual: jax.Array, factor: jax.Array, measured: jax.Array) -> Innovation:
    """log N(residual; 0, S) = −½ (|S^{−½} residual|² + log |S| + d log 2π) over the d measured components.

    Args:
      residual: (M,), 0 where nothing was measured. factor: (M, M) lower triangular, S = factor factorᵀ,
        the unit matrix where nothing was measured. measured: (M,) bool.
    Returns:
      Innovation.

    >>> innovation_of(jnp.array([2.0]), jnp.array([[2.0]]), jnp.array([True])).nis
    Array(1., dtype=float32)
    """
    whitened = solve_lower(factor, residual)
    nis, degrees = jnp.sum(whitened**2), jnp.sum(measured)
    log_determinant = 2 * jnp.sum(jnp.log(jnp.diagonal(factor)))
    log_likelihood = -0.5 * (nis + log_determinant + degrees * jnp.log(2 * jnp.pi).astype(nis.dtype))
    return Innovation(residual, factor, whitened, nis, log_likelihood, degrees)
