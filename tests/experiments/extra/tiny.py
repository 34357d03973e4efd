"""A least-squares problem in four unknowns: the smallest experiment there can be, and divided where there is a mesh."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments.runner.config import RunConfig, require
from experiments.runner.finish import finish
from experiments.runner.loop import train
from experiments.runner.run import start
from experiments.runner.seeds import seed_keys, seed_labels
from experiments.runner.stage import Stage
from experiments.runner.summary import Reference
from sandbox.sharding import where_it_fits
from sandbox.training import init_state, step_of

NAME = "tiny"
TARGET = np.array([1.0, -2.0, 3.0, -4.0], np.float32)
PRESETS = {"quick": {}, "full": {"num_steps": 80}}


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Least squares."""

    num_steps: int = 40
    """Optimiser steps of each of the two stages."""
    learning_rate: float = 0.1
    """Adam's."""
    nan_seed: int = -1
    """Seed whose batch is not a number at step 13."""

    def __post_init__(self):
        super().__post_init__()
        require(self.num_steps >= 1, "--num-steps", "at least 1", self.num_steps)


def loss(params, batch):
    """Mean squared distance."""
    return jnp.mean((params["w"] - batch) ** 2), None


def run(config=None):
    """Learn twice: the second stage begins where the first one ended."""
    config = config or Config()
    with start(NAME, config) as run:
        first, second = stages(config, None, run.mesh)
        between = train(run, first).state
        state = train(run, second._replace(initial=lambda state: state, given=(between,))).state
        error = np.asarray(jnp.linalg.norm(state.params["w"] - TARGET[None], axis=1))
        return finish(run, metrics={"error": error}, reference={"error": Reference(0.5, "a guess")},
                      drawn={"nothing": Figure(figsize=(1, 1))}, learned={"w": state.params["w"]},
                      model=state.params["w"])


def read(config):
    """There is nothing to be read."""


def stages(config, task, mesh):
    """Two, alike."""
    optimizer = optax.adam(config.learning_rate)

    def initial(key):
        return init_state({"w": jnp.zeros(4)}, optimizer, key)

    def sample(key, bad_key):
        noise = 0.1 * jax.random.normal(key, (4,))
        return TARGET + jnp.where(jax.random.bits(key) == bad_key, jnp.nan, noise)

    bad_key = jax.random.bits(jax.random.fold_in(jax.random.key(config.nan_seed % 2**32), 12))
    return tuple(Stage(name, jax.vmap(initial), (seed_keys(config),), step_of(loss, optimizer, sample), (bad_key,),
                       num_steps=config.num_steps, chunk_steps=4, labels=seed_labels(config),
                       state_rules=((r"\['w'\]", where_it_fits(None, "data")),), follows=follows)
                 for name, follows in (("first", ""), ("second", "first")))


def revive(config, learned):
    """The weights."""
    return learned["w"]
