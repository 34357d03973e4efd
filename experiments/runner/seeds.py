"""The seeds of a run: their keys and names."""

import jax
import jax.numpy as jnp

from experiments.runner.config import RunConfig

JUDGING = 2**31  # folded into a seed's key; steps are folded in, too, and are fewer


def seed_keys(config: RunConfig) -> jax.Array:
    """A key for each seed: (K,)."""
    return jnp.stack([jax.random.key(seed) for seed in range(config.seed, config.seed + config.seeds)])


def seed_labels(config: RunConfig) -> list[str]:
    """A name for each seed.

    >>> seed_labels(RunConfig(seed=3, seeds=2))
    ['seed 3', 'seed 4']
    """
    return [f"seed {seed}" for seed in range(config.seed, config.seed + config.seeds)]


def judging_keys(config: RunConfig) -> jax.Array:
    """A key for each seed, for what it is judged by: none that it learns with."""
    return jax.vmap(lambda key: jax.random.fold_in(key, JUDGING))(seed_keys(config))
