"""The same formula a block of queries and a block of keys at a time: memory linear in length.

The online softmax carries, for each query, the largest logit so far, the sum of exponentials and the sum of values
under them. Both loops rematerialise: a derivative of any order and mode computes a block anew and never keeps it.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.attention.pairs import ALL, Pairs, masked_logits, of_groups

__all__ = ["blockwise_attention"]


class Queries(NamedTuple):
    """A block: q (B, K, G, t, H), position (t,), segment (B, t) or None."""

    q: jax.Array
    position: jax.Array
    segment: jax.Array | None


class Keys(NamedTuple):
    """A block: k, v (B, K, s, H), position (s,), −1 where it is padding, segment (B, s) or None."""

    k: jax.Array
    v: jax.Array
    position: jax.Array
    segment: jax.Array | None


def blockwise_attention(q: jax.Array, k: jax.Array, v: jax.Array, pairs: Pairs = ALL, *, scale: float,
                        softcap: float | None = None, block_size: int = 512) -> jax.Array:
    """What `dense_attention` computes, in memory linear in T and S.

    For key blocks in turn: m' = max(m, max_j z_j), l' = e^{m−m'} l + Σ_j e^{z_j−m'}, and
    a' = e^{m−m'} a + Σ_j e^{z_j−m'} v_j; at the end o = a / l. The result does not depend on m, which therefore has
    no derivative to carry. Blocks that causality or the window hide are skipped. A mask or bias that is given whole
    stays as large as it is.

    Args:
      q: (B, T, N, H). k, v: (B, S, K, H). pairs: see Pairs. scale, softcap: see `masked_logits`.
      block_size: of queries and of keys at most, at least 1; memory grows with its square.
    Returns:
      (B, T, N, H), the dtype of q; sums are float32, or float64 where q is.
    Raises:
      ValueError: block_size below 1.
    Source: Milakov, Gimelshein 2018; Rabe, Staats 2021.

    >>> q = jnp.ones((1, 5, 1, 2))
    >>> blockwise_attention(q, q, q * jnp.arange(5.0)[None, :, None, None], scale=1.0, block_size=2)[0, :, 0, 0]
    Array([2., 2., 2., 2., 2.], dtype=float32)
    """
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    batch, num_queries, heads, size = q.shape
    _, num_keys, key_heads, _ = k.shape
    groups = (key_heads, heads // key_heads)
    rows, columns = (_even(length, block_size) for length in (num_queries, num_keys))
    pairs = of_groups(pairs, groups)
    queries = Queries(_cut(q.reshape(batch, num_queries, *groups, size).transpose(0, 2, 3, 1, 4), 3, rows),
                      _cut(jnp.arange(num_queries), 0, rows), _cut(pairs.segment_ids, 1, rows))
    keys = Keys(_cut(k.swapaxes(1, 2), 2, columns), _cut(v.swapaxes(1, 2), 2, columns),
                _cut(jnp.arange(num_keys), 0, columns, fill=-1), _cut(pairs.key_segment_ids, 1, columns))
    of_all, of_rows = _shared_or_cut((pairs.mask, pairs.bias), 3, rows)

    @partial(jax.checkpoint, prevent_cse=False)
    def one_row(inputs):
        block, of_row = inputs
        return _attend_row(block, keys, _whole(of_all, of_row), pairs, scale, softcap)

    out = jax.lax.map(one_row, (queries, of_rows))
    out = jnp.moveaxis(out, 0, 3).reshape(batch, heads, out.shape[0] * rows, size)[:, :, :num_queries]
    return out.swapaxes(1, 2).astype(q.dtype)


def _attend_row(queries: Queries, keys: Keys, tables: tuple, pairs: Pairs, scale: float,
                softcap: float | None) -> jax.Array:
    """(B, K, G, t, H): one block of queries over all blocks of keys. tables: mask and bias of these queries."""
    columns = keys.position.shape[1]
    of_all, of_columns = _shared_or_cut(tables, 4, columns)
    dtype = jnp.promote_types(queries.q.dtype, jnp.float32)

    @partial(jax.checkpoint, prevent_cse=False)
    def one_column(carry, inputs):
        block, of_column = inputs
        mask, bias = _whole(of_all, of_column)
        here = pairs._replace(segment_ids=queries.segment, key_segment_ids=block.segment, mask=mask, bias=bias)

        def attend(carry):
            peak, total, weighted = carry
            logits = masked_logits(queries.q, block.k, here, queries.position, block.position,
                                   scale=scale, softcap=softcap)
            higher = jnp.maximum(peak, jax.lax.stop_gradient(jnp.max(logits, axis=-1)))
            level = jnp.where(jnp.isneginf(higher), 0, higher)
            faded, shares = jnp.exp(peak - level), jnp.exp(logits - level[..., None])
            values = jnp.einsum("bkgts,bksh->bkgth", shares.astype(block.v.dtype), block.v,
                                preferred_element_type=dtype)
            return higher, faded * total + jnp.sum(shares, axis=-1), faded[..., None] * weighted + values

        touches = _may_touch(pairs, queries.position, block.position)
        return jax.lax.cond(touches, attend, lambda carry: carry, carry), None

    start = jnp.zeros(queries.q.shape[:-1], dtype)
    (_, total, weighted), _ = jax.lax.scan(one_column, (start - jnp.inf, start, jnp.zeros(queries.q.shape, dtype)),
                                           (keys, of_columns))
    return weighted / jnp.where(total > 0, total, 1)[..., None]


def _may_touch(pairs: Pairs, query_positions: jax.Array, key_positions: jax.Array) -> jax.Array:
    """Whether any query of a block can see any key of another, by causality and window alone."""
    first_query, last_query = query_positions[0], jnp.max(query_positions)  # a last block may be filled up
    first_key, last_key = key_positions[0], jnp.max(key_positions)
    touches = jnp.array(True)
    if pairs.causal:
        touches &= first_key <= last_query
    if pairs.window is not None:
        touches &= first_query - last_key < pairs.window
        if not pairs.causal:
            touches &= first_key - last_query < pairs.window
    return touches


def _even(length: int, block_size: int) -> int:
    """The size of as many equal blocks as blocks of the largest size would be: little of the last one is padding."""
    count = max(1, -(-length // block_size))
    return max(1, -(-length // count))


def _cut(array: jax.Array | None, axis: int, size: int, fill: int = 0) -> jax.Array | None:
    """The array in blocks of a size along an axis, (number of blocks, ..., size, ...), the last one filled up."""
    if array is None:
        return None
    missing = -array.shape[axis] % size
    widths = [(0, missing if n == axis else 0) for n in range(array.ndim)]
    padded = jnp.pad(array, widths, constant_values=fill)
    shape = (*array.shape[:axis], padded.shape[axis] // size, size, *array.shape[axis + 1:])
    return jnp.moveaxis(padded.reshape(shape), axis, 0)


def _shared_or_cut(arrays: tuple, axis: int, size: int) -> tuple[Any, Any]:
    """Those that are 1 long along the axis, and so go for every block; and blocks of the others. None elsewhere."""
    shared = tuple(array if array is not None and array.shape[axis] == 1 else None for array in arrays)
    return shared, tuple(_cut(array, axis, size) if one is None else None for array, one in zip(arrays, shared))


def _whole(shared: tuple, own: tuple) -> tuple:
    return tuple(one if other is None else other for one, other in zip(shared, own))
