"""Whether a filter's claims are true: innovations as large as claimed, errors as large as claimed, no pattern left."""

import jax
import jax.numpy as jnp

from sandbox.kalman.small import cholesky, solve_lower
from sandbox.reductions import weighted_mean

__all__ = ["autocorrelation", "chi_square_quantile", "gate_of", "in_band", "nees"]


def chi_square_quantile(probability: jax.Array, degrees: jax.Array) -> jax.Array:
    """x with P(χ²_d <= x) = p, by bisection of the regularised incomplete gamma function P(d/2, x/2).

    Args:
      probability: (...), 0 <= p < 1. degrees: (...), d >= 1; the two broadcast.
    Returns:
      (...), dimensionless; 0 where d = 0.

    >>> round(float(chi_square_quantile(0.95, 2.0)), 3)
    5.991
    """
    p, d = jnp.broadcast_arrays(jnp.asarray(probability, float), jnp.asarray(degrees, float))
    positive = jnp.maximum(d, 1)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        below = jax.scipy.special.gammainc(positive / 2, middle / 2) < p
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    # The mean is d and the tail falls as e^{−x/2}: beyond 80 + 10 d nothing is left that a double can tell from 1.
    low, high = jax.lax.fori_loop(0, 64, halve, (jnp.zeros_like(p), 80 + 10 * positive))
    return jnp.where(d > 0, (low + high) / 2, 0)


def gate_of(probability: float, num_components: int) -> jax.Array:
    """The gate that turns away a sound measurement once in 1 / (1 − probability) times.

    Args:
      probability: of acceptance. num_components: M.
    Returns:
      (M + 1,) largest NIS by number of measured components, for `extended_kalman_filter`.

    >>> gate_of(0.95, 2).round(2)
    Array([0.  , 3.84, 5.99], dtype=float32)
    """
    return chi_square_quantile(probability, jnp.arange(num_components + 1))


def in_band(values: jax.Array, degrees: jax.Array, probability: float = 0.95) -> jax.Array:
    """The share of NIS or NEES values in the middle `probability` of χ²_d; that much in a sound filter.

    Args:
      values: (...). degrees: (...) of freedom; 0 leaves a value out. probability: of the band.
    Returns:
      Scalar in [0, 1].
    Source: Bar-Shalom, Li, Kirubarajan 2001, section 5.4.2.

    >>> in_band(jnp.array([1.0, 99.0, 0.0]), jnp.array([1, 1, 0]))
    Array(0.5, dtype=float32)
    """
    tail = (1 - probability) / 2
    low, high = (chi_square_quantile(p, degrees) for p in (tail, 1 - tail))
    inside = (values >= low) & (values <= high)
    return weighted_mean(inside.astype(low.dtype), (degrees > 0).astype(low.dtype))


def nees(error: jax.Array, covariance: jax.Array) -> jax.Array:
    """Normalised estimation error squared eᵀ P⁻¹ e; χ² of n degrees of freedom where the filter is consistent.

    Args:
      error: (..., n) estimate less truth. covariance: (..., n, n).
    Returns:
      (...).
    Source: Bar-Shalom, Li, Kirubarajan 2001, section 5.4.2.

    >>> nees(jnp.array([2.0]), jnp.array([[4.0]]))
    Array(1., dtype=float32)
    """
    def one(e, P):
        return jnp.sum(solve_lower(cholesky(P), e) ** 2)

    return jnp.vectorize(one, signature="(n),(n,n)->()")(error, covariance)


def autocorrelation(whitened: jax.Array, num_lags: int) -> jax.Array:
    """Autocorrelation of whitened innovations; noise of std 1/√(number measured) in a sound filter.

    ρ_l = Σ_k e_kᵀ e_{k+l} / Σ_k |e_k|²,   e_k = S^{−½} (z_k − ẑ_k), zero where nothing was measured.

    Args:
      whitened: (T, M), compared by their place. num_lags: K, 0 <= K < T.
    Returns:
      (K,) for lags 1 to K.
    Raises:
      ValueError: num_lags out of bounds.
    Source: Mehra 1970.

    >>> autocorrelation(jnp.ones((3, 1)), 1)
    Array([0.6666667], dtype=float32)
    """
    if not 0 <= num_lags < len(whitened):
        raise ValueError(f"num_lags must be 0 to {len(whitened) - 1} for {len(whitened)} rows, got {num_lags}")
    products = [jnp.sum(whitened[lag:] * whitened[:-lag]) for lag in range(1, num_lags + 1)]
    return jnp.array(products) / jnp.sum(whitened**2)
