"""By hand: the Jacobians of the fields of the games that are small enough."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from sandbox.gan.game import Players

__all__ = ["DIRAC_SLOPES", "bilinear_jacobian", "dirac_eigenvalues", "dirac_field", "dirac_jacobian"]


def _sigmoid(t: jax.Array) -> tuple[jax.Array, jax.Array]:
    s = jax.nn.sigmoid(t)
    return s, s * (1 - s)


def _minimax(t):
    slope, bend = _sigmoid(t)
    return (-slope, -bend), (slope, bend)


def _sure_of_fake(t):
    """Of softplus(−t) and softplus(t): the non-saturating criterion, and the relativistic one, real logits being 0."""
    slope, bend = _sigmoid(t)
    return (slope - 1, bend), (slope, bend)


def _least_squares(t):
    return (t - 1, jnp.ones_like(t)), (t, jnp.ones_like(t))


def _hinge(t):
    zero = jnp.zeros_like(t)
    return (zero - 1, zero), ((t > -1).astype(t.dtype), zero)


def _wasserstein(t):
    zero = jnp.zeros_like(t)
    return (zero - 1, zero), (zero + 1, zero)


DIRAC_SLOPES: dict[str, Callable] = {
    "minimax": _minimax, "non-saturating": _sure_of_fake, "least-squares": _least_squares, "hinge": _hinge,
    "wasserstein": _wasserstein, "relativistic": _sure_of_fake,
}
"""By criterion: the logit t of a fake, against a real one's of 0, to ((F′, F″), (G′, G″)), F the generator's value and
G the discriminator's."""


def dirac_field(players: Players, *, criterion: str, r1: float | jax.Array = 0.0) -> jax.Array:
    """Field of `dirac_gan`: (−F′(t) ψ, −G′(t) θ − γ ψ), t = ψ θ.

    Args:
      players: θ, ψ, scalars. criterion: its name. r1: γ, that of both penalties together.
    Returns:
      (2,).
    Source: Mescheder, Geiger, Nowozin 2018, of a criterion of one function f.

    >>> dirac_field(Players(jnp.float32(2), jnp.float32(3)), criterion="wasserstein", r1=1.0)
    Array([ 3., -5.], dtype=float32)
    """
    theta, psi = players
    (f_slope, _), (g_slope, _) = DIRAC_SLOPES[criterion](psi * theta)
    return jnp.stack([-f_slope * psi, -g_slope * theta - r1 * psi])


def dirac_jacobian(players: Players, *, criterion: str, r1: float | jax.Array = 0.0) -> jax.Array:
    """Its Jacobian: −[[F″ ψ², F′ + F″ t], [G′ + G″ t, G″ θ² + γ]], t = ψ θ.

    Args:
      players, criterion, r1: see `dirac_field`.
    Returns:
      (2, 2).
    Source: Mescheder, Geiger, Nowozin 2018, lemma 2.2 for θ = ψ = 0.

    >>> dirac_jacobian(Players(jnp.float32(0), jnp.float32(0)), criterion="relativistic", r1=1.0)
    Array([[-0. ,  0.5],
           [-0.5, -1. ]], dtype=float32)
    """
    theta, psi = players
    t = psi * theta
    (f_slope, f_bend), (g_slope, g_bend) = DIRAC_SLOPES[criterion](t)
    return -jnp.stack([jnp.stack([f_bend * psi**2, f_slope + f_bend * t]),
                       jnp.stack([g_slope + g_bend * t, g_bend * theta**2 + r1])])


def dirac_eigenvalues(r1: jax.Array) -> jax.Array:
    """At rest, where F′ = −½ and G′ = ½: −γ/2 ± √(γ²/4 − ¼).

    Args:
      r1: γ >= 0, (...). At 1 both are −½: no other γ is home as fast.
    Returns:
      (..., 2) complex.
    Source: Mescheder, Geiger, Nowozin 2018, with their f′(0) = ½.

    >>> dirac_eigenvalues(jnp.float32(1))
    Array([-0.5+0.j, -0.5+0.j], dtype=complex64)
    """
    away = jnp.sqrt(jax.lax.complex(r1**2 / 4 - 0.25, jnp.zeros_like(r1)))
    return jnp.stack([-r1 / 2 + away, -r1 / 2 - away], axis=-1)


def bilinear_jacobian(A: jax.Array, P: jax.Array, Q: jax.Array, B: jax.Array) -> jax.Array:
    """Of `bilinear_game`, wherever: [[−(P + Pᵀ)/2, −A], [Bᵀ, −(Q + Qᵀ)/2]].

    Args:
      A, B: (N, M). P: (N, N). Q: (M, M).
    Returns:
      (N + M, N + M).

    >>> one = jnp.ones((1, 1))
    >>> bilinear_jacobian(2 * one, 3 * one, 4 * one, 5 * one)
    Array([[-3., -2.],
           [ 5., -4.]], dtype=float32)
    """
    return jnp.block([[-(P + P.T) / 2, -A], [B.T, -(Q + Q.T) / 2]])
