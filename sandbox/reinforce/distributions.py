"""What a policy's head says of actions: categorical over a few, or Gaussian over real numbers."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

__all__ = [
    "CATEGORICAL", "GAUSSIAN", "Distribution", "Gaussian", "categorical_entropy", "categorical_log_prob",
    "categorical_noise", "categorical_sample", "gaussian_entropy", "gaussian_log_prob", "gaussian_noise",
    "gaussian_sample",
]


class Gaussian(NamedTuple):
    """Head of a Gaussian policy: mean and log standard deviation of each number of an action, (..., A) both."""

    mean: jax.Array
    log_std: jax.Array


class Distribution(NamedTuple):
    """A family of distributions over actions, of which a head names one; see CATEGORICAL and GAUSSIAN.

    log_prob: (head, actions) -> (...) nats. entropy: (head) -> (...) nats. mode: (head) -> actions.
    noise: (key, shape, size) -> what sampling needs, for actions of that leading shape and heads of that size.
    sample: (head, noise) -> actions.
    """

    log_prob: Callable[[Any, jax.Array], jax.Array]
    entropy: Callable[[Any], jax.Array]
    mode: Callable[[Any], jax.Array]
    noise: Callable[[jax.Array, tuple[int, ...], int], jax.Array]
    sample: Callable[[Any, jax.Array], jax.Array]


def categorical_log_prob(logits: jax.Array, actions: jax.Array) -> jax.Array:
    """log p_a, p = softmax(z).

    Args:
      logits: z, (..., A). actions: (...) integer; NaN is returned where one is not 0 to A − 1.
    Returns:
      (...) nats.
    Raises:
      ValueError: actions are not of the shape of the logits without its last axis.
      TypeError: logits are a Gaussian, or actions are not integers.

    >>> categorical_log_prob(jnp.zeros(2), jnp.array(1))
    Array(-0.6931472, dtype=float32)
    """
    if isinstance(logits, Gaussian):
        raise TypeError("the head of a categorical policy must be logits, got a Gaussian")
    if jnp.shape(actions) != logits.shape[:-1]:
        raise ValueError(f"actions of a categorical policy with logits {logits.shape} must be {logits.shape[:-1]}, got "
                         f"{jnp.shape(actions)}")
    if not jnp.issubdtype(actions.dtype, jnp.integer):
        raise TypeError(f"actions of a categorical policy must be integers, got {actions.dtype}")
    log_p = jax.nn.log_softmax(logits)
    chosen = actions[..., None] == jnp.arange(logits.shape[-1]).reshape((1,) * actions.ndim + (-1,))
    known = (actions >= 0) & (actions < logits.shape[-1])
    return jnp.where(known, jnp.sum(jnp.where(chosen, log_p, 0), axis=-1), jnp.nan)


def categorical_entropy(logits: jax.Array) -> jax.Array:
    """H = −Σ_a p_a log p_a.

    Args:
      logits: (..., A).
    Returns:
      (...) nats, 0 to log A.

    >>> categorical_entropy(jnp.zeros(2))
    Array(0.6931472, dtype=float32)
    """
    log_p = jax.nn.log_softmax(logits)
    p = jnp.exp(log_p)
    return -jnp.sum(jnp.where(p > 0, p * log_p, 0), axis=-1)


def categorical_mode(logits: jax.Array) -> jax.Array:
    """The likeliest action, the first of equals.

    >>> categorical_mode(jnp.array([0.0, 2.0, 2.0]))
    Array(1, dtype=int32)
    """
    return jnp.argmax(logits, axis=-1)


def categorical_noise(key: jax.Array, shape: tuple[int, ...], size: int) -> jax.Array:
    """u, uniform in [0, 1): one number an action, however many there are to choose from.

    >>> categorical_noise(jax.random.key(0), (3,), 2).shape
    (3,)
    """
    return jax.random.uniform(key, shape)


def categorical_sample(logits: jax.Array, noise: jax.Array) -> jax.Array:
    """The action at which the cumulative probability first exceeds u: Σ_{b ≤ a} p_b > u.

    Args:
      logits: (..., A). noise: u, (...), in [0, 1).
    Returns:
      (...) int32.
    Raises:
      ValueError: noise is not of the shape of the logits without its last axis.

    >>> categorical_sample(jnp.zeros((2, 2)), jnp.array([0.2, 0.7]))
    Array([0, 1], dtype=int32)
    """
    if noise.shape != logits.shape[:-1]:
        raise ValueError(f"noise of logits {logits.shape} must be {logits.shape[:-1]}, got {noise.shape}")
    reached = jnp.cumsum(jax.nn.softmax(logits), axis=-1)[..., :-1] <= noise[..., None]
    return jnp.sum(reached, axis=-1, dtype=jnp.int32)


def gaussian_log_prob(head: Gaussian, actions: jax.Array) -> jax.Array:
    """log N(a; μ, diag σ²) = −½ Σ ((a − μ)² / σ² + 2 log σ + log 2π).

    Args:
      head: μ and log σ, (..., A). actions: (..., A).
    Returns:
      (...) nats.
    Raises:
      ValueError: actions are not of the shape of the mean.
      TypeError: head is no Gaussian.

    >>> gaussian_log_prob(Gaussian(jnp.zeros(1), jnp.zeros(1)), jnp.zeros(1))
    Array(-0.9189385, dtype=float32)
    """
    if not isinstance(head, Gaussian):
        raise TypeError(f"the head of a Gaussian policy must be a Gaussian, got {type(head).__name__}")
    if jnp.shape(actions) != head.mean.shape:
        raise ValueError(f"actions of a Gaussian policy with mean {head.mean.shape} must be of that shape, got "
                         f"{jnp.shape(actions)}")
    z = (actions - head.mean) * jnp.exp(-head.log_std)
    return -0.5 * jnp.sum(z**2 + 2 * head.log_std + math.log(2 * math.pi), axis=-1)


def gaussian_entropy(head: Gaussian) -> jax.Array:
    """H = Σ (log σ + ½ log 2πe).

    Args:
      head: (..., A).
    Returns:
      (...) nats; below 0 where σ is small.

    >>> gaussian_entropy(Gaussian(jnp.zeros(1), jnp.zeros(1)))
    Array(1.4189385, dtype=float32)
    """
    return jnp.sum(head.log_std + 0.5 * math.log(2 * math.pi * math.e), axis=-1)


def gaussian_mode(head: Gaussian) -> jax.Array:
    """μ.

    >>> gaussian_mode(Gaussian(jnp.ones(1), jnp.zeros(1)))
    Array([1.], dtype=float32)
    """
    return head.mean


def gaussian_noise(key: jax.Array, shape: tuple[int, ...], size: int) -> jax.Array:
    """ε, standard normal, (*shape, size).

    >>> gaussian_noise(jax.random.key(0), (3,), 2).shape
    (3, 2)
    """
    return jax.random.normal(key, (*shape, size))


def gaussian_sample(head: Gaussian, noise: jax.Array) -> jax.Array:
    """μ + σ ε.

    Args:
      head: (..., A). noise: ε, (..., A).
    Returns:
      (..., A).
    Raises:
      ValueError: noise is not of the shape of the mean.

    >>> gaussian_sample(Gaussian(jnp.ones(1), jnp.zeros(1)), jnp.array([2.0]))
    Array([3.], dtype=float32)
    """
    if noise.shape != head.mean.shape:
        raise ValueError(f"noise must be of the shape of the mean, {head.mean.shape}, got {noise.shape}")
    return head.mean + jnp.exp(head.log_std) * noise


CATEGORICAL = Distribution(categorical_log_prob, categorical_entropy, categorical_mode, categorical_noise,
                           categorical_sample)
GAUSSIAN = Distribution(gaussian_log_prob, gaussian_entropy, gaussian_mode, gaussian_noise, gaussian_sample)
