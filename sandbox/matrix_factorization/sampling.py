"""Batches drawn from ratings by a key: all that is random in a loss comes from here."""

import jax
import jax.numpy as jnp

from sandbox.matrix_factorization.losses import SoftmaxBatch, Triplets
from sandbox.matrix_factorization.model import Ratings

__all__ = ["draw_ratings", "draw_softmax", "draw_triplets"]


def draw_ratings(key: jax.Array, ratings: Ratings, *, size: int) -> Ratings:
    """Ratings drawn uniformly, with replacement; padding may be drawn, and keeps its weight 0.

    Args:
      key: PRNG key. ratings: N Ratings. size: B.
    Returns:
      B Ratings.

    >>> two = Ratings(jnp.array([0, 1]), jnp.array([2, 3]), jnp.array([4.0, 5.0]), jnp.ones(2))
    >>> draw_ratings(jax.random.key(0), two, size=3).rating.shape
    (3,)
    """
    at = jax.random.randint(key, (size,), 0, ratings.user.shape[0])
    return jax.tree.map(lambda leaf: leaf[at], ratings)


def draw_triplets(key: jax.Array, ratings: Ratings, *, size: int, num_items: int) -> Triplets:
    """Comparisons for BPR: an observed pair, and an item drawn uniformly from all.

    Args:
      key: PRNG key. ratings: N observed pairs. size: B. num_items: I.
    Returns:
      B Triplets; a negative that happens to be the positive has weight 0.

    >>> one = Ratings(jnp.array([0]), jnp.array([0]), jnp.ones(1), jnp.ones(1))
    >>> draw_triplets(jax.random.key(0), one, size=2, num_items=1).weight
    Array([0., 0.], dtype=float32)
    """
    pair_key, item_key = jax.random.split(key)
    pairs = draw_ratings(pair_key, ratings, size=size)
    negative = jax.random.randint(item_key, (size,), 0, num_items)
    return Triplets(pairs.user, pairs.item, negative, jnp.where(negative == pairs.item, 0, pairs.weight))


def draw_softmax(key: jax.Array, ratings: Ratings, log_q: jax.Array, *, size: int,
                 num_negatives: int) -> SoftmaxBatch:
    """Observed pairs, each with negatives drawn from a distribution over the items.

    Args:
      key: PRNG key. ratings: N observed pairs.
      log_q: (I,) log-probabilities, nats: of the items' popularity to some power, as a rule.
      size: B. num_negatives: M.
    Returns:
      SoftmaxBatch of B rows.

    >>> one = Ratings(jnp.array([0]), jnp.array([0]), jnp.ones(1), jnp.ones(1))
    >>> draw_softmax(jax.random.key(0), one, jnp.log(jnp.array([0.0, 1.0])), size=1, num_negatives=2).negatives
    Array([[1, 1]], dtype=int32)
    """
    pair_key, item_key = jax.random.split(key)
    pairs = draw_ratings(pair_key, ratings, size=size)
    negatives = jax.random.categorical(item_key, log_q, shape=(size, num_negatives))
    return SoftmaxBatch(pairs.user, pairs.item, negatives, log_q[negatives], pairs.weight)
