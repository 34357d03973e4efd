"""The factorization machine's view of the ratings: who, what, on which day, and the sets behind both."""

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from jax.sharding import PartitionSpec

from experiments.data.ratings import Fold, RatingTable
from experiments.recommender import methods, problem
from experiments.recommender.methods import Runs
from experiments.recommender.problem import Problem
from experiments.runner.progress import bar
from experiments.runner.stage import Stage
from sandbox.matrix_factorization import factorization_machine, fields
from sandbox.matrix_factorization.conjugate import Hyperprior
from sandbox.matrix_factorization.set_features import set_basis
from sandbox.sharding import num_parts

DAY_SECONDS = 86_400
DAY_SCALE = 0.02  # prior scale of what one user thinks on one day: small beside what they think always


_set_basis = jax.jit(set_basis, static_argnames=("num_rows", "num_columns", "size"))


def features_stage(runs: Runs, folds: Sequence[Fold], ratings: Problem, *, rank: int, sweeps: int, burn_in: int,
                   set_size: int) -> Stage:
    """A Gibbs chain of the factorization machine for each run.

    Args:
      set_size: number of eigenvectors that the sets of rated items, and of rating users, are reduced to.
    """
    data, queries, sizes = _arrays(folds, ratings, num_parts(runs.mesh))
    with bar("sets", len(data)) as show:
        for k, one in enumerate(data):
            data[k] = jax.block_until_ready(_with_sets(one, sizes, min(set_size, *sizes[:2])))
            show(k + 1, "who has rated what")
    data = problem.pile(data)
    hyperpriors = (Hyperprior(), Hyperprior(), Hyperprior(scale=DAY_SCALE))[: len(sizes)]

    def step(chain, data, queries, test):
        chain, values = factorization_machine.sweep(chain, data, queries, hyperpriors=hyperpriors, burn_in=burn_in)
        return chain, {**values, "test_rmse": methods.averaged_rmse(chain.predictive, test, ratings.table.scale)}

    start = partial(factorization_machine.start, sizes=sizes, rank=rank, num_queries=ratings.test.user.shape[1])
    return Stage("features", jax.vmap(lambda key, data: start(key, data)), (runs.keys, data), step,
                 (data, queries, ratings.test), num_steps=sweeps, chunk_steps=20, labels=runs.labels, runs="map",
                 data_axis=0, data_rules=((r"blocks", PartitionSpec(None, "data")),))


def _arrays(folds: Sequence[Fold], ratings: Problem, parts: int
            ) -> tuple[list[fields.Data], list[np.ndarray], list[int]]:
    """Fields of each run's training ratings; the same of its test ratings, stacked; how many values each has."""
    described = [_describe(fold.train, fold.test) for fold in folds]
    sizes = [ratings.num_users, ratings.num_items, *(max(days) for days in zip(*(third for *_, third in described)))]
    train_ids = [problem.pad_columns(train, ratings.train.ratings.user.shape[1]) for train, _, _ in described]
    test_ids = [problem.pad_columns(test, ratings.test.user.shape[1]) for _, test, _ in described]
    observed = ratings.train.ratings
    shapes = fields.layouts(list(zip(train_ids, observed.weight)), sizes, multiple=parts)
    data = [fields.pack_fields(ids, rating, weight, sizes=sizes, shapes=shapes)
            for ids, rating, weight in zip(train_ids, observed.rating, observed.weight)]
    return data, problem.pile(test_ids), sizes


def _describe(train: RatingTable, test: RatingTable) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
    """Ids of user, item and, where there are times, of a user on a day; of the last, how many there are."""
    if train.timestamp is None or test.timestamp is None:
        return [train.user, train.item], [test.user, test.item], []
    days = np.concatenate([train.timestamp, test.timestamp]) // DAY_SECONDS
    users = np.concatenate([train.user, test.user]).astype(np.int64)
    values, ids = np.unique(users * (days.max() + 1) + days, return_inverse=True)
    train_days, test_days = np.split(ids.astype(np.int32), [len(train.user)])
    return [train.user, train.item, train_days], [test.user, test.item, test_days], [len(values)]


def _with_sets(data: fields.Data, sizes: Sequence[int], size: int) -> fields.Data:
    """The same, with the sets of items that users have rated and of users who have rated items."""
    user, item, *others = data.fields
    key = jax.random.key(0)  # of a first guess that the iteration forgets
    rated = _set_basis(key, user.blocks, item.blocks, user.ids, item.ids, num_rows=sizes[0], num_columns=sizes[1],
                       size=size)
    raters = _set_basis(key, item.blocks, user.blocks, item.ids, user.ids, num_rows=sizes[1], num_columns=sizes[0],
                        size=size)
    return data._replace(fields=(user._replace(sets=rated), item._replace(sets=raters), *others))
