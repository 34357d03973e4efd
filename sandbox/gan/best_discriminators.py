"""What the best of all discriminators is, and what it measures, on distributions over a few things.

Each row of p, of what is real, and q, of what is generated, is a distribution with positive probabilities.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.gan.losses import Pairs

__all__ = [
    "BEST_DISCRIMINATORS", "BestDiscriminator", "all_pairs", "difference_chi_square", "jensen_shannon", "log_ratio",
    "optimal_discriminator", "pairs_jensen_shannon", "total_variation",
]


def optimal_discriminator(p: jax.Array, q: jax.Array) -> jax.Array:
    """D* = p / (p + q), the probability that a thing is real.

    Args:
      p, q: (..., K) probabilities.
    Returns:
      (..., K), in (0, 1).
    Source: Goodfellow et al. 2014, proposition 1.

    >>> optimal_discriminator(jnp.array([0.75, 0.25]), jnp.array([0.25, 0.75]))
    Array([0.75, 0.25], dtype=float32)
    """
    return p / (p + q)


def log_ratio(p: jax.Array, q: jax.Array) -> jax.Array:
    """log p − log q, the logits of D*.

    Args:
      p, q: (..., K) probabilities.
    Returns:
      (..., K).

    >>> log_ratio(jnp.array([0.5, 0.5]), jnp.array([0.5, 0.5]))
    Array([0., 0.], dtype=float32)
    """
    return jnp.log(p) - jnp.log(q)


def jensen_shannon(p: jax.Array, q: jax.Array) -> jax.Array:
    """½ KL(p ‖ m) + ½ KL(q ‖ m),   m = (p + q)/2.

    Args:
      p, q: (..., K) probabilities.
    Returns:
      (...) nats, 0 to log 2.

    >>> jensen_shannon(jnp.array([0.5, 0.5]), jnp.array([0.5, 0.5]))
    Array(0., dtype=float32)
    """
    log_m = jnp.log((p + q) / 2)
    return jnp.sum(p * (jnp.log(p) - log_m) + q * (jnp.log(q) - log_m), axis=-1) / 2


def pairs_jensen_shannon(p: jax.Array, q: jax.Array) -> jax.Array:
    """Jensen-Shannon divergence of pairs (real, fake) from the same pairs turned round: of p ⊗ q from q ⊗ p.

    Args:
      p, q: (..., K) probabilities.
    Returns:
      (...) nats, 0 to log 2.

    >>> pairs_jensen_shannon(jnp.array([0.5, 0.5]), jnp.array([0.5, 0.5]))
    Array(0., dtype=float32)
    """
    pairs, turned = p[..., :, None] * q[..., None, :], q[..., :, None] * p[..., None, :]
    return jensen_shannon(pairs.reshape(*p.shape[:-1], -1), turned.reshape(*p.shape[:-1], -1))


def difference_chi_square(p: jax.Array, q: jax.Array) -> jax.Array:
    """Σ (p − q)² / (p + q), Pearson's χ² of p + q from 2 q.

    Args:
      p, q: (..., K) probabilities.
    Returns:
      (...), 0 to 2.
    Source: Mao et al. 2017, theorem 1.

    >>> difference_chi_square(jnp.array([0.75, 0.25]), jnp.array([0.25, 0.75]))
    Array(0.5, dtype=float32)
    """
    return jnp.sum((p - q) ** 2 / (p + q), axis=-1)


def total_variation(p: jax.Array, q: jax.Array) -> jax.Array:
    """½ Σ |p − q|.

    Args:
      p, q: (..., K) probabilities.
    Returns:
      (...), 0 to 1.

    >>> total_variation(jnp.array([0.75, 0.25]), jnp.array([0.25, 0.75]))
    Array(0.5, dtype=float32)
    """
    return jnp.sum(jnp.abs(p - q), axis=-1) / 2


def all_pairs(p: jax.Array, q: jax.Array) -> Pairs:
    """Every pair of a real and a fake thing once, weighted by its probability: a loss on it is its expectation.

    Args:
      p, q: (K,) probabilities.
    Returns:
      Pairs, K² of them; real and latents are one-hot, so that a table of K logits is a discriminator.

    >>> all_pairs(jnp.array([0.75, 0.25]), jnp.array([0.5, 0.5])).weights
    Array([0.375, 0.375, 0.125, 0.125], dtype=float32)
    """
    K = len(p)
    things = jnp.eye(K, dtype=p.dtype)
    weights = (p[:, None] * q[None]).reshape(-1)
    return Pairs(jnp.repeat(things, K, axis=0), jnp.tile(things, (K, 1)), jnp.zeros_like(weights), weights)


class BestDiscriminator(NamedTuple):
    """logits: (p, q) to logits (..., K) of which none are better. least: (p, q) to the discriminator's value there."""

    logits: Callable[[jax.Array, jax.Array], jax.Array]
    least: Callable[[jax.Array, jax.Array], jax.Array]


def _least_cross_entropy(p: jax.Array, q: jax.Array) -> jax.Array:
    return jnp.log(4) - 2 * jensen_shannon(p, q)


BEST_DISCRIMINATORS = {
    "minimax": BestDiscriminator(log_ratio, _least_cross_entropy),
    "non-saturating": BestDiscriminator(log_ratio, _least_cross_entropy),
    "least-squares": BestDiscriminator(optimal_discriminator, lambda p, q: (2 - difference_chi_square(p, q)) / 8),
    "hinge": BestDiscriminator(lambda p, q: jnp.sign(p - q), lambda p, q: 2 - 2 * total_variation(p, q)),
    "relativistic": BestDiscriminator(log_ratio, lambda p, q: jnp.log(2) - pairs_jensen_shannon(p, q)),
}
"""By the criterion's name. A Wasserstein critic has no best without a bound on its slope."""
