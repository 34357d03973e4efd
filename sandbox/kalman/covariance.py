"""The Kalman filter's two moves, and the smoother's one, on means and covariances."""

import jax
import jax.numpy as jnp

from sandbox.kalman.innovation import Innovation, innovation_of
from sandbox.kalman.linearise import Observation, Transition
from sandbox.kalman.model import Factored, Gaussian
from sandbox.kalman.small import cholesky, congruence, inverse, product, product_transposed

__all__ = ["begin", "predict", "smooth", "smoother_gain", "update"]


def begin(prior: Factored) -> Gaussian:
    """The prior in this form.

    >>> begin(Factored(jnp.zeros(1), jnp.array([[2.0]]))).covariance
    Array([[4.]], dtype=float32)
    """
    return Gaussian(prior.mean, prior.covariance)


def predict(belief: Gaussian, transition: Transition) -> Gaussian:
    """x̂ = f(x),  P = F P Fᵀ + G Gᵀ.

    Args:
      belief: of n components, before the motion. transition: about any point.
    Returns:
      Gaussian after it.

    >>> one = jnp.ones((1, 1))
    >>> predict(Gaussian(one[0], one), Transition(one[0], 2 * one[0], 2 * one, one)).covariance
    Array([[5.]], dtype=float32)
    """
    point, value, F, G = transition
    return Gaussian(value + product(F, belief.mean - point),
                    congruence(F, belief.covariance) + product_transposed(G, G))


def update(belief: Gaussian, observation: Observation) -> tuple[Gaussian, Innovation]:
    """The belief given a measurement, in Joseph's form.

    S = H P Hᵀ + R,  K = P Hᵀ S⁻¹,  x = x̂ + K (z − ẑ),  P ← (I − K H) P (I − K H)ᵀ + K R Kᵀ,

    symmetric to rounding, and positive definite as long as S⁻¹ has correct digits, whatever rounding does to K.
    Where it has none (float32, precise sensors after a vague prior), take `square_root`.

    Args:
      belief: of n components. observation: M components, about any point.
    Returns:
      Gaussian, and Innovation.
    Source: Bar-Shalom, Li, Kirubarajan 2001, section 5.2.3.

    >>> from sandbox.kalman.linearise import Noise
    >>> one = jnp.ones((1, 1))
    >>> measured = Observation(0 * one[0], one[0], one, Noise(one, one, one[0] > 0))
    >>> update(Gaussian(0 * one[0], one), measured)[0]
    Gaussian(mean=Array([0.5], dtype=float32), covariance=Array([[0.5]], dtype=float32))
    """
    mean, P = belief
    point, residual, H, noise = observation
    residual = residual - product(H, mean - point)
    HP = product(H, P)
    S = product_transposed(HP, H) + noise.covariance
    K = product(inverse(S), HP).T
    kept = jnp.eye(len(mean), dtype=P.dtype) - product(K, H)
    posterior = Gaussian(mean + product(K, residual), congruence(kept, P) + congruence(K, noise.covariance))
    return posterior, innovation_of(residual, cholesky(S), noise.measured)


def smoother_gain(belief: Gaussian, transition: Transition) -> tuple[jax.Array, Gaussian]:
    """E = P Fᵀ (F P Fᵀ + Q)⁻¹, and what is left of the belief once the next state is known.

    p(x | x_next) = N(x + E (x_next − x̂_next), (I − E F) P (I − E F)ᵀ + E Q Eᵀ).

    Args:
      belief: filtered. transition: to the next row.
    Returns:
      (n, n) E; Gaussian of mean x − E x̂_next and the covariance above.

    >>> one = jnp.ones((1, 1))
    >>> smoother_gain(Gaussian(0 * one[0], one), Transition(0 * one[0], 0 * one[0], one, one))[0]
    Array([[0.5]], dtype=float32)
    """
    mean, P = belief
    predicted, (F, G) = predict(belief, transition), transition[2:]
    E = product(inverse(predicted.covariance), product(F, P)).T
    kept, added = jnp.eye(len(mean), dtype=P.dtype) - product(E, F), product(E, G)
    return E, Gaussian(mean - product(E, predicted.mean), congruence(kept, P) + product_transposed(added, added))


def smooth(belief: Gaussian, after: Gaussian, transition: Transition) -> Gaussian:
    """The belief in a row given the whole track, from the smoothed belief in the next row.

    E = P Fᵀ (F P Fᵀ + Q)⁻¹,  x ← x + E (xˢ − x̂),  P ← (I − E F) P (I − E F)ᵀ + E (Q + Pˢ) Eᵀ.

    Args:
      belief: filtered. after: smoothed, one row on. transition: between the two.
    Returns:
      Gaussian, smoothed.
    Source: Rauch, Tung, Striebel 1965; Särkkä, Svensson 2023, chapter 12; the covariance in Joseph's form.

    >>> one = jnp.ones((1, 1))
    >>> smooth(Gaussian(0 * one[0], one), Gaussian(one[0], one), Transition(0 * one[0], 0 * one[0], one, one))
    Gaussian(mean=Array([0.5], dtype=float32), covariance=Array([[0.75]], dtype=float32))
    """
    E, left = smoother_gain(belief, transition)
    return Gaussian(left.mean + product(E, after.mean), left.covariance + congruence(E, after.covariance))
