"""What a tap of a sliding window sees: one place of the input for every place of the output."""

import functools
from collections.abc import Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sandbox.convolution.geometry import Geometry, Sizes, output_size

__all__ = ["added", "seen_by_taps", "sent_by_tap"]


def seen_by_taps(x: jax.Array, geometry: Geometry, kernel_size: Sizes, fill: float = 0.0
                 ) -> Iterator[tuple[Sizes, jax.Array]]:
    """Each tap k of a window, with x[p s + k d − lo] for all p; `fill` where that is padding.

    Args:
      x: (..., *input_size, C). geometry, kernel_size: of the window.
    Returns:
      Iterator of (k, (..., *output_size, C)), in the order of the kernel's memory.

    >>> one_axis = Geometry((1,), ((0, 1),), (1,), (1,))
    >>> [seen.ravel().tolist() for _, seen in seen_by_taps(jnp.arange(3.0)[:, None], one_axis, (2,))]
    [[0.0, 1.0, 2.0], [1.0, 2.0, 0.0]]
    """
    first = x.ndim - 1 - len(kernel_size)
    padded = lax.pad(x, jnp.asarray(fill, x.dtype), _edges(geometry, first))
    out = output_size(geometry, x.shape[first:-1], kernel_size)
    for tap in np.ndindex(*kernel_size):
        yield tap, padded[(..., *_places(geometry, tap, out), slice(None))]


def sent_by_tap(dy: jax.Array, tap: Sizes, geometry: Geometry, input_size: Sizes, kernel_size: Sizes) -> jax.Array:
    """The transpose of `seen_by_taps`, of one tap: what each place of the output holds, at the place that it sees.

    Args:
      dy: (..., *output_size, C). tap: k.
    Returns:
      (..., *input_size, C); zero where no place of the output sees.

    >>> one_axis = Geometry((2,), ((0, 0),), (1,), (1,))
    >>> sent_by_tap(jnp.array([[1.0], [2.0]]), (1,), one_axis, (4,), (2,)).ravel()
    Array([0., 1., 0., 2.], dtype=float32)
    """
    first = dy.ndim - 1 - len(kernel_size)
    edges = [(k * d - lo, a * (n - 1) - s * (m - 1) - k * d + lo, s - 1)
             for k, n, m, s, (lo, _), d, a in zip(tap, input_size, dy.shape[first:-1], *geometry)]
    spread = lax.pad(dy, jnp.zeros((), dy.dtype), [(0, 0, 0)] * first + edges + [(0, 0, 0)])
    return spread[(..., *(slice(None, None, a) for a in geometry.input_dilation), slice(None))]


def added(terms: Iterable[jax.Array]) -> jax.Array:
    """The sum of one array or more.

    >>> added([jnp.ones(2), jnp.ones(2)])
    Array([2., 2.], dtype=float32)
    """
    return functools.reduce(jnp.add, terms)


def _edges(geometry: Geometry, first: int) -> list[tuple[int, int, int]]:
    """Of lax.pad: before, after and between, for the axes before the spatial ones, for those, and for channels."""
    return [(0, 0, 0)] * first + [(lo, hi, a - 1) for (lo, hi), a in zip(geometry.padding, geometry.input_dilation)
                                  ] + [(0, 0, 0)]


def _places(geometry: Geometry, tap: Sizes, out: Sizes) -> list[slice]:
    starts = [k * d for k, d in zip(tap, geometry.dilation)]
    return [slice(start, start + (m - 1) * s + 1, s) for start, m, s in zip(starts, out, geometry.strides)]
