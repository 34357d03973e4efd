"""By hand: the scores of policies, and the gradients of the losses at their heads."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sandbox.reinforce.distributions import Gaussian
from sandbox.reinforce.losses import Decisions, Returns

__all__ = [
    "categorical_entropy_grad", "categorical_score", "clipped_policy_gradient_grad", "fisher_product",
    "gaussian_entropy_grad", "gaussian_score", "policy_gradient_grad", "value_error_grad",
]


def categorical_score(logits: jax.Array, actions: jax.Array) -> jax.Array:
    """∇ log π(a) to the logits: e_a − p, what was done less what was to be expected.

    Args:
      logits: (..., A). actions: (...) integer.
    Returns:
      (..., A); sums to 0 along the last axis, and its mean under p is 0.
    Source: Sutton, Barto 2018, "Reinforcement learning", exercise 13.3.

    >>> categorical_score(jnp.zeros(2), jnp.array(1))
    Array([-0.5,  0.5], dtype=float32)
    """
    return jax.nn.one_hot(actions, logits.shape[-1], dtype=logits.dtype) - jax.nn.softmax(logits)


def categorical_entropy_grad(logits: jax.Array) -> jax.Array:
    """∇ H to the logits: −p ∘ (log p + H).

    Args:
      logits: (..., A).
    Returns:
      (..., A); sums to 0 along the last axis.

    >>> categorical_entropy_grad(jnp.zeros(2))
    Array([-0., -0.], dtype=float32)
    """
    log_p = jax.nn.log_softmax(logits)
    p = jnp.exp(log_p)
    return -p * (log_p - jnp.sum(p * log_p, axis=-1, keepdims=True))


def gaussian_score(head: Gaussian, actions: jax.Array) -> Gaussian:
    """∇ log π(a) to μ and log σ: with z = (a − μ)/σ,   z/σ and z² − 1.

    Args:
      head: (..., A). actions: (..., A).
    Returns:
      Gaussian of (..., A): not a head, but the gradient to one.
    Source: Williams 1992, section 6.

    >>> gaussian_score(Gaussian(jnp.zeros(1), jnp.zeros(1)), jnp.array([2.0]))
    Gaussian(mean=Array([2.], dtype=float32), log_std=Array([3.], dtype=float32))
    """
    inverse = jnp.exp(-head.log_std)
    z = (actions - head.mean) * inverse
    return Gaussian(z * inverse, z**2 - 1)


def gaussian_entropy_grad(head: Gaussian) -> Gaussian:
    """∇ H to μ and log σ: 0 and 1, wherever the head is.

    >>> gaussian_entropy_grad(Gaussian(jnp.zeros(1), jnp.zeros(1)))
    Gaussian(mean=Array([0.], dtype=float32), log_std=Array([1.], dtype=float32))
    """
    return Gaussian(jnp.zeros_like(head.mean), jnp.ones_like(head.log_std))


def policy_gradient_grad(head: Any, batch: Decisions, *, score: Callable[..., Any] = categorical_score,
                         entropy_grad: Callable[..., Any] = categorical_entropy_grad, entropy_weight: float = 0.0
                         ) -> Any:
    """Gradient of `policy_gradient` to the head: −w / Σw · (Â ∇ log π(a) + c ∇H).

    Args:
      head: what apply_fn returned, logits or Gaussian. batch: Decisions. score, entropy_grad: ∇ log π and ∇H of the
      distribution. entropy_weight: c.
    Returns:
      As the head.
    Source: Williams 1992, eq. 6, with the entropy of Williams, Peng 1991.

    >>> batch = Decisions(jnp.ones((1, 4)), jnp.array([1]), jnp.array([2.0]), jnp.zeros(1), jnp.ones(1))
    >>> policy_gradient_grad(jnp.zeros((1, 2)), batch)
    Array([[ 1., -1.]], dtype=float32)
    """
    return _weighted(head, batch, batch.advantages, score, entropy_grad, entropy_weight)


def clipped_policy_gradient_grad(head: Any, log_probs: jax.Array, batch: Decisions, *,
                                 score: Callable[..., Any] = categorical_score,
                                 entropy_grad: Callable[..., Any] = categorical_entropy_grad, clip: float = math.inf,
                                 entropy_weight: float = 0.0) -> Any:
    """Gradient of `clipped_policy_gradient` to the head: −w / Σw · (ρ Â [ρ has not gone too far] ∇ log π(a) + c ∇H).

    Too far is above 1 + ε where Â > 0, and below 1 − ε where Â < 0: never against the advantage.

    Args:
      head, score, entropy_grad, entropy_weight: those of `policy_gradient_grad`. log_probs: log π(a), (...), of the
      head. batch: Decisions. clip: ε.
    Returns:
      As the head.
    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", eq. 7.

    >>> batch = Decisions(jnp.ones((2, 4)), jnp.array([1, 1]), jnp.array([1.0, -1.0]), jnp.zeros(2), jnp.ones(2))
    >>> clipped_policy_gradient_grad(jnp.zeros((2, 2)), jnp.log(jnp.array([0.5, 0.5])), batch, clip=0.2)
    Array([[ 0.125, -0.125],
           [ 0.   , -0.   ]], dtype=float32)
    """
    ratios = jnp.exp(log_probs - batch.log_probs)
    too_far = jnp.where(batch.advantages > 0, ratios > 1 + clip, ratios < 1 - clip)
    return _weighted(head, batch, jnp.where(too_far, 0, ratios * batch.advantages), score, entropy_grad,
                     entropy_weight)


def value_error_grad(values: jax.Array, batch: Returns) -> jax.Array:
    """Gradient of `value_error` to the values: w / Σw · (V − G).

    Args:
      values: (...). batch: Returns.
    Returns:
      (...).

    >>> value_error_grad(jnp.zeros(2), Returns(jnp.ones((2, 4)), jnp.array([1.0, 3.0]), jnp.ones(2)))
    Array([-0.5, -1.5], dtype=float32)
    """
    return _shares(batch.weights) * (values - batch.returns)


def fisher_product(logits: jax.Array, vector: jax.Array) -> jax.Array:
    """Fisher's information of p = softmax(z), times a vector: F v = p ∘ (v − pᵀ v).

    F = E[∇ log p ∇ log pᵀ] = −E[∇² log p] = diag(p) − p pᵀ.

    Of a bandit whose arms pay m on average, ∇J = F m: so the natural gradient, F⁺ ∇J, is m less its plain mean,
    whatever the policy.

    Args:
      logits: z, (..., A). vector: v, same shape.
    Returns:
      (..., A); 0 for a vector of equal numbers, so F has no inverse.
    Source: Amari 1998, "Natural gradient works efficiently in learning"; Kakade 2001.

    >>> fisher_product(jnp.zeros(2), jnp.array([1.0, 0.0]))
    Array([ 0.25, -0.25], dtype=float32)
    """
    p = jax.nn.softmax(logits)
    return p * (vector - jnp.sum(p * vector, axis=-1, keepdims=True))


def _weighted(head, batch: Decisions, advantages, score, entropy_grad, entropy_weight):
    def joined(towards, wider):
        return -shares[..., None] * (advantages[..., None] * towards + entropy_weight * wider)

    shares = _shares(batch.weights)
    return jax.tree.map(joined, score(head, batch.actions), entropy_grad(head))


def _shares(weights: jax.Array) -> jax.Array:
    total = jnp.sum(weights)
    return weights / jnp.where(total > 0, total, 1)
