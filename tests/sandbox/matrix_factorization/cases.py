"""The losses of matrix factorization, each with params and a batch."""

import jax
import jax.numpy as jnp

from sandbox.matrix_factorization import losses, svdpp
from sandbox.matrix_factorization.losses import Histories, SoftmaxBatch, SvdppParams, Triplets
from sandbox.matrix_factorization.model import Ratings, init
from tests.case import Case

USERS, ITEMS, ROWS = 5, 8, 12


def _ids(seed, count, *shape):
    return jax.random.randint(jax.random.key(seed), shape, 0, count)


PARAMS = init(jax.random.key(0), num_users=USERS, num_items=ITEMS, rank=4, mean=3.5, scale=0.5)
SVDPP = SvdppParams(PARAMS, jax.random.normal(jax.random.key(1), (ITEMS, 4)))
ONES = jnp.ones(ROWS)
RATINGS = Ratings(_ids(2, USERS, ROWS), _ids(3, ITEMS, ROWS), 1.0 + _ids(4, 5, ROWS), ONES)
HISTORIES = Histories(jnp.arange(4), _ids(5, ITEMS, 4, 6), 1.0 + _ids(6, 5, 4, 6), jnp.ones((4, 6)),
                      _ids(7, ITEMS + 1, 4, 5))
TRIPLETS = Triplets(_ids(8, USERS, ROWS), _ids(9, ITEMS, ROWS), _ids(10, ITEMS, ROWS), ONES)
SOFTMAX = SoftmaxBatch(_ids(11, USERS, ROWS), _ids(12, ITEMS, ROWS), _ids(13, ITEMS, ROWS, 6),
                       jnp.full((ROWS, 6), -jnp.log(8.0)), ONES)


def _scaled(params, factor):
    return jax.tree.map(lambda leaf: leaf * factor, params)


def _case(loss, params, batch, refused=(), **keywords):
    no_rows = batch._replace(weight=jnp.zeros_like(batch.weight))
    extremes = ((_scaled(params, 1e4), batch), (_scaled(params, 0.0), batch), (params, no_rows))
    refused = tuple((ValueError, words, lambda wrong=wrong: loss(params, batch._replace(**wrong), **keywords))
                    for words, wrong in refused)
    return Case(loss, params, batch, keywords, extremes, refused)


PENALTIES = jax.tree.map(jnp.ones_like, SVDPP)
SHORT = jnp.zeros(3, int)
CASES = (
    _case(losses.biased_squared_error, PARAMS, RATINGS, [("one shape for user, item", {"item": SHORT})], l2=0.1),
    _case(losses.svdpp_squared_error, SVDPP, HISTORIES, [("one shape for item, rating", {"item": SHORT})],
          l2=0.1, implicit_l2=0.1),
    _case(svdpp.map_error, SVDPP, RATINGS, penalties=PENALTIES),
    _case(losses.implicit_squared_error, PARAMS, RATINGS, [("one shape for user, item", {"user": SHORT})], l2=0.1),
    _case(losses.bpr, PARAMS, TRIPLETS, [("one shape for user, positive", {"negative": SHORT})], l2=0.1),
    _case(losses.sampled_softmax, PARAMS, SOFTMAX, [("one shape for negatives, log_q", {"log_q": jnp.zeros((3, 6))})],
          l2=0.1),
)
