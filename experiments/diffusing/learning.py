"""How a score is learned: what it starts from, and a step; the experiment and its benchmark take it from here."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import optax
from jax.sharding import Mesh

from experiments.diffusing.objectives import Objective
from experiments.diffusing.recipes import Recipe
from sandbox.averaging import Averaged, averaged, with_average
from sandbox.score_matching import draw_noised
from sandbox.sharding import constrain_batch
from sandbox.training import init_state, step_of

WARMUP = 0.05  # share of the steps in which the rate rises


class Learning(NamedTuple):
    """initial: (key) -> state. step: (state, *data) -> (state, metrics)."""

    initial: Callable[[jax.Array], Averaged]
    step: Callable[..., tuple[Averaged, dict[str, jax.Array]]]


def learning(objective: Objective, recipe: Recipe, *, init: Callable[[jax.Array], Any], score_fn: Callable[..., Any],
             draw_rows: Callable[..., tuple[jax.Array, tuple]], mesh: Mesh | None = None) -> Learning:
    """Adam under a cosine of its rate, on data noised anew at every step, its weights averaged.

    Args:
      init: (key) -> params. score_fn: of the level. draw_rows: (key, *data) -> rows of data and their conditions.
      mesh: that divides a step's batch.
    """
    rising = max(1, round(WARMUP * recipe.steps))
    rate = optax.join_schedules([
        optax.linear_schedule(0.0, recipe.learning_rate, rising),
        optax.cosine_decay_schedule(recipe.learning_rate, max(recipe.steps - rising, 1), 0.01)], [rising])
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate, b2=0.99))

    def sample(key: jax.Array, *data: Any):
        of_rows, of_times, of_noise = jax.random.split(key, 3)
        x, conditions = draw_rows(of_rows, *data)
        return draw_noised(of_noise, x, objective.draw_times(of_times, recipe.batch_size),
                           num_projections=objective.num_projections, conditions=conditions)

    sample = sample if mesh is None else constrain_batch(mesh, sample)
    step = averaged(step_of(partial(objective.loss, score_fn=score_fn), optimizer, sample),
                    decay=1 - 1 / max(1.0, recipe.average * recipe.steps))

    def initial(key: jax.Array) -> Averaged:
        to_draw, to_learn = jax.random.split(key)
        return with_average(init_state(init(to_draw), optimizer, to_learn))

    return Learning(initial, step)
