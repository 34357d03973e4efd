"""The smallest GAN: all data at 0, all fakes at θ, a linear discriminator. It shows which ways of training converge."""

import jax
import jax.numpy as jnp

from sandbox.gan.criteria import NON_SATURATING, Criterion
from sandbox.gan.game import Game
from sandbox.tracing import is_concrete

__all__ = ["dirac_gan"]


def dirac_gan(criterion: Criterion = NON_SATURATING, *, r1: float | jax.Array = 0.0,
              r2: float | jax.Array = 0.0) -> Game:
    """The game of θ, where the generator puts its one sample, and ψ, the slope of the discriminator D(x) = ψ x.

    f(θ, ψ) = c_G(0, ψ θ),   g(ψ, θ) = c_D(0, ψ θ) + (γ₁ + γ₂)/2 ψ².

    A linear D is as steep at real as at fake samples, so both penalties are the same. At rest: θ = ψ = 0; there, of a
    criterion whose slopes are ∓½, gradient flow has the eigenvalues −γ/2 ± √(γ²/4 − ¼): it circles without a penalty,
    spirals in with one, and goes straight home, ever slower, from γ = 1 on.

    Args:
      criterion: c. r1, r2: γ₁, γ₂ >= 0, or traced scalars.
    Returns:
      Game of two scalars.
    Raises:
      ValueError: r1 or r2 is below 0.
    Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually converge?", definition
      2.1.

    >>> from sandbox.gan.game import Players, eigenvalues, jacobian
    >>> eigenvalues(jacobian(dirac_gan(r1=0.6), Players(jnp.float32(0), jnp.float32(0))))
    Array([-0.3+0.4j, -0.3-0.4j], dtype=complex64)
    """
    for name, weight in (("r1", r1), ("r2", r2)):
        if is_concrete(weight) and not weight >= 0:
            raise ValueError(f"{name} must be at least 0, got {weight}")

    def generator(theta: jax.Array, psi: jax.Array) -> jax.Array:
        fake = jnp.asarray(psi * theta)
        return criterion.generator(jnp.zeros_like(fake), fake)

    def discriminator(psi: jax.Array, theta: jax.Array) -> jax.Array:
        fake = jnp.asarray(psi * theta)
        return criterion.discriminator(jnp.zeros_like(fake), fake) + (r1 + r2) / 2 * psi**2

    return Game(generator, discriminator)
