"""Ratings described by categorical fields, a user, an item, a day, and grouped by each of them."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from sandbox.matrix_factorization.ragged import Block, Layout, layout, pack
from sandbox.matrix_factorization.set_features import SetBasis

__all__ = ["Data", "Field", "layouts", "pack_fields"]


class Field(NamedTuple):
    """A categorical variable of N ratings: a user, an item, a day, a user on a day.

    ids (N,): its value for each rating. blocks: the ratings grouped by value. sets: SetBasis of the sets that
    come with its R values (what a user has rated), or None.
    """

    ids: jax.Array
    blocks: tuple[Block, ...]
    sets: SetBasis | None = None


class Data(NamedTuple):
    """N ratings and their fields. rating (N,): rating units; weight (N,): >= 0, 0 for padding."""

    fields: tuple[Field, ...]
    rating: jax.Array
    weight: jax.Array


def layouts(data_sets: Sequence[tuple[Sequence[np.ndarray], np.ndarray]], sizes: Sequence[int], *,
            multiple: int = 1) -> tuple[Layout, ...]:
    """Block shapes per field that several data sets (ids of each field, weight) share, for one compilation.

    multiple: as in `ragged.layout`, the number of devices that are to share the rows of a block.

    >>> layouts([([np.array([0, 0, 1])], np.ones(3))], sizes=[2])
    (((8, 2),),)
    """
    return tuple(layout([_real(ids[field], weight, size, field) for ids, weight in data_sets], size, multiple=multiple)
                 for field, size in enumerate(sizes))


def pack_fields(ids: Sequence[np.ndarray], rating: np.ndarray, weight: np.ndarray, *, sizes: Sequence[int],
                sets: Sequence[SetBasis | None] | None = None,
                shapes: Sequence[Layout] | None = None) -> Data:
    """Group ratings by each of their fields, on the host.

    Args:
      ids: per field, (N,) its value for each rating, 0 <= id < its size.
      rating: (N,) rating units. weight: (N,) >= 0; ratings of weight 0 change nothing.
      sizes: per field, the number R of its values, those without a rating included.
      sets: per field, a SetBasis or None.
      shapes: block shapes from `layouts`, for data sets that share one compilation.
    Returns:
      Data.
    Raises:
      ValueError: an id lies outside its range, a weight is negative, or `shapes` has no room.

    >>> data = pack_fields([np.array([1, 0, 1])], np.ones(3), np.ones(3), sizes=[2])
    >>> data.fields[0].blocks[0].entries[:, :3]
    array([[1, 3, 3],
           [0, 2, 3]], dtype=int32)
    """
    sets = [None] * len(sizes) if sets is None else sets
    shapes = layouts([(ids, weight)], sizes) if shapes is None else shapes
    fields = []
    for number, (column, size, shape, basis) in enumerate(zip(ids, sizes, shapes, sets, strict=True)):
        blocks = pack(_real(column, weight, size, number), size, shape)
        fields.append(Field(np.asarray(column, np.int32), blocks, basis))
    return Data(tuple(fields), rating, weight)


def _real(ids, weight, size, number):
    """Ids of the ratings that count; `size`, which blocks leave out, for the others."""
    ids, weight = np.asarray(ids), np.asarray(weight)
    if ids.size and not (0 <= ids.min() and ids.max() < size):
        raise ValueError(f"ids of field {number} must lie in 0..{size - 1}, got {ids.min()}..{ids.max()}")
    if np.any(weight < 0):
        raise ValueError("weight must not be negative")
    return np.where(weight > 0, ids, size)
