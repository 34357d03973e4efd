"""Recall and NDCG over all items, user by user, in batches."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.matrix_factorization import metrics, serving
from sandbox.matrix_factorization.model import Params, Ratings

BATCH = 256  # users at a time
WIDTH = 128  # lists are as long as a multiple of it, so that few shapes are compiled


class Ranking(NamedTuple):
    """Means over the users with a test positive: recall_at_20, ndcg_at_100."""

    recall_at_20: float
    ndcg_at_100: float


def lists_by_user(ratings: Ratings, num_users: int) -> np.ndarray:
    """(U, L) item ids of each user's ratings of positive weight, padded with −1; L is a multiple of WIDTH.

    >>> lists_by_user(Ratings(np.array([1, 1]), np.array([5, 7]), np.ones(2), np.ones(2)), num_users=2)[:, :3]
    array([[-1, -1, -1], [ 5,  7, -1]], dtype=int32)
    """
    real = ratings.weight > 0
    user, item = ratings.user[real], ratings.item[real]
    order = np.argsort(user, kind="stable")
    user, item = user[order], item[order]
    lengths = np.bincount(user, minlength=num_users)
    column = np.arange(len(user)) - (np.cumsum(lengths) - lengths)[user]
    longest = int(lengths.max(initial=0))
    lists = np.full((num_users, longest + -longest % WIDTH or WIDTH), -1, np.int32)
    lists[user, column] = item
    return lists


def evaluate(params: Params, seen: Ratings, relevant: Ratings) -> Ranking:
    """Rank all items for each user with a relevant one, the seen ones masked.

    Args:
      params: of which the factors alone score, p_uᵀ q_i.
      seen: training positives. relevant: test positives.
    """
    num_users, num_items = params.user_factors.shape[0], params.item_factors.shape[0]
    known, wanted = lists_by_user(seen, num_users), lists_by_user(relevant, num_users)
    users = np.flatnonzero(wanted[:, 0] >= 0)
    padded = np.resize(users, len(users) + -len(users) % BATCH)  # the first ones again; their results are dropped
    parts = [_rank_batch(params, known[batch], wanted[batch], batch, depth=min(100, num_items), k=min(20, num_items))
             for batch in padded.reshape(-1, BATCH)]
    recall, ndcg = (np.concatenate(values)[: len(users)] for values in zip(*parts, strict=True))
    return Ranking(float(recall.mean()), float(ndcg.mean()))


@partial(jax.jit, static_argnames=("depth", "k"))
def _rank_batch(params, known, wanted, users, *, depth, k):
    score = jnp.matmul(params.user_factors[users], params.item_factors.T, precision="highest")
    ranked, _ = serving.top_n(score, known, n=depth)
    return metrics.recall_at_k(ranked, wanted, k=k), metrics.ndcg_at_k(ranked, wanted, k=depth)
