"""What every loss of this wing is computed on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.score_matching.processes import Process

__all__ = ["Noised", "require_batch", "without_padding"]


class Noised(NamedTuple):
    """Data, and what a loss draws for them.

    x: clean, (N, *shape) floating. noise: ε ~ N(0, I), same shape. time: (N,), in the process's interval.
    projections: (N, P, *shape), P may be 0 where no loss asks for them. weights: (N,) >= 0, 0 for padding.
    conditions: arrays (N, ...), labels say, that the score takes after its time.
    """

    x: jax.Array
    noise: jax.Array
    time: jax.Array
    projections: jax.Array
    weights: jax.Array
    conditions: tuple[jax.Array, ...] = ()


def require_batch(batch: Noised) -> None:
    """Refuse a batch whose shapes or types do not fit together.

    Args:
      batch: any.
    Raises:
      ValueError: the batch has no row.
      ValueError: noise does not have the shape of x.
      ValueError: time, weights and conditions do not have the rows of x.
      ValueError: projections are not (N, P, *shape).
      TypeError: x, noise, time or projections are not floating.

    >>> require_batch(Noised(jnp.ones((1, 2)), jnp.ones(1), jnp.ones(1), jnp.ones((1, 1, 2)), jnp.ones(1)))
    Traceback (most recent call last):
    ...
    ValueError: noise must have the shape of x, (1, 2), got (1,)
    """
    x, noise, time, projections, weights, conditions = batch
    rows = x.shape[:1]
    if rows == (0,):
        raise ValueError(f"a batch must have a row or more, got x {x.shape}")
    if noise.shape != x.shape:
        raise ValueError(f"noise must have the shape of x, {x.shape}, got {noise.shape}")
    others = [time.shape, weights.shape, *(condition.shape for condition in conditions)]
    if not rows or others[:2] != [rows, rows] or any(other[:1] != rows for other in others):
        raise ValueError(f"time, weights and conditions must have the rows of x, {x.shape}, got "
                         f"{', '.join(str(shape) for shape in others)}")
    if projections.ndim != x.ndim + 1 or (*projections.shape[:1], *projections.shape[2:]) != x.shape:
        raise ValueError(f"projections must be (N, P, *shape) of x {x.shape}, got {projections.shape}")
    for name, values in zip(Noised._fields, batch[:4]):
        if not jnp.issubdtype(values.dtype, jnp.floating):
            raise TypeError(f"{name} must be floating, got {values.dtype}")


def without_padding(batch: Noised, process: Process) -> Noised:
    """The batch with 0 for whatever rows of weight 0 hold, and a time that has noise: NaN times 0 is NaN in a gradient.

    Args:
      batch: Noised. process: whose last time padding gets.
    Returns:
      Noised.

    >>> from sandbox.score_matching.processes import by_level
    >>> x, time = jnp.array([[jnp.nan]]), jnp.array([jnp.nan])
    >>> batch = without_padding(Noised(x, x, time, jnp.ones((1, 0, 1)), jnp.zeros(1)), by_level())
    >>> float(batch.x[0, 0]), float(batch.time[0])
    (0.0, 80.0)
    """
    real = batch.weights > 0
    kept = jax.tree.map(lambda leaf: jnp.where(real.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, jnp.zeros_like(leaf)),
                        batch)
    return kept._replace(time=jnp.where(real, batch.time, jnp.asarray(process.t_max, batch.time.dtype)))
