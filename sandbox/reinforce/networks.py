"""Policies and state values as small networks."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from sandbox.reinforce.distributions import CATEGORICAL, GAUSSIAN, Distribution, Gaussian
from sandbox.reinforce.environment import Discrete, Environment

__all__ = ["CategoricalPolicy", "GaussianPolicy", "StateValue", "policy_for"]


class Layers(nn.Module):
    """tanh(W x + b), layer upon layer, and a linear one, of gain head_gain at first."""

    widths: Sequence[int]
    outputs: int
    head_gain: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.widths:
            x = jnp.tanh(nn.Dense(width, kernel_init=_gain(2**0.5))(x))
        return nn.Dense(self.outputs, kernel_init=_gain(self.head_gain), name="head")(x)


def _gain(gain: float) -> nn.initializers.Initializer:
    """Normal, of standard deviation gain / √inputs. Not orthogonal: LAPACK's QR, called by vmap, can stop forever."""
    return nn.initializers.variance_scaling(gain**2, "fan_in", "normal")


class CategoricalPolicy(nn.Module):
    """Observations (..., D) to logits (..., num_actions), all nearly equal at first.

    >>> network = CategoricalPolicy(2)
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), jnp.zeros((5, 4)))[0].shape
    (5, 2)
    """

    num_actions: int
    widths: Sequence[int] = (64, 64)

    @nn.compact
    def __call__(self, observations: jax.Array) -> jax.Array:
        return Layers(self.widths, self.num_actions, 0.01, name="layers")(observations)


class GaussianPolicy(nn.Module):
    """Observations (..., D) to a Gaussian (..., len(scales)): means in units of the scales, one spread for all states.

    >>> network = GaussianPolicy((2.0,))
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), jnp.zeros((5, 3)))[0].log_std.shape
    (5, 1)
    """

    scales: tuple[float, ...]
    widths: Sequence[int] = (64, 64)
    log_std: float = 0.0

    @nn.compact
    def __call__(self, observations: jax.Array) -> Gaussian:
        scales = jnp.array(self.scales)
        spread = self.param("log_std", nn.initializers.constant(self.log_std), (len(self.scales),)) + jnp.log(scales)
        mean = Layers(self.widths, len(self.scales), 0.01, name="layers")(observations)
        scales, spread = (row.reshape((1,) * (mean.ndim - 1) + (-1,)) for row in (scales, spread))
        return Gaussian(scales * mean, jnp.broadcast_to(spread, mean.shape))


class StateValue(nn.Module):
    """Observations (..., D) to values (...).

    >>> jax.eval_shape(StateValue().init_with_output, jax.random.key(0), jnp.zeros((5, 4)))[0].shape
    (5,)
    """

    widths: Sequence[int] = (64, 64)

    @nn.compact
    def __call__(self, observations: jax.Array) -> jax.Array:
        return Layers(self.widths, 1, 1.0, name="layers")(observations)[..., 0]


def policy_for(environment: Environment, *, widths: Sequence[int] = (64, 64)) -> tuple[nn.Module, Distribution]:
    """A policy whose heads fit an environment's actions, and what they mean.

    Means of a Gaussian are in units of half a Box's range, or of 1 where it has no bounds.

    >>> from sandbox.reinforce import CARTPOLE
    >>> network, distribution = policy_for(CARTPOLE)
    >>> network.num_actions, distribution is CATEGORICAL
    (2, True)
    """
    actions = environment.actions
    if isinstance(actions, Discrete):
        return CategoricalPolicy(actions.size, tuple(widths)), CATEGORICAL
    scales = tuple((high - low) / 2 if math.isfinite(high - low) else 1.0 for low, high in zip(*actions))
    return GaussianPolicy(scales, tuple(widths)), GAUSSIAN
