"""Pooling: the average, or the largest, of what a window sees."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from sandbox.convolution.geometry import Geometry, Padding, Sizes, each_axis, geometry_of
from sandbox.convolution.taps import added, seen_by_taps

__all__ = ["average_pool", "largest_seen", "max_pool", "places_seen", "window_of"]


def average_pool(x: jax.Array, *, window: int | Sequence[int], strides: int | Sequence[int] | None = None,
                 padding: Padding = "VALID") -> jax.Array:
    """y[n, p, c] = mean over the places of the input, not of the padding, that the window at p sees; 0 if none.

    A term a place of the window is written out: for the mean over all places, take jnp.mean.

    Args:
      x: (N, *size, C) floating. window: places on a side, or of each axis. strides: as the window, if none are given.
      padding: see `geometry_of`.
    Returns:
      (N, *output_size, C).
    Raises:
      TypeError: x is not floating.
      ValueError: x has no spatial axis; window, strides or padding that cannot be, see `geometry_of`.

    >>> average_pool(jnp.array([1.0, 3.0, 5.0, 7.0]).reshape(1, 4, 1), window=2).ravel()
    Array([2., 6.], dtype=float32)
    """
    geometry, size = window_of(x, window, strides, padding)
    summed = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    total = added(seen for _, seen in seen_by_taps(summed, geometry, size))
    return (total / jnp.maximum(places_seen(x, geometry, size), 1)).astype(x.dtype)


def max_pool(x: jax.Array, *, window: int | Sequence[int], strides: int | Sequence[int] | None = None,
             padding: Padding = "VALID") -> jax.Array:
    """y[n, p, c] = the largest of what the window at p sees; NaN where it sees one, −∞ where only padding.

    Of several that are the largest the first, in the order of memory, is it: that one gets the whole gradient.

    Args:
      x: (N, *size, C) floating. window, strides, padding: see `average_pool`.
    Returns:
      (N, *output_size, C).
    Raises:
      TypeError: x is not floating.
      ValueError: x has no spatial axis; window, strides or padding that cannot be, see `geometry_of`.

    >>> max_pool(jnp.array([1.0, 3.0, 5.0, 4.0]).reshape(1, 4, 1), window=2).ravel()
    Array([3., 5.], dtype=float32)
    """
    geometry, size = window_of(x, window, strides, padding)
    return largest_seen(x, geometry, size)[0]


def largest_seen(x: jax.Array, geometry: Geometry, size: Sizes) -> tuple[jax.Array, jax.Array]:
    """The largest that each window sees, and the number of the tap that is the first to see it.

    >>> one_axis = Geometry((2,), ((0, 0),), (1,), (1,))
    >>> largest_seen(jnp.array([1.0, 3.0, 5.0, 5.0]).reshape(1, 4, 1), one_axis, (2,))[1].ravel()
    Array([1, 0], dtype=int32)
    """
    taps = seen_by_taps(x, geometry, size, fill=-jnp.inf)
    _, largest = next(taps)
    by = jnp.zeros(largest.shape, jnp.int32)
    for number, (_, seen) in enumerate(taps, start=1):
        larger = (seen > largest) | jnp.isnan(seen)
        largest, by = jnp.where(larger, seen, largest), jnp.where(larger, number, by)
    return largest, by


def window_of(x: jax.Array, window: int | Sequence[int], strides: int | Sequence[int] | None, padding: Padding
              ) -> tuple[Geometry, Sizes]:
    """Geometry and size of a pooling window, as `average_pool` takes them.

    >>> window_of(jnp.ones((1, 4, 1)), 2, None, "VALID")
    (Geometry(strides=(2,), padding=((0, 0),), dilation=(1,), input_dilation=(1,)), (2,))
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"x must be floating, got {x.dtype}")
    if x.ndim < 3:
        raise ValueError(f"x must be (N, *size, C), of one spatial axis or more, got {x.shape}")
    size = each_axis("window", window, x.ndim - 2)
    return geometry_of(x.shape[1:-1], size, strides=size if strides is None else strides, padding=padding), size


def places_seen(x: jax.Array, geometry: Geometry, size: Sizes) -> jax.Array:
    """How many places of the input, not of the padding, the window sees: (1, *output_size, 1).

    >>> places_seen(jnp.ones((1, 3, 1)), Geometry((2,), ((0, 1),), (1,), (1,)), (2,)).ravel()
    Array([2., 1.], dtype=float32)
    """
    ones = jnp.ones((1, *x.shape[1:-1], 1), jnp.promote_types(x.dtype, jnp.float32))  # bfloat16 counts to 256
    return added(seen for _, seen in seen_by_taps(ones, geometry, size))
