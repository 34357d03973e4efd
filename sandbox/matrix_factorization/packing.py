"""Ratings grouped by user and by item: as positions in one copy of them, or kept twice, in an order that shards.

Sides serve a mesh. A device holds its share of every block's rows and, in the same order, of the table that these rows
make: it can solve them with nothing but the other side's table, and what it has solved is its share of the new one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.matrix_factorization import ragged
from sandbox.matrix_factorization.model import Params, Ratings, rows
from sandbox.matrix_factorization.ragged import Block, Layout

__all__ = ["Data", "Rows", "Side", "Sides", "arrange", "by_id", "layouts", "pack_ratings", "pack_sides"]


ROUND = 16  # a shard's rows are a multiple of it: two of a TPU's tiles of 8 rows, which `row_solves.fold` makes one


class Data(NamedTuple):
    """N ratings, and their positions grouped by user and by item."""

    ratings: Ratings
    by_user: tuple[Block, ...]
    by_item: tuple[Block, ...]


class Rows(NamedTuple):
    """B rows of at most L ratings each; weight 0 marks padding.

    column: (B, L) int32 positions in the other side's table. value: (B, L) in rating units. weight: (B, L) >= 0.
    """

    column: jax.Array
    value: jax.Array
    weight: jax.Array


class Side(NamedTuple):
    """The ratings by their user, or by their item.

    ids: (S, P / S) int32 id of each of P positions, shard by shard and there block by block; -1 is padding.
    blocks: Rows, by growing width, together up to 15 rows a shard fewer than P.
    A mesh of S devices divides the leading axis of every array.
    """

    ids: jax.Array
    blocks: tuple[Rows, ...]


class Sides(NamedTuple):
    """The ratings twice."""

    by_user: Side
    by_item: Side


def layouts(data_sets: Sequence[Ratings], *, num_users: int, num_items: int, widths: Sequence[int] = (),
            multiple: int = 1) -> tuple[Layout, Layout]:
    """Block shapes by user and by item that several data sets (folds) share, for one compilation.

    Args:
      data_sets: Ratings; entries of weight 0 are left out.
      num_users, num_items: U, I.
      widths, multiple: as in `ragged.layout`; multiple is the number of devices that share the rows.
    Returns:
      The layout by user and the layout by item.

    >>> ratings = Ratings(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3), np.ones(3))
    >>> layouts([ratings], num_users=2, num_items=2)
    (((8, 2),), ((8, 2),))
    """
    def shared(side, num_rows):
        return ragged.layout([_row_ids(ratings, side, num_rows) for ratings in data_sets], num_rows,
                             widths=widths, multiple=multiple)

    return shared("user", num_users), shared("item", num_items)


def pack_ratings(ratings: Ratings, *, num_users: int, num_items: int,
                 shapes: tuple[Layout, Layout] | None = None) -> Data:
    """Group ratings by user and by item, on the host; memory is proportional to their number.

    Args:
      ratings: Ratings of N entries; those of weight 0 are left out of the groups.
      num_users, num_items: U, I.
      shapes: block shapes from `layouts`, for data sets that share one compilation.
    Returns:
      Data.
    Raises:
      ValueError: an id lies outside its range, a weight is negative, or `shapes` has no room.

    >>> ratings = Ratings(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3), np.ones(3))
    >>> pack_ratings(ratings, num_users=2, num_items=2).by_item[0].entries[:, :3]
    array([[0, 3, 3],
           [1, 2, 3]], dtype=int32)
    """
    if np.any(np.asarray(ratings.weight) < 0):
        raise ValueError("weight must not be negative")
    by_user, by_item = shapes if shapes is not None else (None, None)
    return Data(ratings,
                ragged.pack(_row_ids(ratings, "user", num_users), num_users, by_user),
                ragged.pack(_row_ids(ratings, "item", num_items), num_items, by_item))


def pack_sides(ratings: Ratings, *, num_users: int, num_items: int,
               shapes: tuple[Layout, Layout] | None = None, shards: int = 1) -> Sides:
    """Copy ratings by user and by item, on the host; memory is proportional to their number.

    Args:
      ratings, num_users, num_items, shapes: as in `pack_ratings`.
      shards: number of devices that share the rows; `layouts(..., multiple=shards)` makes shapes that it divides.
    Returns:
      Sides, which `sandbox.sharding.place_batch` divides.
    Raises:
      ValueError: as in `pack_ratings`, or shards does not divide a block's rows.

    >>> ratings = Ratings(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([4.0, 2.0, 5.0]), np.ones(3))
    >>> by_user = pack_sides(ratings, num_users=2, num_items=2, shards=4).by_user
    >>> by_user.ids[:, 0], by_user.blocks[0].value[:, :3]
    (array([ 0,  1, -1, -1], dtype=int32), array([[4., 2., 0.],
           [5., 0., 0.],
           [0., 0., 0.],
           [0., 0., 0.]]))
    """
    sizes = {"num_users": num_users, "num_items": num_items}
    shapes = layouts([ratings], **sizes, multiple=shards) if shapes is None else shapes
    if uneven := [(width, count) for layout in shapes for width, count in layout if count % shards]:
        raise ValueError(f"{shards} shards do not divide {uneven[0][1]} rows of width {uneven[0][0]}: make shapes with "
                         f"`layouts(..., multiple={shards})`")
    data = pack_ratings(ratings, **sizes, shapes=shapes)
    user_ids, item_ids = _in_order(data.by_user, num_users, shards), _in_order(data.by_item, num_items, shards)
    return Sides(Side(user_ids, _copies(ratings, data.by_user, _positions(item_ids, num_items)[ratings.item])),
                 Side(item_ids, _copies(ratings, data.by_item, _positions(user_ids, num_users)[ratings.user])))


def arrange(params: Params, sides: Sides) -> Params:
    """Params whose rows stand in position order, as `sides` counts them; padding rows are zero.

    >>> ratings = Ratings(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3), np.ones(3))
    >>> sides = pack_sides(ratings, num_users=2, num_items=2, shards=4)
    >>> params = Params(jnp.array(3.0), jnp.arange(2.0), jnp.arange(2.0), jnp.ones((2, 1)), jnp.ones((2, 1)))
    >>> arrange(params, sides).user_bias[::16]
    Array([0., 1., 0., 0.], dtype=float32)
    """
    user, item = sides.by_user.ids.ravel(), sides.by_item.ids.ravel()
    return Params(params.mean, rows(params.user_bias, user), rows(params.item_bias, item),
                  rows(params.user_factors, user), rows(params.item_factors, item))


def by_id(params: Params, sides: Sides, *, num_users: int, num_items: int) -> Params:
    """Params whose rows stand by id again: the inverse of `arrange`.

    Args:
      params: Params in position order.
      sides: Sides. num_users, num_items: U, I, of which they were made.
    Returns:
      Params of U users and I items.

    >>> ratings = Ratings(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3), np.ones(3))
    >>> sides, sizes = pack_sides(ratings, num_users=2, num_items=2, shards=4), {"num_users": 2, "num_items": 2}
    >>> params = Params(jnp.array(3.0), jnp.arange(2.0), jnp.arange(2.0), jnp.ones((2, 1)), jnp.ones((2, 1)))
    >>> by_id(arrange(params, sides), sides, **sizes).user_bias
    Array([0., 1.], dtype=float32)
    """
    user, item = _last(sides.by_user.ids, num_users), _last(sides.by_item.ids, num_items)
    return Params(params.mean, params.user_bias[user], params.item_bias[item],
                  params.user_factors[user], params.item_factors[item])


def _last(ids, count):
    """Positions by id: each id stands once, and padding sorts before them."""
    return jnp.argsort(ids.ravel())[-count:]


def _in_order(blocks, num_rows, shards):
    """Ids in position order: each shard's part of every block."""
    ids = [np.where(block.rows < num_rows, block.rows, -1).reshape(shards, -1) for block in blocks]
    ids = np.concatenate(ids, axis=1, dtype=np.int32)
    return np.pad(ids, ((0, 0), (0, -ids.shape[1] % ROUND)), constant_values=-1)


def _positions(ids, num_rows):
    """The position of each id."""
    filled, position = np.flatnonzero(ids >= 0), np.zeros(num_rows, np.int32)
    position[ids.ravel()[filled]] = filled
    return position


def _copies(ratings, blocks, column):
    padded = [np.append(array, np.zeros(1, array.dtype)) for array in (column, *map(np.asarray, ratings[2:]))]
    return tuple(Rows(*(array[block.entries] for array in padded)) for block in blocks)


def _row_ids(ratings, side, num_rows):
    ids = np.asarray(getattr(ratings, side))
    if ids.size and not (0 <= ids.min() and ids.max() < num_rows):
        raise ValueError(f"{side} ids must lie in 0..{num_rows - 1}, got {ids.min()}..{ids.max()}")
    return np.where(np.asarray(ratings.weight) > 0, ids, num_rows)
