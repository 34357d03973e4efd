"""The ways to learn, each a stage for the one training loop; a run for each seed and fold."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from experiments.recommender import problem
from experiments.recommender.problem import Problem
from experiments.runner.stage import Stage
from sandbox.matrix_factorization import als, gibbs, init, metrics, serving
from sandbox.matrix_factorization.model import Params, Ratings
from sandbox.matrix_factorization.posterior import Predictive, State
from sandbox.sharding import num_parts


class Runs(NamedTuple):
    """seed, num_seeds: the first, and how many. num: of runs, for each seed as many as there are folds. mesh: of the
    devices that they share."""

    seed: int
    num_seeds: int
    num: int
    mesh: Mesh | None = None

    @property
    def seeds_and_folds(self) -> list[tuple[int, int]]:
        """Of each run."""
        num_folds = max(self.num // self.num_seeds, 1)
        return [(self.seed + k // num_folds, k % num_folds) for k in range(self.num)]

    @property
    def keys(self) -> jax.Array:
        """A key for each run, from its seed and fold."""
        seeds, folds = np.array(self.seeds_and_folds, np.uint32).T
        return jax.jit(jax.vmap(lambda seed, fold: jax.random.fold_in(jax.random.key(seed), fold)))(seeds, folds)

    @property
    def labels(self) -> list[str]:
        """A name for each run."""
        return [f"seed {seed}, fold {fold + 1}" for seed, fold in self.seeds_and_folds]


def posterior_stage(name: str, runs: Runs, ratings: Problem, *, rank: int, sweeps: int, burn_in: int) -> Stage:
    """A Gibbs chain for each run; the average of its predictions is what counts."""
    def step(chain, data, test):
        chain, values = gibbs.sweep(chain, data, problem.pairs(test), burn_in=burn_in)
        return chain, {**values, "test_rmse": averaged_rmse(chain.predictive, test, ratings.table.scale)}

    start = partial(gibbs.start, num_users=ratings.num_users, num_items=ratings.num_items, rank=rank,
                    num_pairs=ratings.test.user.shape[1])
    return Stage(name, jax.vmap(lambda key, data: start(key, data)), (runs.keys, ratings.train), step,
                 (ratings.train, ratings.test), num_steps=sweeps, chunk_steps=20, labels=runs.labels, runs="map",
                 data_axis=0, data_rules=((r"by_(user|item)", PartitionSpec(None, "data")),))


def implicit_stage(runs: Runs, ratings: Problem, chosen: Sequence[tuple[Ratings, Ratings]], *, rank: int, sweeps: int,
                   **penalties: float) -> Stage:
    """Implicit alternating least squares for each run, on what was liked, (training, test).

    Its state is in position order, see sandbox.matrix_factorization.als.arrange.
    """
    sizes = {"num_users": ratings.num_users, "num_items": ratings.num_items}
    sides = problem.pack_sides([train for train, _ in chosen], **sizes,
                               shards=num_parts(runs.mesh))

    def step(params, sides):
        new = als.implicit_sweep(params, sides, **penalties, mesh=runs.mesh)
        moved = jnp.linalg.norm(new.item_factors - params.item_factors) / jnp.linalg.norm(new.item_factors)
        return new, {"moved": moved}

    def start(key, sides):
        return als.arrange(init(key, **sizes, rank=rank, scale=0.1 / rank**0.5), sides)

    part = PartitionSpec(None, "data")
    return Stage("implicit", jax.vmap(start), (runs.keys, sides), step, (sides,), num_steps=sweeps, chunk_steps=sweeps,
                 labels=runs.labels, runs="map", data_axis=0, state_rules=((r"user_|item_", part),),
                 data_rules=((r"by_(user|item)", part),))


def implicit_params(stage: Stage, state: Params, ratings: Problem) -> Params:
    """What the implicit stage has learned, by id."""
    by_id = partial(als.by_id, num_users=ratings.num_users, num_items=ratings.num_items)
    return jax.jit(jax.vmap(by_id))(state, *stage.data)


def by_rank(ratings: Problem, rank: int, chains: State, others: Mapping[int, State]) -> dict[int, float]:
    """Test RMSE of the first run by rank: of the chains at hand, and of others on its fold."""
    one = ratings._replace(test=problem.first(ratings.test))

    def error(chain: State) -> float:
        return float(rmse(one, chain.predictive.mean)[0])

    return {rank: error(problem.first(chains)), **{other: error(chain) for other, chain in others.items()}}


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
