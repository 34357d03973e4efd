"""How data become noise: x_t = α(t) x + σ(t) ε, one process for each pair of functions."""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.tracing import is_concrete

__all__ = [
    "PROCESSES", "Process", "by_level", "drift_and_diffusion", "linear_path", "per_row", "perturbed", "require_times",
    "sub_variance_preserving", "variance_exploding", "variance_preserving",
]


class Process(NamedTuple):
    """x_t = α(t) x + σ(t) ε, ε ~ N(0, I), for t in [t_min, t_max].

    scale: α > 0, level: σ > 0, of times of any shape, elementwise. σ in the units of x.
    """

    scale: Callable[[jax.Array], jax.Array]
    level: Callable[[jax.Array], jax.Array]
    t_min: float
    t_max: float


def by_level(sigma_min: float = 0.002, sigma_max: float = 80.0) -> Process:
    """Time is the noise level itself: α = 1, σ(t) = t.

    Args:
      sigma_min, sigma_max: first and last level, in the units of x.
    Raises:
      ValueError: not 0 < sigma_min < sigma_max.
    Source: Karras et al. 2022, "Elucidating the design space of diffusion-based generative models", table 1.

    >>> by_level().level(jnp.array([0.5]))
    Array([0.5], dtype=float32)
    """
    _ordered("sigma_min", sigma_min, "sigma_max", sigma_max)
    return Process(jnp.ones_like, lambda t: t, sigma_min, sigma_max)


def variance_exploding(sigma_min: float = 0.01, sigma_max: float = 50.0) -> Process:
    """Levels that grow by the same factor in the same time: α = 1, σ(t) = σ_min (σ_max / σ_min)ᵗ, t in [0, 1].

    Args:
      sigma_min, sigma_max: first and last level, in the units of x.
    Raises:
      ValueError: not 0 < sigma_min < sigma_max.
    Source: Song et al. 2021, "Score-based generative modeling through stochastic differential equations", eq. 31.

    >>> variance_exploding(1.0, 4.0).level(jnp.array([0.5]))
    Array([2.], dtype=float32)
    """
    _ordered("sigma_min", sigma_min, "sigma_max", sigma_max)
    return Process(jnp.ones_like, lambda t: sigma_min * jnp.exp(np.log(sigma_max / sigma_min) * t), 0.0, 1.0)


def variance_preserving(beta_min: float = 0.1, beta_max: float = 20.0, t_min: float = 1e-5) -> Process:
    """Data of variance 1 keep it: log α(t) = −½ ∫₀ᵗ β, σ² = 1 − α², β(t) = β_min + t (β_max − β_min), t in [t_min, 1].

    Args:
      beta_min, beta_max: β at times 0 and 1, per unit of time. t_min: first time, above 0, where σ is.
    Raises:
      ValueError: not 0 < beta_min < beta_max, or not 0 < t_min < 1.
    Source: Song et al. 2021, eq. 33.

    >>> process = variance_preserving()
    >>> (process.scale(jnp.ones(1)) ** 2 + process.level(jnp.ones(1)) ** 2).round(6)
    Array([1.], dtype=float32)
    """
    log_scale = _log_scale(beta_min, beta_max, t_min)
    return Process(lambda t: jnp.exp(log_scale(t)), lambda t: jnp.sqrt(-jnp.expm1(2 * log_scale(t))), t_min, 1.0)


def sub_variance_preserving(beta_min: float = 0.1, beta_max: float = 20.0, t_min: float = 1e-5) -> Process:
    """The α of `variance_preserving`, and less noise: σ = 1 − α².

    Args:
      beta_min, beta_max: β at times 0 and 1, per unit of time. t_min: first time, above 0, where σ is.
    Raises:
      ValueError: not 0 < beta_min < beta_max, or not 0 < t_min < 1.
    Source: Song et al. 2021, section 3.4.

    >>> process = sub_variance_preserving()
    >>> process.scale(jnp.ones(1)) ** 2 + process.level(jnp.ones(1))
    Array([1.], dtype=float32)
    """
    log_scale = _log_scale(beta_min, beta_max, t_min)
    return Process(lambda t: jnp.exp(log_scale(t)), lambda t: -jnp.expm1(2 * log_scale(t)), t_min, 1.0)


def linear_path(t_min: float = 1e-3, t_max: float = 1 - 1e-3) -> Process:
    """The straight line from data to noise: α = 1 − t, σ = t.

    Args:
      t_min, t_max: first time, after 0, and last, before 1, where α is 0.
    Raises:
      ValueError: not 0 < t_min < t_max < 1.
    Source: Liu, Gong, Liu 2023, "Flow straight and fast"; Lipman et al. 2023, "Flow matching", eq. 22 at σ_min = 0.

    >>> linear_path().scale(jnp.array([0.25]))
    Array([0.75], dtype=float32)
    """
    _ordered("t_min", t_min, "t_max", t_max, 1.0)
    return Process(lambda t: 1 - t, lambda t: t, t_min, t_max)


PROCESSES = MappingProxyType({constructor.__name__: constructor for constructor in (
    by_level, variance_exploding, variance_preserving, sub_variance_preserving, linear_path)})
"""Constructors by their own names."""


def perturbed(process: Process, x: jax.Array, noise: jax.Array, time: jax.Array) -> jax.Array:
    """x_t = α(t) x + σ(t) ε.

    Args:
      process: α, σ. x, noise: (N, *shape). time: (N,), or one for all.
    Returns:
      (N, *shape).

    >>> perturbed(linear_path(), jnp.ones((1, 2)), jnp.zeros((1, 2)), jnp.array([0.25]))
    Array([[0.75, 0.75]], dtype=float32)
    """
    return per_row(process.scale(time), x) * x + per_row(process.level(time), x) * noise


def drift_and_diffusion(process: Process, time: jax.Array) -> tuple[jax.Array, jax.Array]:
    """f and g² of the equation dx = f x dt + g dw that has the process's marginals.

    f = α'/α,   g² = (σ²)' − 2 f σ².

    Args:
      process: α, σ. time: of any shape.
    Returns:
      f (per unit of time), g² (squared units of x per unit of time), each of time's shape.
    Source: Kingma et al. 2021, "Variational diffusion models"; Karras et al. 2022, appendix B.

    >>> f, g2 = drift_and_diffusion(linear_path(), jnp.array([0.5]))
    >>> float(f[0]), float(g2[0])
    (-2.0, 2.0)
    """
    alpha, alpha_rate = _with_rate(process.scale, time)
    sigma, sigma_rate = _with_rate(process.level, time)
    f = alpha_rate / alpha
    return f, 2 * sigma * (sigma_rate - f * sigma)


def require_times(process: Process, time: jax.Array | np.ndarray | float) -> None:
    """Refuse a time outside the process's interval, on the host; what is traced passes.

    Args:
      process: t_min, t_max. time: of any shape.
    Raises:
      ValueError: a time is not in [t_min, t_max].

    >>> require_times(linear_path(), 1.0)
    Traceback (most recent call last):
    ...
    ValueError: time must be in [0.001, 0.999], got 1.0
    """
    if not is_concrete(time):
        return
    times = np.atleast_1d(np.asarray(time))
    # In the precision of the times: of a float32 0.999 it shall not be said that it is above 0.999.
    low, high = (np.asarray(bound, times.dtype if times.dtype.kind == "f" else float)
                 for bound in (process.t_min, process.t_max))
    outside = ~((low <= times) & (times <= high))
    if np.any(outside):
        raise ValueError(f"time must be in [{process.t_min}, {process.t_max}], got {times[outside][0]}")


def per_row(values: jax.Array | float, x: jax.Array) -> jax.Array | float:
    """One number a row, in the shape that multiplies rows.

    Args:
      values: (N,), or one for all. x: (N, *shape).
    Returns:
      (N, 1, ...), as many axes as x; one for all as it is.

    >>> per_row(jnp.array([2.0, 3.0]), jnp.ones((2, 1)))
    Array([[2.],
           [3.]], dtype=float32)
    """
    return values if jnp.ndim(values) == 0 else jnp.reshape(values, (-1, *[1] * (x.ndim - 1)))


def _with_rate(function: Callable[[jax.Array], jax.Array], time: jax.Array) -> tuple[jax.Array, jax.Array]:
    time = jnp.asarray(time)
    return jax.jvp(function, (time,), (jnp.ones_like(time),))


def _log_scale(beta_min: float, beta_max: float, t_min: float) -> Callable[[jax.Array], jax.Array]:
    _ordered("beta_min", beta_min, "beta_max", beta_max)
    if not 0 < t_min < 1:
        raise ValueError(f"t_min must be above 0 and below 1, got {t_min}")
    return lambda t: -0.5 * t * (beta_min + 0.5 * t * (beta_max - beta_min))


def _ordered(low_name: str, low: float, high_name: str, high: float, below: float = np.inf) -> None:
    if not 0 < low < high < below:
        bound = "" if below == np.inf else f" < {below:g}"
        raise ValueError(f"{low_name} and {high_name} must be 0 < {low_name} < {high_name}{bound}, got {low}, {high}")
