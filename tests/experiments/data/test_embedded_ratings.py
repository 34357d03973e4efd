"""Ratings from a known law."""

import numpy as np
import pytest

from experiments.data import embedded_ratings


def test_the_seed_decides_everything():
    one, same, other = (embedded_ratings.generate(seed=seed).table for seed in (1, 1, 2))
    for a, b in zip(one, same, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(one.rating, other.rating)


def test_pairs_are_distinct_and_popularity_has_a_long_tail():
    table = embedded_ratings.generate().table
    assert len(np.unique(table.user * 400 + table.item)) == len(table.rating) == 20_000
    views = np.sort(np.bincount(table.item, minlength=400))[::-1]
    assert views[:40].sum() > 2 * views[200:240].sum() and views[-1] >= 1


def test_the_noise_is_the_floor():
    data = embedded_ratings.generate(noise_std=0.25)
    noise = data.table.rating - data.expected
    assert np.std(noise) == pytest.approx(0.25, rel=5 / np.sqrt(2 * len(noise)))  # five standard errors
    assert abs(noise.mean()) < 5 * 0.25 / np.sqrt(len(noise))
    noiseless = embedded_ratings.generate(noise_std=0.0)
    assert np.array_equal(noiseless.table.rating, noiseless.expected)


def test_the_rank_is_what_was_asked():
    data = embedded_ratings.generate(num_users=12, num_items=15, num_ratings=180, rank=3, noise_std=0.0)
    matrix = np.empty((12, 15))
    matrix[data.table.user, data.table.item] = data.expected
    centred = matrix - matrix.mean(0, keepdims=True) - matrix.mean(1, keepdims=True) + matrix.mean()
    assert np.linalg.matrix_rank(centred, tol=1e-4) == 3


def test_folds_say_their_floor():
    data = embedded_ratings.generate(seed=5)
    folds = embedded_ratings.folds(seed=5)
    assert sum(len(fold.test.rating) for fold in folds) == len(data.table.rating)
    squares = [fold.noise_rmse**2 * len(fold.test.rating) for fold in folds]
    assert sum(squares) == pytest.approx(np.sum((data.table.rating - data.expected) ** 2), rel=1e-5)


def test_titles_are_distinct():
    assert len(set(embedded_ratings.generate(num_items=900).table.titles)) == 900


@pytest.mark.parametrize("sizes", [{"rank": 0}, {"num_users": 0}, {"num_ratings": 0}, {"num_ratings": 10**6}])
def test_sizes_out_of_bounds(sizes):
    with pytest.raises(ValueError, match="num_ratings <= num_users"):
        embedded_ratings.generate(**sizes)
