"""Ragged rows as a few dense blocks: what a user rated, without a users × items matrix.

Rows of similar length share a block whose width is a power of two, so the padding is at most
half, memory grows with the number of ratings, and every shape is static.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

MIN_WIDTH = 8


class Block(NamedTuple):
    """Rows of at most L entries each.

    rows: (B,) row ids; a padding row holds num_rows, one past the last, which scatters drop.
    entries: (B, L) positions in the arrays that were packed; padding holds N, one past the last,
      which `take` reads as zero.
    """

    rows: jax.Array
    entries: jax.Array


Layout = tuple[tuple[int, int], ...]  # (width L, number of rows B) of each block


def layout(row_lists: Sequence[np.ndarray], num_rows: int, *, widths: Sequence[int] = (),
           multiple: int = 1) -> Layout:
    """The smallest block shapes that hold every one of several data sets (folds, say).

    Args:
      row_lists: arrays (N_k,) of the row id of each entry; num_rows marks an entry to leave out.
      num_rows: number of rows, empty ones included.
      widths: growing widths to choose from; fewer of them compile faster and pad more. Default: powers of
        two from 8. Longer rows get one more block, of the next power of two.
      multiple: what each B is a multiple of: the devices that are to share a block's rows.
    Returns:
      (L, B) per block, by growing width. Rows without entries stand in the narrowest.

    >>> layout([np.array([0, 0, 1]), np.array([0] * 20)], num_rows=3)
    ((8, 3), (32, 1))
    """
    return layout_of([_lengths(row, num_rows) for row in row_lists], widths=widths, multiple=multiple)


def layout_of(lengths: Sequence[np.ndarray], *, widths: Sequence[int] = (), multiple: int = 1) -> Layout:
    """The same from the number of entries (R,) in each row of each data set; R is one for all.

    >>> layout_of([np.array([2, 1, 0]), np.array([20, 0, 0])])
    ((8, 3), (32, 1))
    """
    longest = 1 << (max(int(each.max(initial=1)) for each in lengths) - 1).bit_length()
    if not widths:
        widths = [2**k for k in range(MIN_WIDTH.bit_length() - 1, longest.bit_length())] or [MIN_WIDTH]
    if widths[-1] < longest:
        widths = [*widths, longest]
    counts = [np.bincount(_place(each, widths), minlength=len(widths)) for each in lengths]
    room = np.max(counts, axis=0).tolist()
    return tuple((width, most + -most % multiple) for width, most in zip(widths, room, strict=True) if most)


def pack(row: np.ndarray, num_rows: int, shape: Layout | None = None) -> tuple[Block, ...]:
    """Group the positions 0..N-1 by their row id.

    Args:
      row: (N,) row id of each entry, 0 <= id < num_rows; num_rows marks an entry to leave out.
      num_rows: number of rows.
      shape: block shapes from `layout`, for data sets that share one compilation.
    Returns:
      One Block per width; every row stands in exactly one of them, the narrowest that holds it.
    Raises:
      ValueError: `shape` has no room for these rows.

    >>> pack(np.array([1, 0, 1]), num_rows=2)[0].entries[:, :3]
    array([[1, 3, 3],
           [0, 2, 3]], dtype=int32)
    """
    row = np.asarray(row)
    shape = layout([row], num_rows) if shape is None else shape
    lengths = _lengths(row, num_rows)
    starts = np.cumsum(lengths) - lengths
    place = _place(lengths, [width for width, _ in shape])
    if place.max(initial=0) >= len(shape):
        raise ValueError(f"shape has no block for a row of {lengths.max()} entries: make it with `layout`")
    order = _stable_argsort(row)
    blocks = []
    for index, (width, room) in enumerate(shape):
        members = np.flatnonzero(place == index)
        if len(members) > room:
            raise ValueError(f"shape has room for {room} rows of width {width}, got {len(members)}")
        blocks.append(_block(order, members, starts[members], lengths[members], (room, width), num_rows))
    return tuple(blocks)


def take(values: jax.Array, entries: jax.Array) -> jax.Array:
    """values[entries], with zeros where an entry is padding.

    >>> take(jax.numpy.array([1.0, 2.0]), np.array([[1, 2]]))
    Array([[2., 0.]], dtype=float32)
    """
    return jnp.asarray(values).at[entries].get(mode="fill", fill_value=0)


def _lengths(row, num_rows):
    return np.bincount(row, minlength=num_rows + 1)[:num_rows]


def _place(lengths, widths):
    """Index of the narrowest width that holds each row; len(widths) where none does."""
    return np.searchsorted(np.asarray(widths), lengths)


def _block(order, members, starts, lengths, shape, num_rows):
    room, width = shape
    entries = np.full(shape, len(order), np.int32)
    inside = np.arange(width)[None] < lengths[:, None]
    source = (starts[:, None] + np.arange(width)[None])[inside]
    entries[: len(members)][inside] = order[source]
    ids = np.full(room, num_rows, np.int32)
    ids[: len(members)] = members
    return Block(ids, entries)


def _stable_argsort(row):
    """Stable argsort of non-negative ids, 16 bits at a time: NumPy sorts those by radix, in linear time."""
    order = np.argsort((row & 0xFFFF).astype(np.uint16), kind="stable").astype(np.int32)
    high = row >> 16
    while high.any():
        order = order[np.argsort((high[order] & 0xFFFF).astype(np.uint16), kind="stable")]
        high = high >> 16
    return order
