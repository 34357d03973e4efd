"""By hand: the gradient of the log loss."""

import jax
import jax.numpy as jnp

from sandbox.logistic.losses import Labelled


def log_loss_grad(params: jax.Array, batch: Labelled) -> jax.Array:
    """∂L/∂w = Σ weight (p − y) x / Σ weight, (D,).

    >>> log_loss_grad(jnp.zeros(1), Labelled(jnp.ones((2, 1)), jnp.ones(2), jnp.ones(2)))
    Array([-0.5], dtype=float32)
    """
    return (batch.weight * (jax.nn.sigmoid(batch.x @ params) - batch.y)) @ batch.x / jnp.sum(batch.weight)
