"""Mixtures of equal Gaussians: data whose density, modes and best possible samples are known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Mixture", "draw_from_mixture", "grid_of_modes", "log_density", "ring_of_modes"]


class Mixture(NamedTuple):
    """p(x) = 1/K Σ_k N(x; c_k, σ² I). centres: c, (K, D). sigma: σ > 0, in the units of x."""

    centres: np.ndarray
    sigma: float


def ring_of_modes(modes: int = 8, radius: float = 1.0, sigma: float = 0.01) -> Mixture:
    """Centres evenly on a circle about 0.

    c_k = r (cos 2πk/K, sin 2πk/K).

    Args:
      modes: K >= 1. radius: r, sigma: σ, in one unit.
    Raises:
      ValueError: modes is below 1.
    Source: Srivastava et al. 2017, "VEEGAN"; as in Lin et al. 2018, "PacGAN", section 4.2.

    >>> ring_of_modes(4).centres.round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [-0.0, -1.0]]
    """
    if modes < 1:
        raise ValueError(f"modes must be at least 1, got {modes}")
    angles = 2 * np.pi * np.arange(modes) / modes
    return Mixture((radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(np.float32), sigma)


def grid_of_modes(side: int = 5, spacing: float = 2.0, sigma: float = 0.05) -> Mixture:
    """Centres on a square lattice about 0.

    Args:
      side: centres on a side, at least 1. spacing: between neighbours, sigma: σ, in one unit.
    Raises:
      ValueError: side is below 1.
    Source: Srivastava et al. 2017, "VEEGAN"; as in Lin et al. 2018, "PacGAN", section 4.2.

    >>> grid_of_modes(2).centres.tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    if side < 1:
        raise ValueError(f"side must be at least 1, got {side}")
    places = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32),
                   sigma)


def draw_from_mixture(key: jax.Array, mixture: Mixture, num: int) -> jax.Array:
    """Independent samples, (num, D).

    >>> draw_from_mixture(jax.random.key(0), ring_of_modes(), 3).shape
    (3, 2)
    """
    of_mode, of_noise = jax.random.split(key)
    modes = jax.random.randint(of_mode, (num,), 0, mixture.centres.shape[0])
    centres = jnp.asarray(mixture.centres)[modes]
    return centres + mixture.sigma * jax.random.normal(of_noise, centres.shape, centres.dtype)


def log_density(x: jax.Array, mixture: Mixture) -> jax.Array:
    """log p(x) in nats, (...) of (..., D).

    >>> round(float(log_density(jnp.zeros(2), ring_of_modes(1, radius=0.0, sigma=1.0))), 4)  # −log 2π
    -1.8379
    """
    K, D = mixture.centres.shape
    away = x[..., None, :] - jnp.asarray(mixture.centres, x.dtype).reshape((1,) * (x.ndim - 1) + (K, D))
    exponents = -jnp.sum(away**2, axis=-1) / (2 * mixture.sigma**2)
    return jax.nn.logsumexp(exponents, axis=-1) - jnp.log(K) - D / 2 * jnp.log(2 * jnp.pi * mixture.sigma**2)
