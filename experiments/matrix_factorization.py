"""Recommendations from ratings, r̂_ui = μ + b_u + b_i + q_iᵀ p_u, on five folds.

bayesian: the posterior of the model, by Gibbs sampling. point: one best value, of SVD++, by Adam.
features: a factorization machine that also knows the day and who has rated what. implicit: who liked
what, ranked over all items, by alternating least squares. rank D: the posterior's error by rank.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from experiments.data import Fold, embedded_ratings, k_folds, movielens, read_table
from experiments.recommender import methods, problem, ranking, report
from experiments.recommender.features import features_stage
from experiments.recommender.recommender import Recommender
from experiments.recommender.svdpp import svdpp_stage
from experiments.runner.config import RunConfig, require
from experiments.runner.errors import UserError
from experiments.runner.finish import finish
from experiments.runner.loop import train
from experiments.runner.meshes import num_devices, require_axes
from experiments.runner.result import Result
from experiments.runner.run import start
from experiments.runner.stage import Stage
from experiments.runner.summary import Reference
from sandbox.matrix_factorization import predict, svdpp
from sandbox.matrix_factorization.model import Ratings

NAME = "matrix_factorization"


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Matrix factorization."""

    mesh_decides: ClassVar[bool] = True  # a table's rows are dealt out over its devices
    folds: int = 5
    """How many of the data's five folds to run."""
    rank: int = 8
    """Number of factors D of the Bayesian model."""
    sweeps: int = 120
    """Gibbs sweeps in all."""
    burn_in: int = 20
    """Gibbs sweeps to forget."""
    ranks: tuple[int, ...] = ()
    """Ranks to compare with --rank on the first fold; each costs a compilation."""
    features_rank: int = 4
    """Number of factors of the factorization machine."""
    features_sweeps: int = 0
    """Gibbs sweeps of the factorization machine; 0 leaves it out, as days and sets mean nothing in embedded data."""
    set_size: int = 20
    """Eigenvectors kept of the likeness of the sets of rated items, and of rating users."""
    point_rank: int = 4
    """Number of factors of SVD++."""
    point_epochs: int = 40
    """How often SVD++ is given as many batches as there are."""
    point_batches: int = 10
    """Batches that the users are dealt into."""
    point_l2: float = 0.2
    """λ of a row of SVD++'s factors, times √ of how often it is rated."""
    point_bias_l2: float = 0.5
    """The same for its biases."""
    point_implicit_l2: float = 1000.0
    """λ of each row of y, SVD++'s implicit factors; the embedded data have nothing for them to tell."""
    implicit_rank: int = 16
    """Number of factors of the implicit model."""
    implicit_sweeps: int = 15
    """Sweeps of alternating least squares of the implicit model."""
    unobserved_weight: float = 0.1
    """Weight α₀ of every user-item pair beside the liked ones' 1, in the implicit model."""
    implicit_l2: float = 0.1
    """λ of the implicit model."""
    implicit_power: float = 0.75
    """ν of the implicit model: how much stronger λ is for who has rated more."""
    liked: float | None = None
    """Lowest rating that counts as liking, for the implicit model. Without it, 5/8 of the scale: 3.5 of 1 to 5."""

    def __post_init__(self):
        super().__post_init__()
        require(self.preset in PRESETS, "--preset", f"one of {', '.join(PRESETS)}", self.preset)
        require(1 <= self.folds <= 5, "--folds", "1 to 5", self.folds)
        for flag in ("rank", "sweeps", "features_rank", "set_size", "point_rank", "point_epochs",
                     "point_batches", "implicit_rank", "implicit_sweeps"):
            require(getattr(self, flag) >= 1, f"--{flag.replace('_', '-')}", "at least 1", getattr(self, flag))
        require(self.features_sweeps >= 0, "--features-sweeps", "0 or more", self.features_sweeps)
        require(all(rank >= 1 for rank in self.ranks), "--ranks", "at least 1 each", self.ranks)
        fewest = min(self.sweeps, self.features_sweeps or self.sweeps)
        require(0 <= self.burn_in < fewest, "--burn-in", f"0 to {fewest - 1}, less than the sweeps", self.burn_in)
        for flag in ("unobserved_weight", "implicit_l2", "implicit_power", "point_l2", "point_bias_l2",
                     "point_implicit_l2"):
            require(0 <= getattr(self, flag) < math.inf, f"--{flag.replace('_', '-')}", "0 or more, and finite",
                    getattr(self, flag))
        require_axes(self)


PRESETS = {
    "quick": {},
    "full": {"sweeps": 200, "burn_in": 40, "ranks": (1, 2, 4, 16, 32), "features_rank": 12, "features_sweeps": 200,
             "set_size": 100, "point_rank": 16, "point_epochs": 100, "point_batches": 5, "point_l2": 1.5,
             "point_bias_l2": 1.5, "point_implicit_l2": 50.0, "implicit_rank": 64, "liked": 4.0},
}

REFERENCE = {
    "test_rmse": Reference(0.938, "Surprise SVD, the same folds"),
    "test_rmse_point": Reference(0.938, "Surprise SVD, the same folds"),
    "test_rmse_features_fold1": Reference(0.8808, "myFM, all features, u1; GC-MC, u1: 0.905"),
    "recall_at_20": Reference(0.3986, "implicit ALS, rank 64, the same folds"),
    "ndcg_at_100": Reference(0.4523, "implicit ALS, rank 64, the same folds"),
}


def run(config: Config = Config()) -> Result:
    """Read the folds, learn in each way, measure, draw, and hand over a recommender."""
    task = read(config)
    folds, ratings = task.folds, task.ratings
    with start(NAME, config, task.fingerprint) as work:
        report.say_unseen(folds)
        learning = {stage.name: stage for stage in stages(config, task, work.mesh)}
        ends = {name: train(work, stage).state for name, stage in learning.items()}
        chains, tastes = ends["bayesian"], methods.implicit_params(learning["implicit"], ends["implicit"], ratings)
        points = jax.jit(jax.vmap(svdpp.implied_params))(ends["point"].params, ratings.train.ratings)
        predicted = {"test_rmse": chains.predictive.mean,
                     "test_rmse_point": jax.jit(jax.vmap(predict))(points, ratings.test.user, ratings.test.item)}
        if config.features_sweeps:
            predicted["test_rmse_features"] = ends["features"].predictive.mean
        ranked = [ranking.evaluate(problem.one_run(tastes, k), *pair) for k, pair in enumerate(task.chosen)]
        by_rank = methods.by_rank(ratings, config.rank, chains, {rank: ends[f"rank {rank}"] for rank in others(config)})
        chain = problem.one_run(chains, 0)
        recommender = Recommender(chain.kept, tastes.item_factors[0], ratings.table)
        return finish(
            work,
            metrics=report.by_seed(config.seeds, folds, ratings, predicted, ranked),
            reference=REFERENCE if config.dataset == "movielens-100k" else {},
            drawn=report.draw(work, ratings, chain, recommender, by_rank, folds[0].noise_rmse),
            learned={"kept": chain.kept, "item_factors": recommender.item_factors,
                     "data": np.frombuffer(bytes.fromhex(task.fingerprint), np.uint8)},
            model=recommender,
            sample=report.speak(recommender),
        )


def revive(config: Config, learned: dict[str, Any]) -> Recommender:
    """The recommender of a finished run, from what it learned."""
    folds = read_folds(config)
    if bytes(np.asarray(learned["data"])).hex() != problem.fingerprint(folds):
        raise UserError(f"--dataset {config.dataset}: the data have changed since this run learned from them")
    return Recommender.of(learned, folds[0].train)


class Task(NamedTuple):
    """folds: one for each run. ratings: all of them. chosen: what was liked, (training, test) of each run.
    fingerprint: of the data."""

    folds: list[Fold]
    ratings: problem.Problem
    chosen: list[tuple[Ratings, Ratings]]
    fingerprint: str


def read(config: Config) -> Task:
    """The data set that the flags name: a run for each seed and fold."""
    folds = read_folds(config)
    data, folds = problem.fingerprint(folds), folds * config.seeds
    ratings = problem.stack(folds, parts=num_devices(config))
    liked = problem.middle(ratings.table.scale) if config.liked is None else config.liked
    return Task(folds, ratings, problem.positives(folds, liked), data)


def stages(config: Config, task: Task, mesh: Mesh | None) -> tuple[Stage, ...]:
    """The ways to learn, one after another."""
    runs = methods.Runs(config.seed, config.seeds, len(task.folds), mesh)
    sampled = {"sweeps": config.sweeps, "burn_in": config.burn_in}
    stages = [
        methods.posterior_stage("bayesian", runs, task.ratings, rank=config.rank, **sampled),
        svdpp_stage(runs, task.ratings, rank=config.point_rank, epochs=config.point_epochs,
                    num_batches=config.point_batches, l2=config.point_l2, bias_l2=config.point_bias_l2,
                    implicit_l2=config.point_implicit_l2),
        methods.implicit_stage(runs, task.ratings, task.chosen, rank=config.implicit_rank,
                               sweeps=config.implicit_sweeps, unobserved_weight=config.unobserved_weight,
                               l2=config.implicit_l2, power=config.implicit_power)]
    if config.features_sweeps:
        stages.append(features_stage(runs, task.folds, task.ratings, rank=config.features_rank,
                                     sweeps=config.features_sweeps, burn_in=config.burn_in, set_size=config.set_size))
    first = problem.stack(task.folds[:1], parts=num_devices(config)) if others(config) else task.ratings
    return (*stages, *(methods.posterior_stage(f"rank {rank}", runs._replace(num_seeds=1, num=1), first, rank=rank,
                                               **sampled) for rank in others(config)))


def others(config: Config) -> list[int]:
    """Ranks to be compared with the one of the first stage."""
    return sorted({*config.ranks} - {config.rank})


def read_folds(config: Config) -> list[Fold]:
    """The folds of the data set that the config names."""
    if config.dataset == "embedded":
        folds = embedded_ratings.folds()
    elif config.dataset == "movielens-100k":
        folds = movielens.folds(config.data_dir)
    elif config.dataset in movielens.EDITIONS:
        folds = k_folds(movielens.load(config.dataset, config.data_dir))
    elif config.dataset.endswith(".csv"):
        folds = own_folds(Path(config.dataset))
    else:
        raise UserError(f"--dataset must be embedded, {', '.join(movielens.EDITIONS)}, or the path of a .csv "
                        f"file of user,item,rating[,timestamp]; got {config.dataset!r}")
    return list(folds[: config.folds])


def own_folds(path: Path) -> tuple[Fold, ...]:
    """Five folds of a user's own file.

    Raises:
      UserError: it cannot be read, or has too few ratings. DataError: a line of it is wrong.
    """
    try:
        table = read_table(path)
    except OSError as error:
        raise UserError(f"--dataset {path}: {error.strerror}") from error
    if len(table.rating) < 10 or min(len(table.user_ids), len(table.item_ids)) < 2:
        raise UserError(f"--dataset {path}: at least 10 ratings are needed, of 2 items by 2 users; it has "
                        f"{len(table.rating)} of {len(table.item_ids)} by {len(table.user_ids)}")
    return k_folds(table)
