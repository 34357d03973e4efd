"""What every sampler returns, how it begins, and how those that add noise go on."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Moves", "Sampled", "begin", "score_at", "walk"]


class Sampled(NamedTuple):
    """samples: (N, *shape), where the path ends. path: (n + 1, N, *shape), from the start on; costs nothing in a
    compiled function that does not return it."""

    samples: jax.Array
    path: jax.Array


class Moves(NamedTuple):
    """x ← keep x + gain s(x, time) + spread z,   z ~ N(0, I): arrays (M,), a move after the other.

    time: where the score is asked for, a level or a time of its process.
    """

    time: jax.Array
    keep: jax.Array
    gain: jax.Array
    spread: jax.Array


def begin(key: jax.Array, shape: tuple[int, ...], sigma: float | jax.Array, start: jax.Array | None) -> jax.Array:
    """The start that was given, or noise of the first level: σ z.

    Args:
      key: PRNG key. shape: (N, ...). sigma: σ > 0. start: (N, ...) or None.
    Returns:
      (N, ...) floating.
    Raises:
      ValueError: shape has no axis of rows.
      ValueError: start has another shape.

    >>> begin(jax.random.key(0), (3, 2), 4.0, None).shape
    (3, 2)
    """
    shape = tuple(shape)
    if not shape:
        raise ValueError("shape must be (N, ...), got ()")
    if start is None:
        return sigma * jax.random.normal(key, shape)
    if start.shape != shape:
        raise ValueError(f"start must have the shape asked for, {shape}, got {start.shape}")
    return jnp.asarray(start, jnp.result_type(start, float))


def score_at(score_fn: Callable[..., jax.Array], x: jax.Array, time: jax.Array) -> jax.Array:
    """The score of all rows at one level or time.

    Args:
      score_fn: (x, time (N,)) -> (N, *shape). x: (N, *shape). time: scalar.
    Returns:
      (N, *shape).
    Raises:
      ValueError: score_fn does not return the shape of x.

    >>> score_at(lambda x, level: -x / level[:, None] ** 2, jnp.ones((1, 2)), jnp.array(2.0))
    Array([[-0.25, -0.25]], dtype=float32)
    """
    score = score_fn(x, jnp.broadcast_to(jnp.asarray(time, x.dtype), x.shape[:1]))
    if score.shape != x.shape:
        raise ValueError(f"score_fn must return the shape of x, {x.shape}, got {score.shape}")
    return score


def walk(key: jax.Array, start: jax.Array, *, score_fn: Callable[..., jax.Array], moves: Moves,
         ends: np.ndarray | None = None) -> Sampled:
    """Moves one after the other, the score compiled once for all of them.

    Args:
      key: PRNG key, of the noise. start: (N, *shape). score_fn: see `score_at`. moves: M of them.
      ends: the numbers of the moves after which the path is told, the last one among them; None for all.
    Returns:
      Sampled.
    Raises:
      ValueError: score_fn does not return the shape of x.

    >>> to_zero = Moves(*np.array([[2.0], [1.0], [4.0], [0.0]]))  # one step of the denoiser, of data that are all 0
    >>> walk(jax.random.key(0), jnp.ones((1, 2)), score_fn=lambda x, level: -x / level[:, None] ** 2,
    ...      moves=to_zero).samples
    Array([[0., 0.]], dtype=float32)
    """
    def move(x: jax.Array, now: tuple[Moves, jax.Array]) -> tuple[jax.Array, jax.Array]:
        (time, keep, gain, spread), of_noise = now
        noise = jax.random.normal(of_noise, x.shape, x.dtype)
        x = keep * x + gain * score_at(score_fn, x, time) + spread * noise
        return x, x

    arrays = Moves(*(jnp.asarray(array, start.dtype) for array in moves))
    samples, visited = jax.lax.scan(move, start, (arrays, jax.random.split(key, len(arrays.time))))
    told = visited if ends is None else visited[ends]
    return Sampled(samples, jnp.concatenate([start[None], told]))
