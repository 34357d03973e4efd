"""Objectives by name: an estimator of the score, the process that it looks at, and what each time is worth to it."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

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
    weights = (score_matching.edm_weighting(sigma_data) if weighting == "edm" else
               score_matching.WEIGHTINGS[weighting])
    if name == "flow":
        path = score_matching.linear_path()
        return Objective(_in(path, score_matching.flow_matching_loss), _uniform(path))
    if process == "by_level":
        way = score_matching.by_level(recipe.least_level, recipe.most_level)
        draw = partial(_levels, recipe=recipe)
    else:
        way = score_matching.PROCESSES[process]()
        draw = _uniform(way)
    if name == "edm":
        return Objective(_in(way, partial(score_matching.edm_loss, sigma_data=sigma_data)), draw)
    loss = {"denoising": score_matching.denoising_loss, "implicit": score_matching.implicit_loss,
            "sliced": score_matching.sliced_loss}[name]
    return Objective(_in(way, partial(loss, weighting=weights)), draw, num_projections=int(name == "sliced"))


def _in(process: Process, loss: Callable[..., tuple]) -> Callable[..., tuple]:
    """The loss of a score of the level, brought to a process."""
    def of_level(params, batch, *, score_fn):
        return loss(params, batch, score_fn=score_matching.in_process(score_fn, process), process=process)

    return of_level


def _uniform(process: Process) -> Callable[[jax.Array, int], jax.Array]:
    return lambda key, num: score_matching.draw_times(key, num, process.t_min, process.t_max)


def _levels(key: jax.Array, num: int, *, recipe: Recipe) -> jax.Array:
    levels = score_matching.draw_log_normal_levels(key, num, recipe.level_mean, recipe.level_std)
    return jnp.clip(levels, recipe.least_level, recipe.most_level)
