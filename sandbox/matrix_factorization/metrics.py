"""How good a recommender is: errors of its ratings, and the order of its items over all items."""

import jax
import jax.numpy as jnp

from sandbox.reductions import weighted_mean

__all__ = ["mae", "ndcg_at_k", "recall_at_k", "rmse"]


def rmse(prediction: jax.Array, rating: jax.Array, weight: jax.Array) -> jax.Array:
    """Root mean squared error, sqrt( Σ w (r − r̂)² / Σ w ).

    Args:
      prediction, rating: (N,) rating units. weight: (N,) >= 0, 0 for padding.
    Returns:
      Scalar in rating units.

    >>> rmse(jnp.array([1.0, 5.0]), jnp.array([4.0, 1.0]), jnp.ones(2))
    Array(3.535534, dtype=float32)
    """
    return jnp.sqrt(weighted_mean((rating - prediction) ** 2, weight))


def mae(prediction: jax.Array, rating: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean absolute error, Σ w |r − r̂| / Σ w; arguments as for `rmse`.

    >>> mae(jnp.array([1.0, 5.0]), jnp.array([4.0, 1.0]), jnp.ones(2))
    Array(3.5, dtype=float32)
    """
    return weighted_mean(jnp.abs(rating - prediction), weight)


def recall_at_k(ranked: jax.Array, relevant: jax.Array, *, k: int) -> jax.Array:
    """Share of the relevant items, or of k if there are more, among the first k recommended.

    recall@k = |first k ∩ relevant| / min(k, |relevant|), over all items, none sampled.

    Args:
      ranked: (B, K) item ids, best first, K >= k.
      relevant: (B, L) ids of the relevant items, padded with negative ids.
    Returns:
      (B,); NaN for a row with no relevant item.
    Raises:
      ValueError: fewer than k items are ranked.
    Source: Liang et al. 2018, "Variational autoencoders for collaborative filtering", section 4.2.

    >>> recall_at_k(jnp.array([[3, 1, 2]]), jnp.array([[1, 5, -1]]), k=3)
    Array([0.5], dtype=float32)
    """
    hits = _hits(ranked, relevant, k)
    count = jnp.sum(relevant >= 0, axis=1)
    return jnp.sum(hits, axis=1) / jnp.minimum(count, k)


def ndcg_at_k(ranked: jax.Array, relevant: jax.Array, *, k: int) -> jax.Array:
    """Normalised discounted cumulative gain of the first k recommended.

    DCG@k = Σ_{r≤k} [item at rank r relevant] / log₂(r + 1), over its value were all relevant ones first.

    Args:
      ranked, relevant: as for `recall_at_k`.
    Returns:
      (B,); NaN for a row with no relevant item.
    Raises:
      ValueError: fewer than k items are ranked.
    Source: Järvelin and Kekäläinen 2002.

    >>> ndcg_at_k(jnp.array([[3, 4, 1]]), jnp.array([[1]]), k=3)  # 1 / log₂ 4
    Array([0.5], dtype=float32)
    """
    hits = _hits(ranked, relevant, k)
    discount = 1 / jnp.log2(jnp.arange(2.0, k + 2.0))
    count = jnp.minimum(jnp.sum(relevant >= 0, axis=1), k)
    ideal = jnp.concatenate([jnp.zeros(1), jnp.cumsum(discount)])[count]
    return jnp.sum(jnp.where(hits, discount[None], 0), axis=1) / ideal


def _hits(ranked: jax.Array, relevant: jax.Array, k: int) -> jax.Array:
    if ranked.shape[1] < k:
        raise ValueError(f"k is {k}, but only {ranked.shape[1]} items are ranked")

    def one(row):
        first, wanted = row
        return jnp.any((first[:, None] == wanted[None]) & (wanted[None] >= 0), axis=1)

    return jax.lax.map(one, (ranked[:, :k], relevant))
