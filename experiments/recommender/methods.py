"""The ways to learn, each a step of its own handed to the one training loop; a run for each seed and fold."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data.ratings import Fold
from experiments.recommender import problem, ranking
from experiments.recommender.problem import Problem
from experiments.runner.loop import train
from experiments.runner.run import Run
from sandbox.matrix_factorization import als, gibbs, init, metrics, serving
from sandbox.matrix_factorization.model import Params, Ratings
from sandbox.matrix_factorization.posterior import Predictive


def sample_posterior(run: Run, stage: str, ratings: Problem, *, rank: int, sweeps: int, burn_in: int) -> gibbs.State:
    """A Gibbs chain for each run; the average of its predictions is what counts."""
    def step(chain, data, test):
        chain, values = gibbs.sweep(chain, data, problem.pairs(test), burn_in=burn_in)
        return chain, {**values, "test_rmse": averaged_rmse(chain.predictive, test, ratings.table.scale)}

    def begin(key, data):
        return gibbs.start(key, data, num_users=ratings.num_users, num_items=ratings.num_items, rank=rank,
                           num_pairs=ratings.test.user.shape[1])

    chains = jax.jit(jax.vmap(begin))(keys(run, ratings.test), ratings.train)
    return train(run, stage, step, chains, ratings.train, ratings.test, num_steps=sweeps, chunk_steps=20,
                 labels=labels(run, ratings.test), runs="map", data_axis=0).state


def fit_implicit(run: Run, folds: Sequence[Fold], *, rank: int, sweeps: int, liked: float,
                 **penalties: float) -> tuple[Params, list[ranking.Ranking]]:
    """Implicit alternating least squares on what was rated at least `liked`, and how well it ranks."""
    sizes = {"num_users": len(folds[0].train.user_ids), "num_items": len(folds[0].train.item_ids)}
    chosen = problem.positives(folds, liked)
    data = problem.pack(problem.pad([train for train, _ in chosen]), **sizes)

    def step(params, data):
        new = als.implicit_sweep(params, data, **penalties)
        moved = jnp.linalg.norm(new.item_factors - params.item_factors) / jnp.linalg.norm(new.item_factors)
        return new, {"moved": moved}

    begin = jax.jit(jax.vmap(partial(init, **sizes, rank=rank, scale=0.1 / rank**0.5)))
    params = begin(keys(run, data.ratings))
    params = train(run, "implicit", step, params, data, num_steps=sweeps, chunk_steps=sweeps,
                   labels=labels(run, data.ratings), runs="map", data_axis=0).state
    return params, [ranking.evaluate(problem.one_run(params, k), *pair) for k, pair in enumerate(chosen)]


def averaged_rmse(predictive: Predictive, test: Ratings, scale: tuple[float, float]) -> jax.Array:
    """Test RMSE of a chain's averaged predictions; of the middle of the scale while there is none."""
    averaged = jnp.where(predictive.count > 0, predictive.mean, sum(scale) / 2)
    return clipped_rmse(averaged, test, scale)


def clipped_rmse(prediction: jax.Array, test: Ratings, scale: tuple[float, float]) -> jax.Array:
    """Test RMSE of predictions brought onto the rating scale."""
    return metrics.rmse(serving.clip(prediction, scale), test.rating, test.weight)


def keys(run: Run, stacked: Ratings) -> jax.Array:
    """A key for each run, from its seed and fold."""
    seeds, folds = np.array(_seeds_and_folds(run, stacked), np.uint32).T
    return jax.jit(jax.vmap(lambda seed, fold: jax.random.fold_in(jax.random.key(seed), fold)))(seeds, folds)


def labels(run: Run, stacked: Ratings) -> list[str]:
    """A name for each run."""
    return [f"seed {seed}, fold {fold + 1}" for seed, fold in _seeds_and_folds(run, stacked)]


def _seeds_and_folds(run, stacked):
    num_runs = np.shape(stacked.user)[0]
    num_folds = max(num_runs // run.config.seeds, 1)
    return [(run.config.seed + k // num_folds, k % num_folds) for k in range(num_runs)]
