"""Exact log density by the probability flow: where a point is carried by it, and how much its surroundings stretch."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.score_matching.levels import require_levels
from sandbox.score_matching.runge_kutta import RK4, Stages, Standing, advance, in_dtype, stages_of, standing
from sandbox.score_matching.sampled import score_at
from sandbox.score_matching.traces import exact_trace, quadratic_forms

__all__ = ["Likelihood", "bits_per_dim", "flow_field", "log_likelihood"]


class Likelihood(NamedTuple):
    """log_density: (N,), nats. latents: where the flow carried the points, at the first of the levels, (N, *shape).
    standard_error: of log_density, by the spread over the projections, (N,), nats, NaN for one; None if exact."""

    log_density: jax.Array
    latents: jax.Array
    standard_error: jax.Array | None


def flow_field(score_fn: Callable[..., jax.Array], projections: jax.Array | None = None, *, at_once: int = 1
               ) -> Callable[[jax.Array, tuple[jax.Array, jax.Array]], tuple[jax.Array, jax.Array]]:
    """The probability flow with the log density that it carries along, by the level, for any solver.

    dx/dσ = −σ s(x, σ),   d log p/dσ = σ tr ∂s/∂x.

    Args:
      score_fn: s, (x, level (N,)) -> (N, *shape). projections: (N, P, *shape), for `quadratic_forms` in place of the
        trace; None for the exact trace. at_once: see `exact_trace`.
    Returns:
      (level, (x, log density)) -> their slopes, (N, *shape) and (N,), or (N, P) with projections. From levels[-1] to
      levels[0] the log density changes by log p(x at levels[0]) − log p(x at levels[-1]).
    Raises:
      ValueError: when called, projections are not (N, P, *shape).
      ValueError: when called, at_once is below 1.
      ValueError: when called, score_fn does not return the shape of x.
    Source: Song et al. 2021, "Score-based generative modeling through stochastic differential equations", eq. 39; Chen
      et al. 2018, "Neural ordinary differential equations", theorem 1.

    >>> field = flow_field(lambda x, level: -x / (1 + level[:, None] ** 2))
    >>> velocity, stretch = field(jnp.array(1.0), (jnp.ones((1, 2)), jnp.zeros(1)))
    >>> velocity, stretch
    (Array([[0.5, 0.5]], dtype=float32), Array([-1.], dtype=float32))
    """
    def field(level: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        def score(x: jax.Array) -> jax.Array:
            return score_at(score_fn, x, level)

        x, _ = state
        of_score, trace = (exact_trace(score, x, at_once=at_once) if projections is None else
                           quadratic_forms(score, x, projections))
        return -level * of_score, level * trace

    return field


def log_likelihood(x: jax.Array, *, score_fn: Callable[..., jax.Array], levels: np.ndarray, sigma_data: float,
                   mean: float | jax.Array = 0.0, projections: jax.Array | None = None, at_once: int = 1
                   ) -> Likelihood:
    """log p(x) of the model whose samples the probability flow makes, at the lowest of the levels.

    With y = (x − m) / √(σ² + σ_d²) and σ = σ_d tan θ, the flow is dy/dθ = −F, F what a preconditioned network puts out,
    0 for data N(m, σ_d² I). By the classical Runge–Kutta method over θ, upwards,

    log p(x) = log N(y(θ_max); 0, I) − D log √(σ_min² + σ_d²) − ∫ tr ∂F/∂y dθ.

    Four evaluations a step. The prior, N(m, (σ_max² + σ_d²) I), has the data's mean and width, so that σ_max need not
    be beyond all measure. `tangent_levels` are the levels for it.

    Args:
      x: (N, *shape) floating. score_fn: s, (x, level (N,)) -> (N, *shape).
      levels: (n + 1,) falling, above 0, as for samplers, in the units of x.
      sigma_data: σ_d > 0, standard deviation of a number of the data. mean: m, a number or (*shape).
      projections: (N, P, *shape) of E v vᵀ = I, the same all along the flow, for the trace by Hutchinson's estimate;
        None for the exact one. at_once: see `exact_trace`.
    Returns:
      Likelihood; the log density is that of data with noise of levels[-1].
    Raises:
      TypeError: x is not floating.
      TypeError: levels are traced.
      ValueError: levels are fewer than two, not falling, or not above 0.
      ValueError: sigma_data is not above 0.
      ValueError: mean is neither a number nor of the shape of a row.
      ValueError: projections are not (N, P, *shape), P at least 1.
      ValueError: at_once is below 1.
      ValueError: score_fn does not return the shape of x.
    Source: Song et al. 2021, eq. 39 and 40; the coordinates, Karras et al. 2022, eq. 7, and Lu, Song 2025,
      "Simplifying, stabilizing and scaling continuous-time consistency models", section 3.

    >>> of_normal = lambda x, level: -x / (1 + level[:, None] ** 2)
    >>> found = log_likelihood(jnp.zeros((1, 2)), score_fn=of_normal, levels=np.array([80.0, 0.001]), sigma_data=1.0)
    >>> round(float(found.log_density[0]), 4)  # −log 2π
    -1.8379
    """
    levels = require_levels(levels, zero=False)
    _check(x, sigma_data, mean, projections)
    middle = jnp.broadcast_to(jnp.asarray(mean, x.dtype), x.shape[1:])[None]
    D = math.prod(x.shape[1:])
    low, high = (math.hypot(level, sigma_data) for level in (levels[-1], levels[0]))
    field = flow_field(score_fn, projections, at_once=at_once)

    def evaluate(now: Standing, what: tuple[Stages, jax.Array, jax.Array]) -> tuple[Standing, None]:
        stage, sigma, width = what
        y, _ = now.point
        velocity, stretch = field(sigma, (middle + width * y, now.point[1]))
        # What is left when the growth of the width itself, σ/width of y and D σ/width² of the trace, is taken out.
        to_angle = width / sigma_data
        slope = (velocity - sigma / width * y) * to_angle, (stretch * width + D * sigma / width) * to_angle
        return advance(now, slope, stage), None

    angles = np.arctan(levels[::-1] / sigma_data)
    stages = stages_of(angles[:-1], angles[1:], [RK4] * (len(levels) - 1))
    start = (x - middle) / low, jnp.zeros(x.shape[:1] if projections is None else projections.shape[:2], x.dtype)
    sigmas, widths = (jnp.asarray(sigma_data * of, x.dtype) for of in (np.tan(stages.at), 1 / np.cos(stages.at)))
    end, _ = jax.lax.scan(evaluate, standing(start), (in_dtype(stages, x.dtype), sigmas, widths))
    y, gained = end.point
    normal = -0.5 * jnp.sum(y**2, axis=tuple(range(1, y.ndim))) - D * (0.5 * math.log(2 * math.pi) + math.log(low))
    latents = middle + high * y
    if projections is None:
        return Likelihood(normal - gained, latents, None)
    P = projections.shape[1]
    spread = jnp.sqrt(jnp.sum((gained - jnp.mean(gained, axis=1, keepdims=True)) ** 2, axis=1) / (P * (P - 1))
                      ) if P > 1 else jnp.full(x.shape[:1], jnp.nan, x.dtype)
    return Likelihood(normal - jnp.mean(gained, axis=1), latents, spread)


def bits_per_dim(log_density: jax.Array, num_dims: int, bin_width: float = 1.0) -> jax.Array:
    """Bits a number to tell data of whole numbers that were dequantised and scaled: −log₂ (p wᴰ) / D.

    Args:
      log_density: log p, nats, of any shape. num_dims: D >= 1, numbers a row.
      bin_width: w > 0, the distance of neighbouring whole numbers, in the units of x.
    Returns:
      Of the same shape; an upper bound of what the discrete model takes, on average over the dequantisation.
    Raises:
      ValueError: num_dims is below 1.
      ValueError: bin_width is not above 0.
    Source: Theis, van den Oord, Bethge 2016, "A note on the evaluation of generative models", section 3.1.

    >>> bits_per_dim(jnp.log(jnp.array([0.5**8])), 4, bin_width=0.5)  # 8 bits for 4 numbers, and one for each halving
    Array([3.], dtype=float32)
    """
    if not num_dims >= 1:
        raise ValueError(f"num_dims must be at least 1, got {num_dims}")
    if not bin_width > 0:
        raise ValueError(f"bin_width must be above 0, got {bin_width}")
    return -log_density / (num_dims * math.log(2)) - math.log2(bin_width)


def _check(x: jax.Array, sigma_data: float, mean: float | jax.Array, projections: jax.Array | None) -> None:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"x must be floating, got {x.dtype}")
    if not sigma_data > 0:
        raise ValueError(f"sigma_data must be above 0, got {sigma_data}")
    if jnp.shape(mean) not in ((), x.shape[1:]):
        raise ValueError(f"mean must be a number or of the shape of a row, {x.shape[1:]}, got {jnp.shape(mean)}")
    if projections is not None and (projections.ndim != x.ndim + 1 or projections.shape[1] < 1
                                    or (projections.shape[0], *projections.shape[2:]) != x.shape):
        raise ValueError(f"projections must be (N, P, *shape) with P of at least 1, got {projections.shape} for x "
                         f"{x.shape}")
