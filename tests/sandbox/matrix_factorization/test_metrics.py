"""Metrics against loops written from their definitions."""

import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.matrix_factorization import metrics

ROWS, RANKED, RELEVANT, ITEMS = 30, 12, 9, 40


@pytest.fixture(scope="module")
def lists():
    """Ranked ids (30, 12) without repeats, and 1 to 9 relevant ids, padded by -1."""
    rng = np.random.default_rng(0)
    ranked = np.stack([rng.permutation(ITEMS)[:RANKED] for _ in range(ROWS)])
    relevant = np.full((ROWS, RELEVANT), -1)
    for row in range(ROWS):
        count = rng.integers(1, RELEVANT + 1)
        relevant[row, rng.permutation(RELEVANT)[:count]] = rng.permutation(ITEMS)[:count]
    return ranked, relevant


def recall(ranked, relevant, k):
    wanted = {i for i in relevant.tolist() if i >= 0}
    return len(wanted & set(ranked[:k].tolist())) / min(k, len(wanted))


def ndcg(ranked, relevant, k):
    wanted = {i for i in relevant.tolist() if i >= 0}
    gain = sum(1 / np.log2(rank + 2) for rank, i in enumerate(ranked[:k].tolist()) if i in wanted)
    return gain / sum(1 / np.log2(rank + 2) for rank in range(min(k, len(wanted))))


@pytest.mark.parametrize("k", [1, 5, RANKED])
def test_ranking_metrics_are_those_of_a_loop(lists, k):
    for metric, loop in ((metrics.recall_at_k, recall), (metrics.ndcg_at_k, ndcg)):
        expected = [loop(*row, k) for row in zip(*lists, strict=True)]
        np.testing.assert_allclose(metric(*map(jnp.asarray, lists), k=k), expected, rtol=1e-5)


def test_recall_divides_by_k_where_more_are_relevant():
    relevant = jnp.array([[0, 1, 2, 3]])
    assert metrics.recall_at_k(jnp.array([[3, 9]]), relevant, k=2)[0] == 0.5
    assert metrics.recall_at_k(jnp.array([[3, 0]]), relevant, k=2)[0] == 1


def test_the_best_order_has_ndcg_1_and_a_later_hit_counts_less():
    relevant = jnp.array([[4, 7, -1]] * 3)
    values = metrics.ndcg_at_k(jnp.array([[7, 4, 0], [7, 0, 4], [0, 7, 4]]), relevant, k=3)
    assert values[0] == 1 and values[0] > values[1] > values[2] > 0


def test_padding_of_the_ranking_is_no_hit():
    relevant = jnp.array([[2, -1]])
    assert metrics.recall_at_k(jnp.array([[-1, 5]]), relevant, k=2)[0] == 0
    assert metrics.ndcg_at_k(jnp.array([[-1, 5]]), relevant, k=2)[0] == 0


@pytest.mark.parametrize("metric", [metrics.recall_at_k, metrics.ndcg_at_k])
def test_a_row_with_nothing_relevant_is_nan_and_too_large_a_k_is_refused(metric):
    assert jnp.isnan(metric(jnp.array([[0, 1]]), jnp.array([[-1]]), k=2))[0]
    with pytest.raises(ValueError, match="k is 3, but only 2 items are ranked"):
        metric(jnp.array([[0, 1]]), jnp.array([[1]]), k=3)


def test_errors_are_those_of_a_loop_and_padding_is_left_out():
    rng = np.random.default_rng(1)
    prediction, rating, weight = rng.normal(size=(3, 20)).astype(np.float32)
    weight = np.abs(weight)
    weight[[2, 5]], rating[[2, 5]] = 0, np.nan
    real = weight > 0
    error = (rating - prediction)[real]
    np.testing.assert_allclose(metrics.rmse(prediction, rating, weight),
                               np.sqrt(np.average(error**2, weights=weight[real])), rtol=1e-5)
    np.testing.assert_allclose(metrics.mae(prediction, rating, weight),
                               np.average(np.abs(error), weights=weight[real]), rtol=1e-5)
