"""The formula: every logit at once. Memory is quadratic in length; nothing is faster on short sequences."""

import jax
import jax.numpy as jnp

from sandbox.attention.pairs import ALL, Pairs, check, masked_logits, of_groups

__all__ = ["attention_weights", "dense_attention"]


def attention_weights(q: jax.Array, k: jax.Array, pairs: Pairs = ALL, *, scale: float | None = None,
                      softcap: float | None = None) -> jax.Array:
    """Softmax of the logits over the keys that a query may see; all zeros where it may see none.

    p_ij = exp(z_ij − m_i) / Σ_j exp(z_ij − m_i), m_i = max_j z_ij.

    Args:
      q: (B, T, N, H). k: (B, S, K, H). pairs: see Pairs. scale: 1 / √H where it is None. softcap: see `masked_logits`.
    Returns:
      (B, N, T, S), float32 or wider.
    Raises:
      ValueError, TypeError: see `pairs.check`.

    >>> attention_weights(jnp.ones((1, 2, 1, 4)), jnp.ones((1, 2, 1, 4)), Pairs(causal=True))[0, 0]
    Array([[1. , 0. ],
           [0.5, 0.5]], dtype=float32)
    """
    check(q, k, k, pairs, softcap=softcap)
    batch, num_queries, heads, size = q.shape
    _, num_keys, key_heads, _ = k.shape
    groups = (key_heads, heads // key_heads)
    logits = masked_logits(q.reshape(batch, num_queries, *groups, size).transpose(0, 2, 3, 1, 4), k.swapaxes(1, 2),
                           of_groups(pairs, groups), jnp.arange(num_queries), jnp.arange(num_keys),
                           scale=size ** -0.5 if scale is None else scale, softcap=softcap)
    peak = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True, initial=-jnp.inf))
    shares = jnp.exp(logits - jnp.where(jnp.isneginf(peak), 0, peak))
    total = jnp.sum(shares, axis=-1, keepdims=True)
    return (shares / jnp.where(total > 0, total, 1)).reshape(batch, heads, num_queries, num_keys)


def dense_attention(q: jax.Array, k: jax.Array, v: jax.Array, pairs: Pairs = ALL, *, scale: float,
                    softcap: float | None = None) -> jax.Array:
    """o_i = Σ_j p_ij v_j, with p from `attention_weights`.

    Args:
      q: (B, T, N, H). k, v: (B, S, K, H). pairs: see Pairs. scale, softcap: see `masked_logits`.
    Returns:
      (B, T, N, H), the dtype of q.
    Source: Vaswani et al. 2017, eq. 1; grouped heads: Ainslie et al. 2023.

    >>> v = jnp.array([1.0, 3.0]).reshape(1, 2, 1, 1)
    >>> dense_attention(jnp.ones((1, 2, 1, 1)), jnp.ones((1, 2, 1, 1)), v, scale=1.0).ravel()
    Array([2., 2.], dtype=float32)
    """
    weights = attention_weights(q, k, pairs, scale=scale, softcap=softcap)
    batch, heads, num_queries, num_keys = weights.shape
    key_heads = k.shape[2]
    weights = weights.reshape(batch, key_heads, heads // key_heads, num_queries, num_keys)
    out = jnp.einsum("bkgts,bskh->btkgh", weights.astype(v.dtype), v, preferred_element_type=weights.dtype)
    return out.reshape(q.shape).astype(q.dtype)
