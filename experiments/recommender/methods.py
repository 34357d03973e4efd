"""The ways to learn, each a step of its own handed to the one training loop; a run for each seed and fold."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from experiments.recommender import problem, ranking
from experiments.recommender.problem import Problem
from experiments.runner.loop import begin, train
from experiments.runner.run import Run
from sandbox.matrix_factorization import als, gibbs, init, metrics, serving
from sandbox.matrix_factorization.model import Params, Ratings
from sandbox.matrix_factorization.posterior import Predictive, State


def sample_posterior(run: Run, stage: str, ratings: Problem, *, rank: int, sweeps: int, burn_in: int) -> State:
    """A Gibbs chain for each run; the average of its predictions is what counts."""
    def step(chain, data, test):
        chain, values = gibbs.sweep(chain, data, problem.pairs(test), burn_in=burn_in)
        return chain, {**values, "test_rmse": averaged_rmse(chain.predictive, test, ratings.table.scale)}

    start = partial(gibbs.start, num_users=ratings.num_users, num_items=ratings.num_items, rank=rank,
                    num_pairs=ratings.test.user.shape[1])
    chains = begin(run, stage, jax.vmap(lambda key, data: start(key, data)), keys(run, ratings.test), ratings.train)
    return train(run, stage, step, chains, ratings.train, ratings.test, num_steps=sweeps, chunk_steps=20,
                 labels=labels(run, ratings.test), runs="map", data_axis=0).state


def fit_implicit(run: Run, chosen: Sequence[tuple[Ratings, Ratings]], *, num_users: int, num_items: int, rank: int,
                 sweeps: int, **penalties: float) -> tuple[Params, list[ranking.Ranking]]:
    """Implicit alternating least squares on what was liked, (training, test) of each run, and how well it ranks."""
    sizes = {"num_users": num_users, "num_items": num_items}
    data = problem.pack(problem.pad([train for train, _ in chosen]), **sizes)

    def step(params, data):
        new = als.implicit_sweep(params, data, **penalties)
        moved = jnp.linalg.norm(new.item_factors - params.item_factors) / jnp.linalg.norm(new.item_factors)
        return new, {"moved": moved}

    start = jax.vmap(partial(init, **sizes, rank=rank, scale=0.1 / rank**0.5))
    params = begin(run, "implicit", start, keys(run, data.ratings))
    params = train(run, "implicit", step, params, data, num_steps=sweeps, chunk_steps=sweeps,
                   labels=labels(run, data.ratings), runs="map", data_axis=0).state
    return params, [ranking.evaluate(problem.one_run(params, k), *pair) for k, pair in enumerate(chosen)]


def compare_ranks(run: Run, one_fold: Problem, chains: State, ranks: Sequence[int], *, rank: int,
                  **settings: int) -> dict[int, float]:
    """Test RMSE of the first fold by rank, the one of the chains at hand among them."""
    def error(other: int) -> float:
        chain = problem.first(chains) if other == rank else sample_posterior(run, f"rank {other}", one_fold,
                                                                             rank=other, **settings)
        return float(rmse(one_fold, chain.predictive.mean)[0])

    return {other: error(other) for other in sorted({*ranks, rank})}


def rmse(ratings: Problem, prediction: jax.Array) -> np.ndarray:
    """Test RMSE of each run."""
    of_each = jax.jit(jax.vmap(clipped_rmse, (0, 0, None)))
    return np.asarray(of_each(prediction, ratings.test, ratings.table.scale))


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
