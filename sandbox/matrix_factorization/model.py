"""The biased factor model: r̂_ui = μ + b_u + b_i + q_iᵀ p_u."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Params(NamedTuple):
    """Parameters of the model; U users, I items, D factors (the rank).

    mean () is the global mean μ; user_bias (U,) and item_bias (I,) are b_u and b_i;
    user_factors (U, D) and item_factors (I, D) hold p_u and q_i as rows. All in rating units.
    """

    mean: jax.Array
    user_bias: jax.Array
    item_bias: jax.Array
    user_factors: jax.Array
    item_factors: jax.Array


class Ratings(NamedTuple):
    """N observed ratings as triplets; weight 0 marks padding.

    user, item: (N,) integer ids; rating: (N,) in rating units; weight: (N,) >= 0.
    """

    user: jax.Array
    item: jax.Array
    rating: jax.Array
    weight: jax.Array


def rows(table: jax.Array, ids: jax.Array) -> jax.Array:
    """Rows of a table by id; an id outside 0 <= id < len(table) reads as zeros.

    >>> rows(jnp.array([1.0, 2.0]), jnp.array([1, -1, 2]))
    Array([2., 0., 0.], dtype=float32)
    """
    return jnp.asarray(table).at[ids].get(mode="fill", fill_value=0, wrap_negative_indices=False)


def init(key: jax.Array, *, num_users: int, num_items: int, rank: int, mean: float = 0.0,
         scale: float = 0.1, dtype=jnp.float32) -> Params:
    """Zero biases and factors drawn from N(0, scale²).

    Args:
      key: PRNG key.
      num_users, num_items, rank: U, I, D, each at least 1.
      mean: global mean μ, in rating units.
      scale: standard deviation of each factor's coordinates.
    Returns:
      Params.
    Raises:
      ValueError: a size is below 1.

    >>> init(jax.random.key(0), num_users=3, num_items=2, rank=4).user_factors.shape
    (3, 4)
    """
    for name, size in (("num_users", num_users), ("num_items", num_items), ("rank", rank)):
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
    user_key, item_key = jax.random.split(key)
    return Params(
        mean=jnp.asarray(mean, dtype),
        user_bias=jnp.zeros(num_users, dtype),
        item_bias=jnp.zeros(num_items, dtype),
        user_factors=scale * jax.random.normal(user_key, (num_users, rank), dtype),
        item_factors=scale * jax.random.normal(item_key, (num_items, rank), dtype),
    )


def predict(params: Params, user: jax.Array, item: jax.Array) -> jax.Array:
    """Predicted ratings r̂_ui = μ + b_u + b_i + q_iᵀ p_u.

    Args:
      params: see Params.
      user, item: (...,) integer ids, broadcast together. An id that the model does not know
        (negative, or past the last) contributes nothing: an unknown user is given the item's
        mean rating, an unknown pair the global mean.
    Returns:
      (...,) rating units, not clipped.
    Source: Koren, Bell, Volinsky 2009, eq. 4.

    >>> params = Params(jnp.array(3.5), jnp.array([0.5]), jnp.array([-1.0]),
    ...                 jnp.array([[1.0, 2.0]]), jnp.array([[0.5, 0.25]]))
    >>> predict(params, jnp.array([0, -1]), jnp.array([0, 0]))
    Array([4. , 2.5], dtype=float32)
    """
    inner = jnp.sum(rows(params.user_factors, user) * rows(params.item_factors, item), axis=-1)
    return params.mean + rows(params.user_bias, user) + rows(params.item_bias, item) + inner
