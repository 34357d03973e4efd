"""Noise levels to go through, from most to least: NumPy arrays, known before anything is compiled."""

import math

import numpy as np

from sandbox.tracing import is_concrete

__all__ = ["edm_levels", "geometric_levels", "require_falling", "require_levels", "tangent_levels", "with_zero"]


def edm_levels(steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> np.ndarray:
    """Levels whose ρ-th roots are evenly spaced: the higher ρ, the more of them near the data.

    σ_i = (σ_max^(1/ρ) + i/n (σ_min^(1/ρ) − σ_max^(1/ρ)))^ρ,   i = 0 ... n.

    Args:
      steps: n >= 1. sigma_min, sigma_max: last and first level, in the units of x. rho: ρ > 0.
    Returns:
      (n + 1,) falling; `with_zero` ends them in 0.
    Raises:
      ValueError: steps is below 1.
      ValueError: not 0 < sigma_min < sigma_max.
      ValueError: rho is not above 0.
    Source: Karras et al. 2022, "Elucidating the design space of diffusion-based generative models", eq. 5.

    >>> edm_levels(2, 1.0, 9.0, rho=2.0).tolist()
    [9.0, 4.0, 1.0]
    """
    _check(steps, sigma_min, sigma_max)
    if not rho > 0:
        raise ValueError(f"rho must be above 0, got {rho}")
    levels = np.linspace(sigma_max ** (1 / rho), sigma_min ** (1 / rho), steps + 1) ** rho
    levels[[0, -1]] = sigma_max, sigma_min  # to the bit, for a process whose bounds they are
    return levels


def geometric_levels(steps: int, sigma_min: float = 0.01, sigma_max: float = 50.0) -> np.ndarray:
    """Levels that fall by the same factor: σ_i = σ_max (σ_min / σ_max)^(i/n),   i = 0 ... n.

    Args:
      steps: n >= 1. sigma_min, sigma_max: last and first level, in the units of x.
    Returns:
      (n + 1,) falling; `with_zero` ends them in 0.
    Raises:
      ValueError: steps is below 1.
      ValueError: not 0 < sigma_min < sigma_max.
    Source: Song, Ermon 2019, "Generative modeling by estimating gradients of the data distribution", section 4.

    >>> geometric_levels(2, 1.0, 4.0).tolist()
    [4.0, 2.0, 1.0]
    """
    _check(steps, sigma_min, sigma_max)
    return np.geomspace(sigma_max, sigma_min, steps + 1)


def tangent_levels(steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, sigma_data: float = 1.0
                   ) -> np.ndarray:
    """Levels whose angles are evenly spaced, most of them where the noise is about as wide as the data.

    σ_i = σ_d tan θ_i,   θ_i from arctan(σ_max / σ_d) to arctan(σ_min / σ_d),   i = 0 ... n.

    For `log_likelihood`: in these angles the flow of Gaussian data of that width is a rotation.

    Args:
      steps: n >= 1. sigma_min, sigma_max: last and first level, in the units of x. sigma_data: σ_d > 0, same units;
        of data in clusters, between the width of one and of all.
    Returns:
      (n + 1,) falling; `with_zero` ends them in 0.
    Raises:
      ValueError: steps is below 1.
      ValueError: not 0 < sigma_min < sigma_max.
      ValueError: sigma_data is not above 0.
    Source: Lu, Song 2025, "Simplifying, stabilizing and scaling continuous-time consistency models", section 3.

    >>> tangent_levels(2, 1.0, 2 + 3**0.5).round(3).tolist()  # of 75, 60 and 45 degrees
    [3.732, 1.732, 1.0]
    """
    _check(steps, sigma_min, sigma_max)
    if not sigma_data > 0:
        raise ValueError(f"sigma_data must be above 0, got {sigma_data}")
    angles = np.linspace(math.atan(sigma_max / sigma_data), math.atan(sigma_min / sigma_data), steps + 1)
    return sigma_data * np.tan(angles)


def with_zero(levels: np.ndarray) -> np.ndarray:
    """The levels, and 0: a sampler's last step is then to what the denoiser sees in the last noise.

    Args:
      levels: (n + 1,) falling, above 0.
    Returns:
      (n + 2,).
    Raises:
      ValueError: levels are not falling, above 0.

    >>> with_zero(geometric_levels(1, 1.0, 4.0)).tolist()
    [4.0, 1.0, 0.0]
    """
    return np.append(require_levels(levels, least=1, zero=False), 0.0)


def require_levels(levels: np.ndarray, *, least: int = 2, zero: bool = True) -> np.ndarray:
    """Levels as float64, or a refusal of what is none.

    Args:
      levels: (n + 1,), in the units of x. least: how many there must be. zero: whether the last may be 0.
    Returns:
      (n + 1,) float64.
    Raises:
      TypeError: levels are traced.
      ValueError: levels are not one axis of numbers, at least that many.
      ValueError: levels are not falling.
      ValueError: levels are not above 0, or the last not at least 0.

    >>> require_levels([1.0, 2.0])
    Traceback (most recent call last):
    ...
    ValueError: levels must fall from each to the next, got 1.0 before 2.0
    """
    levels = require_falling("levels", levels, least=least)
    if levels[-1] < 0 or (levels[-1] == 0 and not (zero and len(levels) > 1)):
        raise ValueError(f"levels must be above 0{', or end in 0' if zero else ''}, got {levels[-1]}")
    return levels


def require_falling(name: str, values: np.ndarray, *, least: int = 2) -> np.ndarray:
    """Falling numbers as float64, or a refusal of what is none.

    Args:
      name: what to call them. values: (n + 1,). least: how many there must be.
    Returns:
      (n + 1,) float64.
    Raises:
      TypeError: values are traced.
      ValueError: values are not one axis of numbers, at least that many.
      ValueError: values are not falling.

    >>> require_falling("times", np.array([1.0, 0.5]))
    array([1. , 0.5])
    """
    if not is_concrete(values):
        raise TypeError(f"{name} must be known when the sampler is compiled, got traced {values.shape}")
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) < least:
        raise ValueError(f"{name} must be (n + 1,), at least {least} for one step or more, got {values.shape}")
    wrong, = np.nonzero(~(np.diff(values) < 0) | ~np.isfinite(values[:-1]))
    if len(wrong):
        raise ValueError(f"{name} must fall from each to the next, got {values[wrong[0]]} before "
                         f"{values[wrong[0] + 1]}")
    return values


def _check(steps: int, sigma_min: float, sigma_max: float) -> None:
    if not steps >= 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if not 0 < sigma_min < sigma_max < np.inf:
        raise ValueError(f"levels must be 0 < sigma_min < sigma_max, got {sigma_min} and {sigma_max}")
