"""From scores to what a user is shown, with its corners: seen, tied, unknown and too few items."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.matrix_factorization import serving
from sandbox.matrix_factorization.model import init, predict

USERS, ITEMS = 4, 6
PARAMS = init(jax.random.key(0), num_users=USERS, num_items=ITEMS, rank=3, mean=3.0, scale=1.0)._replace(
    user_bias=jnp.arange(4.0), item_bias=jnp.array([0.0, 2.0, 1.0, -1.0, 0.5, 1.5]))
SCORE = jnp.array([[1.0, 6.0, 2.0, 5.0, 3.0, 4.0]])


def test_scores_are_the_models_predictions():
    user = np.arange(USERS)
    expected = predict(PARAMS, user[:, None], np.arange(ITEMS)[None])
    np.testing.assert_allclose(serving.scores(PARAMS, user), expected, rtol=1e-5)


def test_an_unknown_user_is_offered_what_is_rated_best_on_average():
    score = serving.scores(PARAMS, jnp.array([-1, USERS]))
    np.testing.assert_allclose(score, np.stack([3 + PARAMS.item_bias] * 2), rtol=1e-6)
    assert serving.top_n(score, jnp.full((2, 1), -1), n=3)[0].tolist() == [[1, 5, 2]] * 2


def test_the_best_unseen_come_first():
    item, score = serving.top_n(SCORE, jnp.array([[3, 1]]), n=3)
    assert item.tolist() == [[5, 4, 2]] and score.tolist() == [[4, 3, 2]]


def test_padding_of_the_seen_hides_nothing():
    assert serving.top_n(SCORE, jnp.array([[-1, ITEMS, -ITEMS]]), n=6)[0].tolist() == [[1, 3, 5, 4, 2, 0]]


def test_every_user_has_their_own_seen():
    item, _ = serving.top_n(jnp.tile(SCORE, (2, 1)), jnp.array([[1, -1], [3, 5]]), n=2)
    assert item.tolist() == [[3, 5], [1, 4]]


def test_where_fewer_are_unseen_the_rest_is_marked():
    item, score = serving.top_n(SCORE, jnp.array([[0, 1, 2, 3]]), n=3)
    assert item.tolist() == [[5, 4, -1]] and score.tolist() == [[4, 3, -np.inf]]


def test_ties_go_to_the_lower_id():
    assert serving.top_n(jnp.zeros((1, 5)), jnp.array([[1]]), n=4)[0].tolist() == [[0, 2, 3, 4]]


@pytest.mark.parametrize("n", [0, ITEMS + 1])
def test_more_than_there_are_is_refused(n):
    with pytest.raises(ValueError, match=f"n must be 1 to {ITEMS}, the number of items; got {n}"):
        serving.top_n(SCORE, jnp.array([[0]]), n=n)


def test_similar_items_are_those_of_a_loop_without_the_item_itself():
    q = np.asarray(PARAMS.item_factors)
    item, cosine = serving.similar_items(PARAMS.item_factors, jnp.arange(ITEMS), n=ITEMS - 1)
    for i in range(ITEMS):
        expected = {j: q[i] @ q[j] / np.linalg.norm(q[i]) / np.linalg.norm(q[j]) for j in range(ITEMS) if j != i}
        order = sorted(expected, key=expected.get, reverse=True)
        assert item[i].tolist() == order
        np.testing.assert_allclose(cosine[i], [expected[j] for j in order], rtol=1e-4, atol=1e-6)


def test_items_without_factors_and_unknown_items_are_like_none():
    q = jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    for item in (0, -1, 3):
        assert serving.similar_items(q, jnp.array([item]), n=2)[1].tolist() == [[0, 0]]


def test_more_similar_items_than_others_is_refused():
    with pytest.raises(ValueError, match="n must be 1 to 5, the number of other items; got 6"):
        serving.similar_items(PARAMS.item_factors, jnp.array([0]), n=6)


def test_clip():
    assert serving.clip(jnp.array([-2.0, 1.0, 3.3, 5.1]), (1.0, 5.0)).tolist() == pytest.approx([1, 1, 3.3, 5])
