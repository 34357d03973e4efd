"""Folds of ratings as stacked arrays of one shape, so that all of them are one compiled program."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.data.ratings import Fold, RatingTable
from experiments.runner.errors import UserError
from sandbox.matrix_factorization import als
from sandbox.matrix_factorization.gibbs import Pairs
from sandbox.matrix_factorization.model import Ratings


class Problem(NamedTuple):
    """K folds over U users and I items, every array with a leading axis of K.

    train: als.Data. test: Ratings (K, T). table: of the first fold's training ratings, for names and scale.
    """

    train: als.Data
    test: Ratings
    table: RatingTable
    num_users: int
    num_items: int


def stack(folds: Sequence[Fold], *, parts: int = 1) -> Problem:
    """All ratings of the folds, padded with weight 0 to one length, and grouped for so many devices."""
    table = folds[0].train
    sizes = {"num_users": len(table.user_ids), "num_items": len(table.item_ids)}
    train = pad([_ratings(fold.train) for fold in folds])
    test = pile(pad([_ratings(fold.test) for fold in folds]))
    return Problem(pack(train, **sizes, parts=parts), test, table, **sizes)


def fingerprint(folds: Sequence[Fold]) -> str:
    """SHA-256 over ids, ratings and times of all folds, in hexadecimal."""
    total = hashlib.sha256()
    for table in (part for fold in folds for part in (fold.train, fold.test)):
        for column in (table.user_ids[table.user], table.item_ids[table.item], table.rating, table.timestamp):
            total.update(b"" if column is None else np.ascontiguousarray(column).tobytes())
    return total.hexdigest()


def middle(scale: tuple[float, float]) -> float:
    """The rating from which on an item counts as liked, where none is named: 3.5 on a scale of 1 to 5."""
    return scale[0] + 0.625 * (scale[1] - scale[0])


def positives(folds: Sequence[Fold], at_least: float) -> list[tuple[Ratings, Ratings]]:
    """Implicit feedback of each fold, (training, test): what was rated at least so, as a 1.

    Raises:
      UserError: a part of a fold has none.
    """
    def chosen(table):
        liked = table.rating >= at_least
        ones = np.ones(int(liked.sum()), np.float32)
        return Ratings(table.user[liked], table.item[liked], ones, ones)

    pairs = [(chosen(fold.train), chosen(fold.test)) for fold in folds]
    if not all(len(part.rating) for pair in pairs for part in pair):
        low, high = folds[0].train.scale
        raise UserError(f"--liked {at_least:g}: a fold has no such rating, on a scale of {low:g} to {high:g}")
    return pairs


def pack(ratings: Sequence[Ratings], *, num_users: int, num_items: int, parts: int = 1) -> als.Data:
    """Ratings of K folds grouped by user and by item, stacked, in block shapes that all of them fit."""
    sizes = {"num_users": num_users, "num_items": num_items}
    shapes = als.layouts(ratings, **sizes, multiple=parts)
    return pile([als.pack_ratings(one, **sizes, shapes=shapes) for one in ratings])


def pack_sides(ratings: Sequence[Ratings], *, num_users: int, num_items: int, shards: int = 1) -> als.Sides:
    """The same kept twice, for alternating least squares on so many devices."""
    sizes = {"num_users": num_users, "num_items": num_items}
    shapes = als.layouts(ratings, **sizes, multiple=shards)
    return pile([als.pack_sides(one, **sizes, shapes=shapes, shards=shards) for one in ratings])


def pad(data_sets: Sequence[Ratings]) -> list[Ratings]:
    """The same ratings, with entries of weight 0 at the end up to the longest one's length."""
    longest = max(len(ratings.rating) for ratings in data_sets)
    return [Ratings(*pad_columns(ratings, longest)) for ratings in data_sets]


def pad_columns(columns: Sequence[np.ndarray], length: int) -> list[np.ndarray]:
    """Each column with zeros at its end, up to a length."""
    return [np.pad(column, (0, length - len(column))) for column in columns]


def pile(trees: Sequence[Any]) -> Any:
    """K trees of equal shapes as one, with a leading axis of K."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def one_run(stacked: Any, k: int) -> Any:
    """The k-th of K stacked trees."""
    return _take(stacked, k)


def first(stacked: Any) -> Any:
    """The first of K stacked trees, still stacked: K = 1."""
    return _take(stacked, np.arange(1))


def pairs(test: Ratings) -> Pairs:
    """The user-item pairs whose ratings are asked for."""
    return Pairs(test.user, test.item)


@jax.jit
def _take(stacked, k):
    return jax.tree.map(lambda leaf: leaf[k], stacked)


def _ratings(table: RatingTable) -> Ratings:
    return Ratings(table.user, table.item, table.rating, np.ones_like(table.rating))
