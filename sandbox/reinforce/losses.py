"""The policy gradient as the gradient of a loss, on a batch of decisions; and the value of states."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.reductions import weighted_mean
from sandbox.reinforce.distributions import CATEGORICAL, Distribution
from sandbox.tracing import is_concrete

__all__ = [
    "Decisions", "PolicyAux", "Returns", "ValueAux", "check_decisions", "clipped_policy_gradient", "policy_gradient",
    "value_error",
]


class Decisions(NamedTuple):
    """Actions taken in states, and how much better than expected they turned out.

    observations: (..., D). actions: (...) integer, or (..., A). advantages: Â, (...). log_probs: log π_old(a|s) in
    nats, (...), of the policy that took them. weights: (...), 0 for what is no decision.
    """

    observations: jax.Array
    actions: jax.Array
    advantages: jax.Array
    log_probs: jax.Array
    weights: jax.Array


class PolicyAux(NamedTuple):
    """Diagnostics: log_probs: log π(a|s), (...); entropies: (...), both nats; ratios: π/π_old, (...), which mean
    nothing where a batch was given no log_probs but 0."""

    log_probs: jax.Array
    entropies: jax.Array
    ratios: jax.Array


class Returns(NamedTuple):
    """observations: (..., D). returns: G, (...), what their states were worth. weights: (...)."""

    observations: jax.Array
    returns: jax.Array
    weights: jax.Array


class ValueAux(NamedTuple):
    """Diagnostics: values: V(s), (...); errors: V(s) − G, (...)."""

    values: jax.Array
    errors: jax.Array


def policy_gradient(params: Any, batch: Decisions, *, apply_fn: Callable[..., Any],
                    distribution: Distribution = CATEGORICAL, entropy_weight: float = 0.0
                    ) -> tuple[jax.Array, PolicyAux]:
    """The surrogate whose gradient is the policy gradient's estimate.

    L = −Σ w (Â log π(a|s) + c H(π(·|s))) / Σ w,   ∇L = −Σ w (Â ∇ log π(a|s) + c ∇H) / Σ w.

    Args:
      params: of apply_fn. batch: Decisions; its log_probs only say how far the policy has moved. What no policy can
        learn from, `check_decisions` refuses; here a row of weight 0 is left out, and of none but such the value is 0.
      apply_fn: (params, observations) -> head of the distribution. distribution: what heads mean.
      entropy_weight: c, >= 0.
    Returns:
      Scalar, PolicyAux. Its value means little: the return is what falls and rises.
    Raises:
      ValueError: actions, advantages, log_probs and weights do not fit the observations.
      ValueError: the head's shape does not fit the actions'.
      TypeError: the head, or the actions' type, is not of the distribution's kind.
      ValueError: entropy_weight is below 0.
    Source: Williams 1992; Sutton, McAllester, Singh, Mansour 2000, "Policy gradient methods", theorem 1.

    >>> batch = Decisions(jnp.ones((1, 4)), jnp.array([1]), jnp.array([2.0]), jnp.zeros(1), jnp.ones(1))
    >>> value, aux = policy_gradient(None, batch, apply_fn=lambda params, observations: jnp.zeros((1, 2)))
    >>> round(float(value), 4)
    1.3863
    """
    batch, log_probs, entropies = _judged(params, batch, apply_fn, distribution, entropy_weight)
    value = -weighted_mean(batch.advantages * log_probs + entropy_weight * entropies, batch.weights)
    return value, PolicyAux(log_probs, entropies, jnp.exp(log_probs - batch.log_probs))


def clipped_policy_gradient(params: Any, batch: Decisions, *, apply_fn: Callable[..., Any],
                            distribution: Distribution = CATEGORICAL, clip: float = math.inf,
                            entropy_weight: float = 0.0) -> tuple[jax.Array, PolicyAux]:
    """Importance-weighted surrogate, for more than one step on a batch; clipped, it does not reward leaving it.

    L = −Σ w (min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â) + c H) / Σ w,   ρ = π(a|s) / π_old(a|s).

    At π = π_old its gradient is that of `policy_gradient`.

    Args:
      clip: ε, > 0; inf clips nothing. The others: see `policy_gradient`.
    Returns:
      Scalar, PolicyAux.
    Raises:
      ValueError: actions, advantages, log_probs and weights do not fit the observations.
      ValueError: the head's shape does not fit the actions'.
      TypeError: the head, or the actions' type, is not of the distribution's kind.
      ValueError: entropy_weight is below 0.
      ValueError: clip is not above 0.
    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", eq. 6 and 7.

    >>> batch = Decisions(jnp.ones((1, 4)), jnp.array([1]), jnp.array([2.0]), jnp.log(jnp.array([0.25])), jnp.ones(1))
    >>> value, aux = clipped_policy_gradient(None, batch, apply_fn=lambda p, o: jnp.zeros((1, 2)), clip=0.2)
    >>> round(float(aux.ratios[0]), 4), round(float(value), 4)
    (2.0, -2.4)
    """
    if is_concrete(clip) and not clip > 0:
        raise ValueError(f"clip must be above 0, got {clip}")
    batch, log_probs, entropies = _judged(params, batch, apply_fn, distribution, entropy_weight)
    ratios = jnp.exp(log_probs - batch.log_probs)
    kept = jnp.minimum(ratios * batch.advantages, jnp.clip(ratios, 1 - clip, 1 + clip) * batch.advantages)
    return -weighted_mean(kept + entropy_weight * entropies, batch.weights), PolicyAux(log_probs, entropies, ratios)


def value_error(params: Any, batch: Returns, *, apply_fn: Callable[..., jax.Array]) -> tuple[jax.Array, ValueAux]:
    """Half the mean squared error of the values.

    L = Σ w ½ (V(s) − G)² / Σ w.

    Args:
      params: of apply_fn. batch: Returns. apply_fn: (params, observations) -> V, (...).
    Returns:
      Scalar in half squared units of reward, ValueAux.
    Raises:
      ValueError: returns and weights do not fit the observations.
      ValueError: the values are not of the shape of the returns.

    >>> batch = Returns(jnp.ones((2, 4)), jnp.array([1.0, 3.0]), jnp.ones(2))
    >>> value, aux = value_error(None, batch, apply_fn=lambda params, observations: jnp.zeros(2))
    >>> float(value), aux.errors.tolist()
    (2.5, [-1.0, -3.0])
    """
    rows = batch.observations.shape[:-1]
    if not rows == batch.returns.shape == batch.weights.shape:
        raise ValueError(f"returns and weights must be {rows}, as observations {batch.observations.shape} are, got "
                         f"{batch.returns.shape} and {batch.weights.shape}")
    batch = _real(batch)
    values = apply_fn(params, batch.observations)
    if values.shape != rows:
        raise ValueError(f"apply_fn must return values {rows}, got {values.shape}")
    errors = values - batch.returns
    return weighted_mean(0.5 * errors**2, batch.weights), ValueAux(values, errors)


def _judged(params: Any, batch: Decisions, apply_fn: Callable[..., Any], distribution: Distribution,
            entropy_weight: float) -> tuple[Decisions, jax.Array, jax.Array]:
    rows = batch.observations.shape[:-1]
    shapes = [batch.actions.shape[:len(rows)], batch.advantages.shape, batch.log_probs.shape, batch.weights.shape]
    if any(shape != rows for shape in shapes):
        raise ValueError(f"actions, advantages, log_probs and weights must be {rows}, as observations "
                         f"{batch.observations.shape} are, got {', '.join(map(str, shapes))}")
    if is_concrete(entropy_weight) and not entropy_weight >= 0:
        raise ValueError(f"entropy_weight must be at least 0, got {entropy_weight}")
    batch = _real(batch)
    head = apply_fn(params, batch.observations)
    return batch, distribution.log_prob(head, batch.actions), distribution.entropy(head)


def _real(batch: Any) -> Any:
    """The batch with 0 for whatever padding holds: its gradient would be 0 times that, which of NaN is NaN."""
    real = batch.weights > 0
    return jax.tree.map(
        lambda leaf: jnp.where(jax.lax.broadcast_in_dim(real, leaf.shape, range(real.ndim)), leaf, 0), batch)


def check_decisions(batch: Any) -> None:
    """Refuse decisions that no policy can learn from; for the host, on concrete arrays.

    Args:
      batch: Decisions, Returns or Steps; whatever has weights, (...), and other fields (..., *any).
    Raises:
      ValueError: a weight is below 0 or not finite; where weights are above 0 a number is not finite; none is above 0.

    >>> check_decisions(Returns(jnp.ones((1, 4)), jnp.array([jnp.nan]), jnp.ones(1)))
    Traceback (most recent call last):
    ValueError: returns must be finite, got nan at (0,)
    """
    weights = np.asarray(batch.weights)
    _refuse("weights", weights, ~(np.isfinite(weights) & (weights >= 0)), "finite and 0 or more")
    for name, values in zip(batch._fields, map(np.asarray, batch)):
        counts = weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim)) > 0
        _refuse(name, values, ~np.isfinite(values) & counts, "finite")
    if not weights.sum() > 0:
        raise ValueError("weights are 0 everywhere: there is no decision to learn from")


def _refuse(name: str, values: np.ndarray, bad: np.ndarray, what: str) -> None:
    if bad.any():
        place = tuple(int(axis[0]) for axis in np.nonzero(bad))
        raise ValueError(f"{name} must be {what}, got {values[place]} at {place}")
