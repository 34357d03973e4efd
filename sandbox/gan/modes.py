"""Which modes of a mixture samples cover, how evenly, and whether each as widely as it should."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.gan.mixtures import Mixture

__all__ = ["PERFECT_HIGH_QUALITY", "Coverage", "assign_modes", "mode_coverage", "reverse_kl_of_counts"]

SIGMAS = 3.0  # a sample further than this many σ from every centre belongs to none
OUTSIDE = math.exp(-(SIGMAS**2) / 2)  # of a Gaussian in the plane
PERFECT_HIGH_QUALITY = 1 - OUTSIDE
PERFECT_TRACE = 2 - SIGMAS**2 * OUTSIDE / PERFECT_HIGH_QUALITY  # of that Gaussian's covariance inside, in σ²


class Coverage(NamedTuple):
    """modes: how many have a sample within 3σ. high_quality: share of samples within 3σ of a centre; of a perfect model
    1 − e^(−4.5) = 0.989. reverse_kl: KL in nats of the shares of nearest centres from even ones. covariance_ratio: (K,)
    of each mode, how much its samples within 3σ spread beside what is perfect, 1; NaN of fewer than two."""

    modes: jax.Array
    high_quality: jax.Array
    reverse_kl: jax.Array
    covariance_ratio: jax.Array


def mode_coverage(samples: jax.Array, mixture: Mixture) -> Coverage:
    """Judge samples of a plane by the mixture that they should come from.

    With k(x) the nearest centre and S_k its samples within 3σ: modes = Σ_k [S_k ≠ ∅], high_quality = Σ_k |S_k| / N,
    ratio_k = tr cov(S_k) / (2 σ² (1 − 4.5 e^(−4.5) / (1 − e^(−4.5)))), the last being the trace of a Gaussian's
    covariance within 3σ, 0.949 · 2 σ².

    Args:
      samples: (N, 2). mixture: of the plane.
    Returns:
      Coverage.
    Raises:
      ValueError: samples or centres are not of a plane.
    Source: Srivastava et al. 2017, "VEEGAN", section 5.1; Lin et al. 2018, "PacGAN", section 4.2.

    >>> from sandbox.gan.mixtures import draw_from_mixture, ring_of_modes
    >>> found = mode_coverage(draw_from_mixture(jax.random.key(0), ring_of_modes(), 2500), ring_of_modes())
    >>> int(found.modes), round(float(found.high_quality), 2), round(float(jnp.mean(found.covariance_ratio)), 1)
    (8, 0.99, 1.0)
    """
    centres = jnp.asarray(mixture.centres, samples.dtype)
    if samples.ndim != 2 or samples.shape[1] != 2 or centres.shape[1] != 2:
        raise ValueError(f"samples and centres must be (N, 2) and (K, 2), got {samples.shape} and {centres.shape}")
    nearest, distance = assign_modes(samples, centres)
    of_mode = jax.nn.one_hot(nearest, len(centres), dtype=samples.dtype)
    good = of_mode * (distance <= SIGMAS * mixture.sigma)[:, None]
    counts = jnp.sum(good, axis=0)
    away = samples - centres[nearest]  # from the centre, lest small spreads drown in large means
    mean = good.T @ away / jnp.maximum(counts, 1)[:, None]
    squares = jnp.sum((away - mean[nearest])**2, axis=1)
    trace = good.T @ squares / jnp.maximum(counts - 1, 1)
    ratio = jnp.where(counts > 1, trace / (PERFECT_TRACE * mixture.sigma**2), jnp.nan)
    return Coverage(jnp.sum(counts > 0), jnp.sum(counts) / len(samples),
                    reverse_kl_of_counts(jnp.sum(of_mode, axis=0)), ratio)


def assign_modes(samples: jax.Array, centres: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Number of the nearest centre, (N,), and the distance to it, (N,), of samples (N, D) and centres (K, D).

    >>> assign_modes(jnp.array([[0.9], [0.2]]), jnp.array([[0.0], [1.0]]))[0]
    Array([1, 0], dtype=int32)
    """
    distances = jnp.linalg.norm(samples[:, None] - centres[None], axis=-1)
    return jnp.argmin(distances, axis=1), jnp.min(distances, axis=1)


def reverse_kl_of_counts(counts: jax.Array) -> jax.Array:
    """Σ_k q_k log(q_k K), q = counts / Σ counts: nats from even shares; log K when all are in one mode. (K,) counts.

    >>> reverse_kl_of_counts(jnp.array([5.0, 5.0])), round(float(reverse_kl_of_counts(jnp.array([9.0, 0.0]))), 4)
    (Array(0., dtype=float32), 0.6931)
    """
    q = counts / jnp.sum(counts)
    return jnp.sum(jnp.where(q > 0, q * jnp.log(jnp.where(q > 0, q, 1) * len(counts)), 0.0))
