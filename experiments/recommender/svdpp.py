"""SVD++ as the point estimate: the maximum of its posterior, by Adam on batches of whole users."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from experiments.recommender import methods, problem
from experiments.recommender.methods import Runs
from experiments.recommender.problem import Problem
from experiments.runner.stage import Stage
from sandbox import sharding, training
from sandbox.matrix_factorization import init, predict, svdpp
from sandbox.matrix_factorization.losses import SvdppParams
from sandbox.matrix_factorization.model import Ratings

CHUNK_EPOCHS = 5


class Given(NamedTuple):
    """What a run learns from: ratings in groups of whole users, or one group; and what its prior asks."""

    ratings: Ratings
    penalties: SvdppParams


def svdpp_stage(runs: Runs, ratings: Problem, *, rank: int, epochs: int, num_batches: int,
                learning_rate: float = 0.05, **penalties: float) -> Stage:
    """Adam for each run, its rate falling to 0 along a cosine; a step of the training loop is an epoch. What is learned
    is a state of SvdppParams; see `svdpp.implied_params`.

    Args:
      rank: D. epochs: a multiple of CHUNK_EPOCHS compiles once.
      num_batches: in an epoch; every batch has the whole histories of its users.
      penalties: see `svdpp.penalties`.
    """
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, epochs * num_batches))
    step = training.step_of(lambda params, batch: svdpp.map_error(params, batch.ratings, penalties=batch.penalties),
                            optimizer, _sampler(runs.mesh))

    def epoch(state, data, known, test):
        state, values = jax.lax.scan(lambda inner, _: step(inner, data), state, length=num_batches)
        predicted = predict(svdpp.implied_params(state.params, known), test.user, test.item)
        return state, {"loss": jnp.mean(values["loss"]),
                       "test_rmse": methods.clipped_rmse(predicted, test, ratings.table.scale)}

    def start(key, known):
        explicit = init(key, num_users=ratings.num_users, num_items=ratings.num_items, rank=rank,
                        mean=jnp.sum(known.weight * known.rating) / jnp.sum(known.weight))
        params = SvdppParams(explicit, jnp.zeros_like(explicit.item_factors))
        return training.init_state(params, optimizer, jax.random.fold_in(key, 1))

    known = ratings.train.ratings
    data = _batches(ratings, num_batches, penalties, parts=sharding.num_parts(runs.mesh))
    return Stage("point", jax.vmap(start), (runs.keys, known), epoch, (data, known, ratings.test), num_steps=epochs,
                 chunk_steps=CHUNK_EPOCHS, labels=runs.labels, runs="map", data_axis=0)


def _batches(ratings: Problem, num_batches: int, penalties: dict[str, float], *, parts: int) -> Given:
    """Training ratings of all runs, grouped by user, and their penalties; each group's ratings divide by parts."""
    folds = [Ratings(*leaves) for leaves in zip(*map(np.asarray, ratings.train.ratings), strict=True)]
    groups = [svdpp.group_users(fold, num_groups=num_batches) for fold in folds]
    longest = max(group.rating.shape[1] for group in groups)
    longest += -longest % parts
    padded = [jax.tree.map(lambda leaf: np.pad(leaf, ((0, 0), (0, longest - leaf.shape[1]))), group)
              for group in groups]
    return problem.pile([
        Given(group, svdpp.penalties(fold, num_users=ratings.num_users, num_items=ratings.num_items,
                                          **penalties))
        for group, fold in zip(padded, folds, strict=True)])


def _sampler(mesh: Mesh | None) -> Callable[[jax.Array, Given], Given]:
    """Draws the users of a step; over a mesh, its data devices share their ratings."""
    draw = svdpp.draw_group if mesh is None else sharding.constrain_batch(mesh, svdpp.draw_group)
    return lambda key, data: data._replace(ratings=draw(key, data.ratings))
