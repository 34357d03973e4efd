"""From parameters to recommendations: the best unseen items, similar items, ratings on the scale."""

import jax
import jax.numpy as jnp

from sandbox.matrix_factorization.model import Params, rows

__all__ = ["clip", "scores", "similar_items", "top_n"]


def scores(params: Params, user: jax.Array) -> jax.Array:
    """Predicted rating of every item, r̂_ui = μ + b_u + b_i + q_iᵀ p_u.

    Args:
      params: Params of I items.
      user: (B,) ids; an unknown one scores items by their mean rating alone.
    Returns:
      (B, I) rating units, not clipped.

    >>> params = Params(jnp.array(3.0), jnp.array([1.0]), jnp.array([0.0, 0.5]), jnp.ones((1, 1)), jnp.ones((2, 1)))
    >>> scores(params, jnp.array([0, -1]))
    Array([[5. , 5.5],
           [3. , 3.5]], dtype=float32)
    """
    inner = jnp.matmul(rows(params.user_factors, user), params.item_factors.T, precision="highest")
    return params.mean + rows(params.user_bias, user)[:, None] + params.item_bias[None] + inner


def top_n(score: jax.Array, seen: jax.Array, *, n: int) -> tuple[jax.Array, jax.Array]:
    """The n items of highest score that a user has not seen.

    Args:
      score: (B, I).
      seen: (B, H) ids of items to leave out; an id outside 0 <= id < I is padding.
      n: 1 <= n <= I.
    Returns:
      Ids (B, n), best first, and their scores (B, n). Where fewer than n items are unseen, the rest of
      the row is id -1 with score -inf.
    Raises:
      ValueError: n out of bounds.

    >>> top_n(jnp.array([[1.0, 3.0, 2.0]]), jnp.array([[1]]), n=2)[0]
    Array([[2, 0]], dtype=int32)
    """
    num_items = score.shape[1]
    if not 1 <= n <= num_items:
        raise ValueError(f"n must be 1 to {num_items}, the number of items; got {n}")
    batch = jnp.arange(score.shape[0])[:, None]
    masked = score.at[batch, seen].set(-jnp.inf, mode="drop", wrap_negative_indices=False)
    best, item = jax.lax.top_k(masked, n)
    return jnp.where(best == -jnp.inf, -1, item), best


def similar_items(item_factors: jax.Array, item: jax.Array, *, n: int) -> tuple[jax.Array, jax.Array]:
    """The n items whose factors point the most nearly the same way.

    cos(i, j) = q_iᵀ q_j / (|q_i| |q_j|); an item without factors is similar to none (0).

    Args:
      item_factors: (I, D).
      item: (B,) ids. An unknown one has similarity 0 to all.
      n: 1 <= n <= I − 1.
    Returns:
      Ids (B, n), most similar first, the item itself left out, and their cosines (B, n).
    Raises:
      ValueError: n out of bounds.

    >>> similar_items(jnp.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]), jnp.array([0]), n=1)[0]
    Array([[2]], dtype=int32)
    """
    num_items = item_factors.shape[0]
    if not 1 <= n <= num_items - 1:
        raise ValueError(f"n must be 1 to {num_items - 1}, the number of other items; got {n}")
    length = jnp.sqrt(jnp.sum(item_factors**2, axis=1, keepdims=True))
    direction = item_factors / jnp.where(length > 0, length, 1)
    cosine = jnp.matmul(rows(direction, item), direction.T, precision="highest")
    return top_n(cosine, item[:, None], n=n)


def clip(rating: jax.Array, scale: tuple[float, float]) -> jax.Array:
    """Predicted ratings brought onto the scale (lowest, highest).

    >>> clip(jnp.array([0.2, 3.3, 7.0]), (1.0, 5.0))
    Array([1. , 3.3, 5. ], dtype=float32)
    """
    return jnp.clip(rating, scale[0], scale[1])
