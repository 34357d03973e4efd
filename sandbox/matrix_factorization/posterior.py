"""What a sampler remembers: running moments at chosen pairs, and a ring of whole samples."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Kept", "Predictive", "State", "add", "empty_kept", "empty_predictive", "keep", "moments", "std"]


class Predictive(NamedTuple):
    """Running moments of T predictions over the samples so far.

    count (): samples. mean (T,): of the predictions, in rating units. scatter (T,): sum of squares about
    it. noise_variance (T,): mean variance of a rating about its prediction.
    """

    count: jax.Array  # pyright: ignore[reportIncompatibleMethodOverride]
    mean: jax.Array
    scatter: jax.Array
    noise_variance: jax.Array


class Kept(NamedTuple):
    """The last S samples kept: any pytree with a leading axis of S; count () says how many were ever kept."""

    count: jax.Array  # pyright: ignore[reportIncompatibleMethodOverride]
    samples: Any


class State(NamedTuple):
    """A chain: its key, the number of sweeps done, the current sample, and what it remembers."""

    key: jax.Array
    step: jax.Array
    sample: Any
    predictive: Predictive
    kept: Kept


def empty_predictive(size: int, dtype=jnp.float32) -> Predictive:
    """No sample yet, at T pairs.

    >>> empty_predictive(2).mean
    Array([0., 0.], dtype=float32)
    """
    return Predictive(jnp.zeros((), jnp.int32), *(jnp.zeros(size, dtype) for _ in range(3)))


def add(predictive: Predictive, prediction: jax.Array, noise_variance: jax.Array,
        use: jax.typing.ArrayLike = True) -> Predictive:
    """One more sample, where `use` holds; Welford's update, so that nothing large is subtracted.

    Args:
      predictive: so far.
      prediction: (T,) rating units. noise_variance: (T,) rating units squared.
      use: () bool.
    Returns:
      Predictive.
    Source: Welford 1962.

    >>> both = add(add(empty_predictive(1), jnp.array([1.0]), jnp.ones(1)), jnp.array([3.0]), jnp.ones(1))
    >>> both.mean, std(both)
    (Array([2.], dtype=float32), Array([1.], dtype=float32))
    """
    count = predictive.count + jnp.asarray(use, jnp.int32)
    step = jnp.where(use, 1 / jnp.maximum(count, 1).astype(prediction.dtype), 0)
    change = prediction - predictive.mean
    mean = predictive.mean + step * change
    scatter = predictive.scatter + jnp.where(use, change * (prediction - mean), 0)
    noise = predictive.noise_variance + step * (noise_variance - predictive.noise_variance)
    return Predictive(count, mean, scatter, noise)


def std(predictive: Predictive, *, of_rating: bool = False) -> jax.Array:
    """Posterior standard deviation of the mean rating, or of a new rating, noise and all.

    Args:
      predictive: of at least one sample.
      of_rating: add the noise.
    Returns:
      (T,) rating units.

    >>> std(add(empty_predictive(1), jnp.array([3.0]), jnp.array([0.25])), of_rating=True)
    Array([0.5], dtype=float32)
    """
    variance = predictive.scatter / jnp.maximum(predictive.count, 1)
    return jnp.sqrt(variance + predictive.noise_variance if of_rating else variance)


def empty_kept(sample: Any, size: int) -> Kept:
    """Room for S samples like this one.

    Raises:
      ValueError: size below 1.

    >>> empty_kept(jnp.ones(2), 3).samples.shape
    (3, 2)
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    samples = jax.tree.map(lambda leaf: jnp.zeros((size, *leaf.shape), leaf.dtype), sample)
    return Kept(jnp.zeros((), jnp.int32), samples)


def keep(kept: Kept, sample: Any, use: jax.typing.ArrayLike = True) -> Kept:
    """Put a sample in the place of the oldest, where `use` holds.

    >>> keep(keep(keep(empty_kept(jnp.array(0.0), 2), 1.0), 2.0), 3.0).samples
    Array([3., 2.], dtype=float32)
    """
    size = jax.tree.leaves(kept.samples)[0].shape[0]
    slot = jnp.where(use, kept.count % size, size)  # past the end: dropped
    samples = jax.tree.map(lambda ring, leaf: ring.at[slot].set(leaf, mode="drop"), kept.samples, sample)
    return Kept(kept.count + jnp.asarray(use, jnp.int32), samples)


def moments(kept: Kept, values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation over the kept samples of something computed from each.

    Args:
      kept: says how many of its S places are filled, at least one.
      values: (S, ...).
    Returns:
      Two of (...).

    >>> moments(Kept(jnp.array(2), None), jnp.array([1.0, 3.0, 100.0]))
    (Array(2., dtype=float32), Array(1., dtype=float32))
    """
    filled = jnp.expand_dims(jnp.arange(values.shape[0]) < kept.count, tuple(range(1, values.ndim)))
    count = jnp.clip(kept.count, 1, values.shape[0]).astype(values.dtype)
    mean = jnp.sum(jnp.where(filled, values, 0), axis=0) / count
    squares = jnp.where(filled, (values - mean[None]) ** 2, 0)
    return mean, jnp.sqrt(jnp.sum(squares, axis=0) / count)
