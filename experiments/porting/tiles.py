"""What an array takes on a TPU, whose memory is cut into tiles: 8 x 128 numbers of float32, 16 x 128 of bfloat16.

Both of the two last axes are filled up to whole tiles: (1000, 3) takes as much as (1000, 128). The compiler chooses
the order of the axes and, for what is small, smaller tiles; so the layout is asked for, and not guessed.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax


class Argument(NamedTuple):
    """An argument's share on one chip. bytes: of its numbers. laid_out: that it takes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    laid_out: int

    @property
    def waste(self) -> float:
        """How many times its own bytes it takes."""
        return self.laid_out / self.bytes if self.bytes else 1.0


def laid_out_size(shape: Sequence[int], order: Sequence[int], tiling: Sequence[Sequence[int]]) -> int:
    """Numbers that an array has room for.

    Args:
      shape: of one chip's share. order: of its axes, the one that runs slowest first.
      tiling: tiles, each of the last axes of what the one before it left; () for none.

    >>> laid_out_size((1000, 3), (0, 1), ((8, 128),)), laid_out_size((1000, 3), (1, 0), ((8, 128),))
    (128000, 8192)
    """
    sizes = [shape[axis] for axis in order] if len(order) == len(shape) else list(shape)
    for tile in tiling:
        sizes = [1] * (len(tile) - len(sizes)) + sizes
        whole, cut = sizes[:-len(tile)], sizes[-len(tile):]
        sizes = [*whole, *(-(-size // side) for size, side in zip(cut, tile)), *tile]
    return math.prod(sizes)


def arguments_of(compiled: Any, arguments: Any) -> tuple[Argument, ...]:
    """Each argument of a compiled program, as its device lays it out.

    Args:
      compiled: of jax.jit(...).lower(*arguments).compile(). arguments: tuple of pytrees of ShapeDtypeStruct.
    """
    formats, _ = compiled.input_formats
    laid = jax.tree.leaves(formats)
    named = jax.tree_util.tree_leaves_with_path(arguments)
    return tuple(_argument(jax.tree_util.keystr(path), leaf, place) for (path, leaf), place in zip(named, laid)
                 if place is not None)


def _argument(name: str, leaf: Any, place: Any) -> Argument:
    key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    plain = jax.eval_shape(jax.random.key_data, leaf) if key else leaf
    share = tuple(place.sharding.shard_shape(leaf.shape)) + plain.shape[leaf.ndim:]
    item = plain.dtype.itemsize
    tiling = place.layout.tiling or ()
    return Argument(name, share, str(plain.dtype), math.prod(share) * item,
                    laid_out_size(share, place.layout.major_to_minor, tiling) * item)
