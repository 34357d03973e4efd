"""Attention, by whichever implementation has all that is asked: the formula, blocks of it, or a fused kernel."""

from typing import Literal

import jax

from sandbox.attention.blockwise import blockwise_attention
from sandbox.attention.dense import dense_attention
from sandbox.attention.fused import fused_attention, lacking
from sandbox.attention.pairs import Pairs, check

__all__ = ["IMPLEMENTATIONS", "attention", "implementation_for"]

Implementation = Literal["auto", "dense", "blockwise", "fused"]
IMPLEMENTATIONS = ("auto", "dense", "blockwise", "fused")
BLOCK_SIZE = 512
DENSE_UP_TO = BLOCK_SIZE  # queries or keys: up to there the whole table of logits is no larger than a block


def attention(q: jax.Array, k: jax.Array, v: jax.Array, *, causal: bool = False, window: int | None = None,
              segment_ids: jax.Array | None = None, key_segment_ids: jax.Array | None = None,
              mask: jax.Array | None = None, bias: jax.Array | None = None, softcap: float | None = None,
              scale: float | None = None, implementation: Implementation = "auto", block_size: int = BLOCK_SIZE,
              higher_order: bool = False) -> jax.Array:
    """Attention: for each query, the mean of the values weighted by softmax of its products with the keys.

    o_i = Σ_j p_ij v_j,   p_i = softmax_j(z_ij),   z_ij = ⟨q_i, k_j⟩ / √H, over the keys j that i may see.
    With a soft cap c, ⟨q_i, k_j⟩ / √H becomes c tanh(⟨q_i, k_j⟩ / (c √H)); a bias is added after it.
    A query that may see no key gets zeros, and sends none of them a gradient.

    Dimensions: B batch, T queries, S keys, N query heads, K key heads, H head size.

    Args:
      q: (B, T, N, H) floating. k, v: (B, S, K, H), the same type; query head n reads key head n // (N / K).
      causal: query i sees keys j ≤ i. window: at a distance below it alone, back, and without causal forth too;
        1 is the query's own position.
      segment_ids: (B, T) integer; queries see keys of their own segment. key_segment_ids: (B, S), the keys' segments
        where they are another sequence.
      mask: (B, N, T, S) bool, True where a query may see a key. bias: (B, N, T, S) floating, added to logits. Any of
        their axes may be 1 long and then goes for all.
      softcap: c > 0, or None. scale: in place of 1 / √H.
      implementation: "dense", the formula; "blockwise", memory linear in length; "fused", cuDNN on a GPU or Pallas'
        splash attention on a TPU; "auto", what `implementation_for` says for the default backend.
      block_size: of "blockwise". higher_order: keep to what has forward mode and second derivatives, as dense and
        blockwise have; fused has reverse mode once.
    Returns:
      (B, T, N, H), the dtype of q.
    Raises:
      ValueError: shapes that do not match, causal or a window with T ≠ S, a window, soft cap or block size that is not
        positive (see `pairs.check`); an unknown implementation; "fused" where it lacks something, which is named.
      TypeError: dtypes of q, k and v differ or are not floating, mask is not of booleans, bias not floating, segments
        or window not integer.
    Source: Vaswani et al. 2017, eq. 1; grouped heads: Ainslie et al. 2023; soft cap: Gemma Team 2024.

    >>> q = jnp.zeros((1, 3, 1, 2))
    >>> v = jnp.arange(1.0, 4.0)[None, :, None, None] * jnp.ones(2)[None, None, None]
    >>> attention(q, q, v, causal=True)[0, :, 0, 0]
    Array([1. , 1.5, 2. ], dtype=float32)
    """
    pairs = Pairs(causal, window, segment_ids, key_segment_ids, mask, bias)
    check(q, k, v, pairs, softcap=softcap)
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"implementation must be one of {', '.join(IMPLEMENTATIONS)}, got {implementation!r}")
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    platform = _platform()
    missing = lacking(q, k, pairs, softcap=softcap, higher_order=higher_order, platform=platform)
    if implementation == "fused" and missing:
        raise ValueError(f"the fused implementation lacks {', '.join(missing)}; blockwise has all")
    if implementation == "auto":
        implementation = implementation_for(q, k, missing)
    if implementation == "fused":
        return fused_attention(q, k, v, pairs, scale=scale, softcap=softcap, platform=platform)
    if implementation == "blockwise":
        return blockwise_attention(q, k, v, pairs, scale=scale, softcap=softcap, block_size=block_size)
    return dense_attention(q, k, v, pairs, scale=scale, softcap=softcap)


def _platform() -> str:
    """The default backend; a GPU on which cuDNN has no fused attention goes by its own name."""
    device = jax.devices()[0]
    if device.platform == "gpu" and float(getattr(device, "compute_capability", 0) or 0) < 8:
        return device.device_kind  # not NVIDIA's, or before Ampere
    return jax.default_backend()


def implementation_for(q: jax.Array, k: jax.Array, missing: tuple[str, ...]) -> Literal["dense", "blockwise", "fused"]:
    """What "auto" stands for: fused where it lacks nothing, else dense for short sequences, blockwise for long ones.

    Args:
      q: (B, T, N, H). k: (B, S, K, H). missing: from `lacking`.
    Returns:
      Name of an implementation.

    >>> q = jax.ShapeDtypeStruct((1, 4096, 4, 64), jnp.float32)
    >>> implementation_for(q, q, missing=("a kernel for cpu",))
    'blockwise'
    """
    if not missing:
        return "fused"
    return "dense" if max(q.shape[1], k.shape[1]) <= DENSE_UP_TO else "blockwise"
