"""What a time is worth to a loss: λ(t), by which every objective weighs its ½ ‖s − s*‖²."""

from collections.abc import Callable
from types import MappingProxyType

import jax
import jax.numpy as jnp

from sandbox.score_matching.processes import Process, drift_and_diffusion

__all__ = [
    "WEIGHTINGS", "Weighting", "edm_weighting", "flow_weighting", "likelihood_weighting", "noise_weighting",
    "unit_weighting",
]

Weighting = Callable[[Process, jax.Array], jax.Array]
"""(process, time) to λ >= 0 of time's shape."""


def noise_weighting(process: Process, time: jax.Array) -> jax.Array:
    """λ = σ²: the noise is told equally well at every level, ½ ‖σ s + ε‖².

    Args:
      process: σ. time: (N,).
    Returns:
      (N,), in squared units of x.
    Source: Song, Ermon 2019, "Generative modeling by estimating gradients of the data distribution", section 4.2.

    >>> from sandbox.score_matching.processes import by_level
    >>> noise_weighting(by_level(), jnp.array([3.0]))
    Array([9.], dtype=float32)
    """
    return process.level(time) ** 2


def likelihood_weighting(process: Process, time: jax.Array) -> jax.Array:
    """λ = g²: nats per unit of time, by which two densities come nearer as both become noise.

    d/dt KL(p_t ‖ q_t) = −½ g² E_p ‖∇ log p_t − ∇ log q_t‖².

    Args:
      process: of g². time: (N,).
    Returns:
      (N,), in squared units of x per unit of time.
    Source: Song, Durkan, Murray, Ermon 2021, "Maximum likelihood training of score-based diffusion models", theorem 1.

    >>> from sandbox.score_matching.processes import by_level
    >>> likelihood_weighting(by_level(), jnp.array([3.0]))
    Array([6.], dtype=float32)
    """
    return drift_and_diffusion(process, time)[1]


def unit_weighting(process: Process, time: jax.Array) -> jax.Array:
    """λ = 1: the score itself, as Hyvärinen's.

    Args:
      process: any. time: (N,).
    Returns:
      (N,) of ones.
    Source: Hyvärinen 2005, "Estimation of non-normalized statistical models by score matching", eq. 2.

    >>> from sandbox.score_matching.processes import by_level
    >>> unit_weighting(by_level(), jnp.array([3.0]))
    Array([1.], dtype=float32)
    """
    return jnp.ones_like(time)


def flow_weighting(process: Process, time: jax.Array) -> jax.Array:
    """λ = ½ g⁴: the velocity is told equally well at every time, ‖v − (α' x + σ' ε)‖² as v = f x_t − ½ g² s.

    On the linear path λ = 2 t² / (1 − t)².

    Args:
      process: of g². time: (N,).
    Returns:
      (N,), in the fourth power of x's units per squared unit of time.
    Source: from Lipman et al. 2023, "Flow matching for generative modeling", eq. 9, and Song et al. 2021, eq. 13.

    >>> from sandbox.score_matching.processes import linear_path
    >>> flow_weighting(linear_path(), jnp.array([0.5]))
    Array([2.], dtype=float32)
    """
    return 0.5 * drift_and_diffusion(process, time)[1] ** 2


def edm_weighting(sigma_data: float) -> Weighting:
    """EDM's: the output of its preconditioned network is told equally well at every level, of variance 1.

    λ = 2 σ² (ς² + σ_d²) / σ_d²,   ς = σ / α.

    Args:
      sigma_data: σ_d > 0, standard deviation of a number of the data.
    Returns:
      (process, time) -> (N,), in squared units of x.
    Raises:
      ValueError: sigma_data is not above 0.
    Source: Karras et al. 2022, table 1.

    >>> from sandbox.score_matching.processes import by_level
    >>> edm_weighting(1.0)(by_level(), jnp.array([3.0]))
    Array([180.], dtype=float32)
    """
    if not sigma_data > 0:
        raise ValueError(f"sigma_data must be above 0, got {sigma_data}: data of zero variance have no score")

    def weighting(process: Process, time: jax.Array) -> jax.Array:
        sigma = process.level(time)
        return 2 * sigma**2 * ((sigma / process.scale(time) / sigma_data) ** 2 + 1)

    return weighting


WEIGHTINGS = MappingProxyType({
    "noise": noise_weighting, "likelihood": likelihood_weighting, "one": unit_weighting, "flow": flow_weighting})
"""By name; `edm_weighting` asks for the data's standard deviation first."""
