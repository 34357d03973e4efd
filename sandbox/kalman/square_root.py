"""The same moves on factors of the covariance: no covariance is ever formed, none can lose its sign.

P = L Lᵀ. Stacking factors side by side adds the covariances, and an orthogonal transformation from the
right brings the stack back to a triangle without changing what it stands for.
"""

import jax.numpy as jnp

from sandbox.kalman.innovation import Innovation, innovation_of
from sandbox.kalman.linearise import Observation, Transition
from sandbox.kalman.model import Factored
from sandbox.kalman.small import product, solve_upper, triangularize

__all__ = ["begin", "predict", "smooth", "update"]


def begin(prior: Factored) -> Factored:
    """The prior in this form: its factor a triangle.

    >>> begin(Factored(jnp.zeros(1), jnp.array([[3.0, 4.0]]))).factor
    Array([[5.]], dtype=float32)
    """
    return Factored(prior.mean, triangularize(prior.factor))


def predict(belief: Factored, transition: Transition) -> Factored:
    """x̂ = f(x),  L ← the triangle of [F L, G].

    Args:
      belief: of n components, before the motion. transition: about any point.
    Returns:
      Factored after it.
    Source: Kaminski, Bryson, Schmidt 1971.

    >>> one = jnp.ones((1, 1))
    >>> predict(Factored(one[0], one), Transition(one[0], 2 * one[0], 3 * one, 4 * one)).factor
    Array([[5.]], dtype=float32)
    """
    point, value, F, G = transition
    factor = triangularize(jnp.concatenate([product(F, belief.factor), G], axis=1))
    return Factored(value + product(F, belief.mean - point), factor)


def update(belief: Factored, observation: Observation) -> tuple[Factored, Innovation]:
    """The belief given a measurement.

    The triangle of [[N, H L], [0, L]] is [[S^½, 0], [K S^½, L⁺]]: the factor of the innovation, the gain
    times it, and the new factor of the belief.

    Args:
      belief: of n components. observation: M components, about any point.
    Returns:
      Factored, and Innovation.
    Source: Kaminski, Bryson, Schmidt 1971; Kailath, Sayed, Hassibi 2000, section 12.3.

    >>> from sandbox.kalman.linearise import Noise
    >>> one = jnp.ones((1, 1))
    >>> measured = Observation(0 * one[0], one[0], one, Noise(one, one, one[0] > 0))
    >>> update(Factored(0 * one[0], one), measured)[0].mean.round(4)
    Array([0.5], dtype=float32)
    """
    mean, L = belief
    point, residual, H, noise = observation
    residual = residual - product(H, mean - point)
    m, n = H.shape
    triangle = triangularize(jnp.block([[noise.factor, product(H, L)], [jnp.zeros((n, m), L.dtype), L]]))
    root, gain, factor = triangle[:m, :m], triangle[m:, :m], triangle[m:, m:]
    innovation = innovation_of(residual, root, noise.measured)
    return Factored(mean + product(gain, innovation.whitened), factor), innovation


def smooth(belief: Factored, after: Factored, transition: Transition) -> Factored:
    """The belief in a row given the whole track, from the smoothed belief in the next row.

    The triangle of [[F L, G], [L, 0]] is [[A, 0], [B, C]]: E = B A⁻¹ is the gain, and the smoothed factor
    the triangle of [C, E Lˢ].

    Args:
      belief: filtered. after: smoothed, one row on. transition: between the two.
    Returns:
      Factored, smoothed.
    Source: Park, Kailath 1995, "Square-root RTS smoothing algorithms".

    >>> one = jnp.ones((1, 1))
    >>> smooth(Factored(0 * one[0], one), Factored(one[0], one), Transition(0 * one[0], 0 * one[0], one, one)).mean
    Array([0.5], dtype=float32)
    """
    mean, L = belief
    point, value, F, G = transition
    n = len(mean)
    stacked = jnp.block([[product(F, L), G], [L, jnp.zeros((n, G.shape[1]), L.dtype)]])
    triangle = triangularize(stacked)
    A, B, C = triangle[:n, :n], triangle[n:, :n], triangle[n:, n:]
    E = solve_upper(A, B.T).T
    factor = triangularize(jnp.concatenate([C, product(E, after.factor)], axis=1))
    predicted = value + product(F, mean - point)
    return Factored(mean + product(E, after.mean - predicted), factor)
