"""What the recommender's run tells at its end: metrics by seed, three figures, a few recommendations."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.data.ratings import Fold, unseen
from experiments.recommender import figures, methods
from experiments.recommender.problem import Problem
from experiments.recommender.ranking import Ranking
from experiments.recommender.recommender import Recommender
from experiments.runner import metrics
from experiments.runner.progress import say
from experiments.runner.run import Run
from sandbox.matrix_factorization import serving
from sandbox.matrix_factorization.posterior import State, std


def say_unseen(folds: Sequence[Fold]) -> None:
    """Say how many test ratings are of a user or an item without a training rating; they count all the same."""
    count = sum(int((one.user | one.item).sum()) for one in map(unseen, folds))
    if count:
        total = sum(len(fold.test.rating) for fold in folds)
        say(f"{count:,} of {total:,} test ratings are of users or items that training never saw: predicted by the "
            f"other side alone")


def by_seed(num_seeds: int, folds: Sequence[Fold], ratings: Problem, predicted: Mapping[str, jax.Array],
            ranked: Sequence[Ranking]) -> dict[str, np.ndarray]:
    """Each metric's mean over the folds, (num_seeds,); errors also of the first fold alone, and their floor."""
    values = {name: methods.rmse(ratings, prediction) for name, prediction in predicted.items()}
    values |= {name: np.array([getattr(one, name) for one in ranked]) for name in Ranking._fields}
    if folds[0].noise_rmse is not None:
        values["noise_floor"] = np.array([fold.noise_rmse for fold in folds])
    by_fold = {name: value.reshape(num_seeds, -1) for name, value in values.items()}
    means = {name: value.mean(axis=1) for name, value in by_fold.items()}
    return means | {f"{name}_fold1": by_fold[name][:, 0] for name in predicted}


def draw(run: Run, ratings: Problem, chain: State, recommender: Recommender, by_rank: dict[int, float],
         floor: float | None) -> dict[str, Figure]:
    """The three figures."""
    real = ratings.test.weight[0] > 0
    error = ratings.test.rating[0] - np.asarray(serving.clip(chain.predictive.mean, ratings.table.scale))
    claimed = np.asarray(std(chain.predictive, of_rating=True))
    popular = np.argsort(-np.bincount(ratings.table.item, minlength=ratings.num_items), kind="stable")[:6]
    traces = {stage: metrics.read(run.directory, stage) for stage in ("bayesian", "point", "features")}
    return {
        "learning": figures.learning({stage: lines for stage, lines in traces.items() if lines}, by_rank, floor),
        "posterior": figures.posterior(claimed[real], error[real]),
        "neighbours": figures.neighbours({recommender.title(i): recommender.similar(recommender.table.item_ids[i])
                                          for i in popular}),
    }


def speak(recommender: Recommender) -> str:
    """What the recommender would tell the first user."""
    user = recommender.table.user_ids[0]
    lines = [f"  {one.rating:.2f} ± {one.std:.2f}  {one.title}" for one in recommender.recommend(user, n=5)]
    return "\n".join([f"For user {user}, expected rating ± posterior std:", *lines])
