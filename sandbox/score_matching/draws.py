"""All that is random in score matching: times and levels, noise, projections."""

import math

import jax
import jax.numpy as jnp

from sandbox.score_matching.batches import Noised

__all__ = ["draw_log_normal_levels", "draw_log_uniform_levels", "draw_noised", "draw_projections", "draw_times"]


def draw_times(key: jax.Array, num: int, low: float | jax.Array, high: float | jax.Array) -> jax.Array:
    """Uniform times, one in each of N equal parts of the interval, in order: a regular grid with one uniform shift.

    t_n = low + (high − low) (n + u) / N. A mean over them varies less than over independent ones.

    Args:
      key: PRNG key. num: N, at least 1. low, high: ends of the interval.
    Returns:
      (N,) in [low, high].
    Raises:
      ValueError: num is below 1.
    Source: Kingma et al. 2021, "Variational diffusion models", section 5 and appendix I.1.

    >>> times = draw_times(jax.random.key(0), 4, 0.0, 4.0)
    >>> jnp.floor(times)
    Array([0., 1., 2., 3.], dtype=float32)
    """
    return jnp.clip(low + (high - low) * _shares(key, num), low, high)


def draw_log_uniform_levels(key: jax.Array, num: int, low: float, high: float) -> jax.Array:
    """Levels with log σ uniform, in order, as `draw_times` draws them.

    Args:
      key: PRNG key. num: N, at least 1. low, high: least and largest level, in the units of x.
    Returns:
      (N,) in [low, high].
    Raises:
      ValueError: num is below 1.
      ValueError: not 0 < low < high.

    >>> jnp.floor(jnp.log2(draw_log_uniform_levels(jax.random.key(0), 3, 1.0, 8.0)))
    Array([0., 1., 2.], dtype=float32)
    """
    if not 0 < low < high:
        raise ValueError(f"low and high must be 0 < low < high, got {low}, {high}")
    return jnp.clip(jnp.exp(math.log(low) + math.log(high / low) * _shares(key, num)), low, high)


def draw_log_normal_levels(key: jax.Array, num: int, mean: float = -1.2, std: float = 1.2) -> jax.Array:
    """EDM's levels for training, log σ ~ N(mean, std²): one in each of N parts of equal chance, in order.

    log σ_n = mean + std Φ⁻¹((n + u) / N).

    Args:
      key: PRNG key. num: N, at least 1. mean, std: of log σ.
    Returns:
      (N,) above 0, in the units of x.
    Raises:
      ValueError: num is below 1.
    Source: Karras et al. 2022, table 1.

    >>> jnp.log(draw_log_normal_levels(jax.random.key(0), 2)) < -1.2
    Array([ True, False], dtype=bool)
    """
    shares = _shares(key, num)
    tiny = jnp.finfo(shares.dtype).eps
    return jnp.exp(mean + std * jax.scipy.special.ndtri(jnp.clip(shares, tiny, 1 - tiny)))


def draw_projections(key: jax.Array, shape: tuple[int, ...], num: int, kind: str = "rademacher") -> jax.Array:
    """Directions v of each row with E v vᵀ = I.

    Args:
      key: PRNG key. shape: of the rows, (N, *shape), D numbers each. num: P, of each row's directions.
      kind: "rademacher", signs: of the three, Hutchinson's trace varies least; "normal"; or "sphere", of length √D.
    Returns:
      (N, P, *shape).
    Raises:
      ValueError: kind is none of the three.
    Source: Song, Garg, Shi, Ermon 2019, "Sliced score matching", section 3.1; Hutchinson 1990.

    >>> jnp.sum(draw_projections(jax.random.key(0), (1, 4), 2) ** 2, axis=2)
    Array([[4., 4.]], dtype=float32)
    """
    if kind not in ("rademacher", "normal", "sphere"):
        raise ValueError(f"kind must be rademacher, normal or sphere, got {kind!r}")
    of_all = (shape[0], num, *shape[1:])
    if kind == "rademacher":
        return jax.random.rademacher(key, of_all, jnp.result_type(float))
    v = jax.random.normal(key, of_all)
    if kind == "normal":
        return v
    squares = jnp.sum(v**2, axis=tuple(range(2, v.ndim)), keepdims=True)
    return v * jnp.sqrt(math.prod(shape[1:]) / squares)


def draw_noised(key: jax.Array, x: jax.Array, times: jax.Array, *, num_projections: int = 0, kind: str = "rademacher",
                weights: jax.Array | None = None, conditions: tuple[jax.Array, ...] = ()) -> Noised:
    """A batch for every loss: rows of data, with noise and projections drawn for them.

    Args:
      key: PRNG key. x: data, (N, *shape) floating. times: (N,), from `draw_times` or the levels above, say.
      num_projections, kind: see `draw_projections`.
      weights: (N,) >= 0, 0 for padding; 1 if none are given. conditions: arrays (N, ...).
    Returns:
      Noised.
    Raises:
      ValueError: times are not one a row.

    >>> batch = draw_noised(jax.random.key(0), jnp.ones((3, 2)), jnp.ones(3), num_projections=1)
    >>> batch.noise.shape, batch.projections.shape
    ((3, 2), (3, 1, 2))
    """
    if times.shape != x.shape[:1]:
        raise ValueError(f"times must be one a row of x, {x.shape[:1]}, got {times.shape}")
    of_noise, of_projections = jax.random.split(key)
    return Noised(x, jax.random.normal(of_noise, x.shape, x.dtype), times,
                  draw_projections(of_projections, x.shape, num_projections, kind).astype(x.dtype),
                  jnp.ones(x.shape[:1], x.dtype) if weights is None else weights, conditions)


def _shares(key: jax.Array, num: int) -> jax.Array:
    """(n + u) / N, u uniform in [0, 1) and the same for all n."""
    if num < 1:
        raise ValueError(f"num must be at least 1, got {num}")
    return (jnp.arange(num) + jax.random.uniform(key)) / num
