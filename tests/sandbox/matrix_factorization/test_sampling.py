"""Samplers draw from the laws they state. Each chi-squared test fails a right sampler for one key in 10⁵."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sandbox.matrix_factorization import sampling
from sandbox.matrix_factorization.model import Ratings

N, I, DRAWS = 6, 5, 4000
RATINGS = Ratings(jnp.array([0, 0, 1, 2, 2, 0]), jnp.array([0, 1, 2, 3, 4, 0]), jnp.arange(6.0),
                  jnp.array([1.0, 1.0, 2.0, 1.0, 1.0, 0.0]))
Q = np.array([0.4, 0.3, 0.2, 0.1, 0.0])
LOG_Q = jnp.log(jnp.asarray(Q, jnp.float32))

DRAW = {
    "ratings": lambda key: sampling.draw_ratings(key, RATINGS, size=DRAWS),
    "triplets": lambda key: sampling.draw_triplets(key, RATINGS, size=DRAWS, num_items=I),
    "softmax": lambda key: sampling.draw_softmax(key, RATINGS, LOG_Q, size=DRAWS, num_negatives=2),
}


@pytest.fixture(scope="module")
def drawn():
    return {name: jax.jit(draw)(jax.random.key(0)) for name, draw in DRAW.items()}


def assert_law(ids, probabilities):
    """Counts of ids follow the probabilities, by a chi-squared test at level 1e-5."""
    counts = np.bincount(np.ravel(ids), minlength=len(probabilities))
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = probabilities[possible] * counts.sum()
    assert stats.chisquare(counts[possible], expected).pvalue > 1e-5


def test_ratings_are_drawn_uniformly_whole_rows_padding_too(drawn):
    batch = drawn["ratings"]
    row = batch.rating.astype(int)  # each rating is its row's number
    assert_law(row, np.full(N, 1 / N))
    for leaf, table in zip(batch, RATINGS, strict=True):
        np.testing.assert_array_equal(leaf, np.asarray(table)[row])


def test_negatives_of_triplets_are_uniform_and_independent_of_the_pair(drawn):
    batch = drawn["triplets"]
    pair = np.asarray(batch.positive) * I + np.asarray(batch.negative)
    chance = np.bincount(RATINGS.item, minlength=I) / N
    assert_law(pair, np.repeat(chance, I) / I)


def test_triplets_that_compare_an_item_with_itself_have_no_weight(drawn):
    batch = drawn["triplets"]
    same = batch.positive == batch.negative
    assert same.any() and not batch.weight[same].any()
    real_pairs = {(int(user), int(item)) for user, item, _, weight in zip(*RATINGS, strict=True) if weight > 0}
    kept = batch.weight > 0
    assert set(zip(batch.user[kept].tolist(), batch.positive[kept].tolist(), strict=True)) <= real_pairs
    item_2 = kept & (batch.positive == 2)
    assert item_2.any() and (batch.weight[item_2] == 2).all()


def test_negatives_of_the_softmax_follow_q_and_carry_its_log(drawn):
    batch = drawn["softmax"]
    both = np.asarray(batch.negatives[:, 0]) * I + np.asarray(batch.negatives[:, 1])
    assert_law(both, np.outer(Q, Q).ravel())
    np.testing.assert_array_equal(batch.log_q, np.asarray(LOG_Q)[batch.negatives])
    assert batch.user.shape == batch.weight.shape == (DRAWS,) and batch.negatives.shape == (DRAWS, 2)


@pytest.mark.parametrize("name", DRAW)
def test_the_key_decides(drawn, name):
    draw = jax.jit(DRAW[name])
    again, other = draw(jax.random.key(0)), draw(jax.random.key(1))
    assert all(jnp.array_equal(one, two) for one, two in zip(drawn[name], again, strict=True))
    assert not jnp.array_equal(drawn[name].user, other.user)
