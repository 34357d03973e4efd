"""Tables, numberings, folds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.data.ratings import Fold, RatingTable, first_repeat, index, k_folds, select, unseen


def table(user, item, rating=None):
    user, item = np.array(user, np.int32), np.array(item, np.int32)
    rating = np.ones(len(user), np.float32) if rating is None else np.array(rating, np.float32)
    return RatingTable(user, item, rating, np.arange(len(user)), np.arange(9), np.arange(9), None, (1, 5))


def test_select_keeps_users_items_and_rows_together():
    part = select(table([0, 1, 2], [3, 4, 5], [1, 2, 3]), np.array([2, 0]))
    assert part.user.tolist() == [2, 0] and part.item.tolist() == [5, 3] and part.rating.tolist() == [3, 1]
    assert part.timestamp is not None and part.timestamp.tolist() == [2, 0]
    assert len(part.user_ids) == 9


def test_unseen_tells_what_training_never_saw():
    masks = unseen(Fold(table([0, 1], [3, 4]), table([0, 2, 1], [4, 3, 5])))
    assert masks.user.tolist() == [False, True, False]
    assert masks.item.tolist() == [False, False, True]


def test_k_folds_test_every_rating_once():
    whole = table(range(9), range(9), range(9))
    folds = k_folds(whole, num_folds=4, seed=3)
    tested = np.concatenate([fold.test.rating for fold in folds])
    assert sorted(tested) == list(range(9))
    for fold in folds:
        assert len(fold.test.rating) in (2, 3)
        assert sorted([*fold.train.rating, *fold.test.rating]) == list(range(9))


@pytest.mark.parametrize("num_folds", [1, 10])
def test_k_folds_refuses_more_folds_than_ratings(num_folds):
    with pytest.raises(ValueError, match="num_folds must be 2 to 9"):
        k_folds(table(range(9), range(9)), num_folds)


@given(st.lists(st.lists(st.integers(0, 2**62), min_size=1), min_size=1, max_size=3))
def test_index_leads_back_to_the_ids_whatever_their_kind(columns):
    for convert in (int, str):
        dtype = np.int64 if convert is int else object
        raw = [np.array([convert(x) for x in column], dtype) for column in columns]
        ids, positions = index(raw)
        assert list(ids) == sorted(set(ids))
        for column, position in zip(raw, positions, strict=True):
            assert position.dtype == np.int32 and ids[position].tolist() == column.tolist()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4))))
def test_first_repeat_against_a_plain_walk(pairs):
    expected = next(((pairs.index(pair), k) for k, pair in enumerate(pairs) if pair in pairs[:k]), None)
    user, item = np.array(pairs, np.int32).reshape(-1, 2).T
    assert first_repeat(user, item) == expected
