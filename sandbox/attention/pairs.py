"""Which query may attend to which key, and with what bias: asked of whole sequences, or of a block of each."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["ALL", "Pairs", "check", "grouped", "masked_logits", "of_groups", "visible"]


class Pairs(NamedTuple):
    """What decides on the pair of query i and key j; None, or False, decides nothing.

    causal: j ≤ i. window: i − j < window, and without causal j − i < window too; so a window of 1 is the query's own
    position alone. segment_ids: (B, T) integer; a pair must be of one segment. key_segment_ids: (B, S), where keys
    are another sequence. mask: (B, N, T, S) bool, True where it may attend. bias: (B, N, T, S) floating, added to the
    logit. Any axis of mask and bias may be 1 long and then goes for all.
    """

    causal: bool = False
    window: int | None = None
    segment_ids: jax.Array | None = None
    key_segment_ids: jax.Array | None = None
    mask: jax.Array | None = None
    bias: jax.Array | None = None


ALL = Pairs()
"""Every query may attend to every key."""


def grouped(table: jax.Array, groups: tuple[int, int]) -> jax.Array:
    """(B, N, T, S) as (B, K, G, T, S), groups being (K, G); N may be 1 and go for all.

    >>> grouped(jnp.ones((2, 6, 1, 5)), (3, 2)).shape, grouped(jnp.ones((2, 1, 4, 5)), (3, 2)).shape
    ((2, 3, 2, 1, 5), (2, 1, 1, 4, 5))
    """
    batch, heads, *lengths = table.shape
    return table.reshape(batch, *((1, 1) if heads == 1 else groups), *lengths)


def of_groups(pairs: Pairs, groups: tuple[int, int]) -> Pairs:
    """The same with its tables `grouped`, and with the keys' segments the queries' own where none are given.

    >>> of_groups(Pairs(mask=jnp.ones((1, 4, 2, 2), bool)), (2, 2)).mask.shape
    (1, 2, 2, 2, 2)
    """
    mask, bias = (None if table is None else grouped(table, groups) for table in (pairs.mask, pairs.bias))
    keys = pairs.segment_ids if pairs.key_segment_ids is None else pairs.key_segment_ids
    return pairs._replace(mask=mask, bias=bias, key_segment_ids=keys)


def visible(pairs: Pairs, query_positions: jax.Array, key_positions: jax.Array) -> jax.Array:
    """Whether query i may attend to key j.

    Dimensions: t queries, s keys, B batch, K key heads, G query heads per key head.

    Args:
      pairs: its arrays cut to these queries and keys, mask as (B, K, G, t, s), each axis of it full or 1.
      query_positions: (t,). key_positions: (s,), −1 for padding.
    Returns:
      Bool, broadcastable to (B, K, G, t, s).

    >>> visible(Pairs(causal=True, window=2), jnp.arange(3), jnp.arange(3))[0, 0, 0].astype(int)
    Array([[1, 0, 0],
           [1, 1, 0],
           [0, 1, 1]], dtype=int32)
    """
    behind = query_positions[:, None] - key_positions[None, :]
    seen = jnp.broadcast_to(key_positions[None, :] >= 0, behind.shape)
    if pairs.causal:
        seen &= behind >= 0
    if pairs.window is not None:
        seen &= behind < pairs.window
        if not pairs.causal:
            seen &= -behind < pairs.window
    seen = seen[None, None, None]
    if pairs.segment_ids is not None and pairs.key_segment_ids is not None:
        same = pairs.segment_ids[:, :, None] == pairs.key_segment_ids[:, None, :]
        seen = seen & same[:, None, None]
    return seen if pairs.mask is None else seen & pairs.mask


def masked_logits(q: jax.Array, k: jax.Array, pairs: Pairs, query_positions: jax.Array, key_positions: jax.Array, *,
                  scale: float, softcap: float | None) -> jax.Array:
    """Logits of attention, −∞ where a query may not attend.

    z_ij = c tanh(scale ⟨q_i, k_j⟩ / c) + bias_ij, and without a cap c: scale ⟨q_i, k_j⟩ + bias_ij.

    Args:
      q: (B, K, G, t, H). k: (B, K, s, H).
      pairs, query_positions, key_positions: see `visible`; bias is cut like mask.
      scale: factor of the inner products. softcap: c > 0, or None.
    Returns:
      (B, K, G, t, s), float32 or wider.

    >>> q, k = jnp.ones((1, 1, 1, 2, 4)), jnp.ones((1, 1, 2, 4))
    >>> masked_logits(q, k, Pairs(causal=True), jnp.arange(2), jnp.arange(2), scale=0.5, softcap=None)[0, 0, 0]
    Array([[  2., -inf],
           [  2.,   2.]], dtype=float32)
    """
    dtype = jnp.promote_types(q.dtype, jnp.float32)
    logits = scale * jnp.einsum("bkgth,bksh->bkgts", q, k, preferred_element_type=dtype)
    if softcap is not None:
        logits = softcap * jnp.tanh(logits / softcap)
    if pairs.bias is not None:
        logits = logits + pairs.bias.astype(dtype)
    return jnp.where(visible(pairs, query_positions, key_positions), logits, -jnp.inf)


def check(q: jax.Array, k: jax.Array, v: jax.Array, pairs: Pairs, *, softcap: float | None) -> None:
    """Refuse what no implementation can make sense of.

    Args:
      q: (B, T, N, H). k, v: (B, S, K, H). pairs, softcap: see `masked_logits`.
    Raises:
      ValueError: a rank is not 4, batches, lengths or head sizes do not match, N is no multiple of K, causal or window
        with T ≠ S, a window below 1, a soft cap that is not positive, key_segment_ids without segment_ids, segments of
        different lengths without key_segment_ids, or a mask, bias or segment of another shape.
      TypeError: dtypes of q, k and v differ or are not floating, mask is not of booleans, bias not floating, segments
        or window not integer.

    >>> one = jnp.ones((1, 2, 1, 4))
    >>> check(one, one, one, Pairs(window=0), softcap=None)
    Traceback (most recent call last):
    ValueError: window must be at least 1 (the query's own position), got 0
    """
    for name, array in (("q", q), ("k", k), ("v", v)):
        if array.ndim != 4:
            raise ValueError(f"{name} must have 4 axes (batch, length, heads, head size), got the shape {array.shape}")
    if not q.dtype == k.dtype == v.dtype or not jnp.issubdtype(q.dtype, jnp.floating):
        raise TypeError(f"q, k and v must be of one floating type, got {q.dtype}, {k.dtype}, {v.dtype}")
    (batch, num_queries, heads, size), (_, num_keys, key_heads, _) = q.shape, k.shape
    if k.shape != v.shape:
        raise ValueError(f"k and v must have one shape, got {k.shape} and {v.shape}")
    if k.shape[0] != batch:
        raise ValueError(f"q and k must have one batch size, got {batch} and {k.shape[0]}")
    if k.shape[3] != size:
        raise ValueError(f"q and k must have one head size, got {size} and {k.shape[3]}")
    if key_heads == 0 or heads % key_heads:
        raise ValueError(f"the {heads} heads of q must be a multiple of the {key_heads} heads of k and v")
    if softcap is not None and not softcap > 0:
        raise ValueError(f"softcap must be positive, or None, got {softcap}")
    if pairs.window is not None and (isinstance(pairs.window, bool) or not isinstance(pairs.window, int)):
        raise TypeError(f"window must be a whole number of positions, got {pairs.window!r}")
    if pairs.window is not None and pairs.window < 1:
        raise ValueError(f"window must be at least 1 (the query's own position), got {pairs.window}")
    if (pairs.causal or pairs.window is not None) and num_queries != num_keys:
        raise ValueError(f"causal and window need as many queries as keys, got {num_queries} and {num_keys}; "
                         "for a cache of keys say by mask which ones a query sees")
    _check_segments(pairs, batch, num_queries, num_keys)
    full = (batch, heads, num_queries, num_keys)
    for name, array in (("mask", pairs.mask), ("bias", pairs.bias)):
        if array is not None and (array.ndim != 4 or any(n not in (1, m) for n, m in zip(array.shape, full))):
            raise ValueError(f"{name} must have the shape {full}, or 1 along an axis, got {array.shape}")
    if pairs.mask is not None and pairs.mask.dtype != bool:
        raise TypeError(f"mask must be of booleans, got {pairs.mask.dtype}; what is added to logits is bias")
    if pairs.bias is not None and not jnp.issubdtype(pairs.bias.dtype, jnp.floating):
        raise TypeError(f"bias must be floating, got {pairs.bias.dtype}; who may be seen is said by mask")


def _check_segments(pairs: Pairs, batch: int, num_queries: int, num_keys: int) -> None:
    if pairs.segment_ids is None:
        if pairs.key_segment_ids is not None:
            raise ValueError("key_segment_ids needs segment_ids, of the queries, beside it")
        return
    for name, ids in (("segment_ids", pairs.segment_ids), ("key_segment_ids", pairs.key_segment_ids)):
        if ids is not None and not jnp.issubdtype(ids.dtype, jnp.integer):
            raise TypeError(f"{name} must be integers, got {ids.dtype}")
    if pairs.segment_ids.shape != (batch, num_queries):
        raise ValueError(f"segment_ids must have the shape {(batch, num_queries)}, got {pairs.segment_ids.shape}")
    if pairs.key_segment_ids is None and num_queries != num_keys:
        raise ValueError(f"{num_queries} queries over {num_keys} keys need key_segment_ids beside segment_ids")
    if pairs.key_segment_ids is not None and pairs.key_segment_ids.shape != (batch, num_keys):
        raise ValueError(f"key_segment_ids must have the shape {(batch, num_keys)}, got {pairs.key_segment_ids.shape}")
