"""The log loss of a linear model."""

from typing import NamedTuple

import jax

from sandbox.reductions import weighted_mean

__all__ = ["Labelled", "LogLossAux", "log_loss"]


class Labelled(NamedTuple):
    """x: (N, D). y: (N,), 0 or 1. weight: (N,), 0 for padding."""

    x: jax.Array
    y: jax.Array
    weight: jax.Array


class LogLossAux(NamedTuple):
    """logits: (N,)."""

    logits: jax.Array


def log_loss(params: jax.Array, batch: Labelled) -> tuple[jax.Array, LogLossAux]:
    """−log p(y|x) = log(1 + e^z) − y z, z = ⟨w, x⟩, in nats, mean over rows by weight; params is w, (D,).

    >>> round(float(log_loss(jnp.zeros(2), Labelled(jnp.ones((3, 2)), jnp.ones(3), jnp.ones(3)))[0]), 4)  # log 2
    0.6931
    """
    z = batch.x @ params
    return weighted_mean(jax.nn.softplus(z) - batch.y * z, batch.weight), LogLossAux(z)
