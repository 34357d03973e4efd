"""Objectives by name: an estimator of the score, the process that it looks at, and what each time is worth to it."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.diffusing.recipes import Recipe
from sandbox import score_matching
from sandbox.score_matching import Process

OBJECTIVES = ("denoising", "implicit", "sliced", "edm", "flow")
WEIGHTINGS = (*score_matching.WEIGHTINGS, "edm")


class Objective(NamedTuple):
    """loss: (params, batch, *, score_fn) -> (scalar, aux), score_fn that of the level. draw_times: (key, N) -> (N,).
    num_projections: that a row of a batch brings."""

    loss: Callable[..., tuple[jax.Array, NamedTuple]]
    draw_times: Callable[[jax.Array, int], jax.Array]
    num_projections: int = 0


def objective(name: str, *, process: str, weighting: str, recipe: Recipe, sigma_data: float) -> Objective:
    """One of OBJECTIVES. Flow matching has its own process and weighting, EDM's its own weighting.

    Args:
      process: one of PROCESSES. weighting: one of WEIGHTINGS. recipe: of the levels. sigma_data: σ_d, of the data.
    """
    way = process_of("linear_path" if name == "flow" else process, recipe)
    draw = (partial(_levels, recipe=recipe) if process == "by_level" and name != "flow" else
            partial(_uniform, process=way))
    weights = (score_matching.edm_weighting(sigma_data) if weighting == "edm" else
               score_matching.WEIGHTINGS[weighting])
    loss = {"denoising": partial(score_matching.denoising_loss, weighting=weights),
            "implicit": partial(score_matching.implicit_loss, weighting=weights),
            "sliced": partial(score_matching.sliced_loss, weighting=weights),
            "edm": partial(score_matching.edm_loss, sigma_data=sigma_data),
            "flow": score_matching.flow_matching_loss}[name]
    return Objective(_in(way, loss), draw, num_projections=int(name == "sliced"))


def process_of(name: str, recipe: Recipe) -> Process:
    """A process by name, for the part of its time in which its noise is, beside its data, of the recipe's levels."""
    if name in ("by_level", "variance_exploding"):
        return score_matching.PROCESSES[name](recipe.least_level, recipe.most_level)
    process = score_matching.PROCESSES[name]()
    times = np.linspace(process.t_min, process.t_max, 100_001)
    ratio = np.asarray(process.level(times)) / np.asarray(process.scale(times))
    within = times[(ratio >= recipe.least_level) & (ratio <= recipe.most_level)]
    return process._replace(t_min=float(within[0]), t_max=float(within[-1]))


def _in(process: Process, loss: Callable[..., tuple]) -> Callable[..., tuple]:
    """The loss of a score of the level, brought to a process."""
    def of_level(params, batch, *, score_fn):
        return loss(params, batch, score_fn=score_matching.in_process(score_fn, process), process=process)

    return of_level


def _uniform(key: jax.Array, num: int, *, process: Process) -> jax.Array:
    return score_matching.draw_times(key, num, process.t_min, process.t_max)


def _levels(key: jax.Array, num: int, *, recipe: Recipe) -> jax.Array:
    levels = score_matching.draw_log_normal_levels(key, num, recipe.level_mean, recipe.level_std)
    return jnp.clip(levels, recipe.least_level, recipe.most_level)
