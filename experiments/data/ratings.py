"""Tables of ratings: dense indices for the model, and the way back to the original ids and titles."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class RatingTable(NamedTuple):
    """N ratings of I items by U users.

    user, item: (N,) int32, positions in user_ids and item_ids.
    rating: (N,) float32, within scale.
    timestamp: (N,) int64 Unix seconds, or None.
    user_ids (U,), item_ids (I,): the ids of the source, sorted: int64, or str.
    titles: (I,) str, or None.
    scale: lowest and highest rating.
    """

    user: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray | None
    user_ids: np.ndarray
    item_ids: np.ndarray
    titles: np.ndarray | None
    scale: tuple[float, float]


class Fold(NamedTuple):
    """Ratings to learn from and ratings to be judged by, over the same users and items.

    noise_rmse: root mean square of the test ratings' own noise, which no prediction beats by more than
      luck; None where the ratings' law is unknown.
    """

    train: RatingTable
    test: RatingTable
    noise_rmse: float | None = None


class Unseen(NamedTuple):
    """Which test ratings are of a user, or of an item, that training never saw: user, item (N,) bool."""

    user: np.ndarray
    item: np.ndarray


def unseen(fold: Fold) -> Unseen:
    """The test ratings of a fold whose user or item never occurs in training.

    They are kept and count in every metric: a model predicts them by what it does know, the mean and
    the other side's bias.

    >>> table = RatingTable(np.array([0, 1]), np.array([0, 1]), np.ones(2), None,
    ...                     np.array([7, 8]), np.array([70, 80]), None, (1, 5))
    >>> unseen(Fold(select(table, np.array([0])), table)).item
    array([False,  True])
    """
    return Unseen(
        user=~np.isin(fold.test.user, fold.train.user),
        item=~np.isin(fold.test.item, fold.train.item),
    )


def select(table: RatingTable, rows: np.ndarray) -> RatingTable:
    """Some ratings of a table, by position or mask; users and items stay as they are."""
    timestamp = None if table.timestamp is None else table.timestamp[rows]
    return table._replace(user=table.user[rows], item=table.item[rows], rating=table.rating[rows],
                          timestamp=timestamp)


def k_folds(table: RatingTable, num_folds: int = 5, seed: int = 0) -> tuple[Fold, ...]:
    """Cross-validation: every rating is in the test part of exactly one fold.

    Args:
      table: N ratings.
      num_folds: K, 2 <= K <= N.
      seed: of the permutation that deals the ratings out.
    Returns:
      K folds, whose test parts differ in size by at most one.
    Raises:
      ValueError: K out of bounds.
    """
    return tuple(Fold(select(table, ~test), select(table, test))
                 for test in held_out_masks(len(table.rating), num_folds, seed))


def held_out_masks(num_ratings: int, num_folds: int, seed: int) -> np.ndarray:
    """(K, N) bool: which of N ratings each of K folds holds out for its test part."""
    if not 2 <= num_folds <= num_ratings:
        raise ValueError(f"num_folds must be 2 to {num_ratings}, the number of ratings; got {num_folds}")
    fold = np.random.default_rng(seed).permutation(num_ratings) % num_folds
    return fold[None, :] == np.arange(num_folds)[:, None]


def index(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """One sorted array of the ids in several columns, and each column as positions in it, int32.

    >>> index([np.array([30, 10]), np.array([20, 30])])
    (array([10, 20, 30]), [array([2, 0], dtype=int32), array([1, 2], dtype=int32)])
    """
    joined = np.concatenate(columns)
    if joined.dtype == object:  # strings: a dictionary is faster than a sort
        names = sorted(set(joined))
        position = {name: k for k, name in enumerate(names)}
        ids, inverse = np.array(names), np.array([position[name] for name in joined])
    else:
        ids, inverse = np.unique(joined, return_inverse=True)
    ends = np.cumsum([len(column) for column in columns])[:-1]
    return ids, np.split(inverse.astype(np.int32), ends)


def first_repeat(user: np.ndarray, item: np.ndarray) -> tuple[int, int] | None:
    """The first row that repeats an earlier (user, item) pair, as (earlier, later); None if none does.

    >>> first_repeat(np.array([0, 1, 0]), np.array([5, 5, 5]))
    (0, 2)
    """
    if not len(user):
        return None
    pair = user.astype(np.int64) * (int(item.max()) + 1) + item
    order = np.argsort(pair, kind="stable")
    again = np.flatnonzero(np.diff(pair[order]) == 0)
    if not len(again):
        return None
    first = again[np.argmin(order[again + 1])]
    return int(order[first]), int(order[first + 1])
