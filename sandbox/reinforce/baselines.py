"""What is subtracted from a return: it must not know the action, and then it changes the variance alone."""

import jax
import jax.numpy as jnp

from sandbox.reductions import weighted_mean

__all__ = ["batch_mean", "leave_one_out", "no_baseline", "optimal_constant"]


def no_baseline(returns: jax.Array, weights: jax.Array) -> jax.Array:
    """b = 0.

    >>> no_baseline(jnp.ones(2), jnp.ones(2))
    Array([0., 0.], dtype=float32)
    """
    return jnp.zeros_like(returns)


def batch_mean(returns: jax.Array, weights: jax.Array) -> jax.Array:
    """The constant Σ w G / Σ w, of all episodes and steps: biased by O(1/E), as each return is a part of its own.

    Args:
      returns: (..., E). weights: same shape.
    Returns:
      (..., E), the same everywhere.
    Raises:
      ValueError: the shapes differ.

    >>> batch_mean(jnp.array([1.0, 3.0]), jnp.ones(2))
    Array([2., 2.], dtype=float32)
    """
    return jnp.broadcast_to(weighted_mean(returns, weights), returns.shape)


def leave_one_out(returns: jax.Array, weights: jax.Array) -> jax.Array:
    """For each episode, the mean of the others at the same step: b_{t,i} = Σ_{j≠i} w_{t,j} G_{t,j} / Σ_{j≠i} w_{t,j}.

    Unlike the mean of all it leaves the gradient's expectation as it is: no return is its own baseline.

    Args:
      returns: (..., E) of E episodes. weights: same shape, 0 behind an episode's end.
    Returns:
      (..., E); 0 where no other episode has come so far.
    Raises:
      ValueError: the shapes differ, or E is 1.
    Source: Kool, van Hoof, Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!"

    >>> leave_one_out(jnp.array([1.0, 2.0, 6.0]), jnp.array([1.0, 1.0, 0.0]))
    Array([2. , 1. , 1.5], dtype=float32)
    """
    if returns.shape != weights.shape:
        raise ValueError(f"weights must have the shape of returns, {returns.shape}, got {weights.shape}")
    if returns.shape[-1] < 2:
        raise ValueError("leave_one_out needs at least 2 episodes, got 1")
    worth = weights * jnp.where(weights > 0, returns, 0)
    others = jnp.sum(weights, axis=-1, keepdims=True) - weights
    total = jnp.sum(worth, axis=-1, keepdims=True) - worth
    return jnp.where(others > 0, total / jnp.where(others > 0, others, 1), 0)


def optimal_constant(squared_scores: jax.Array, returns: jax.Array, weights: jax.Array) -> jax.Array:
    """The constant that makes the variance of ∇ log π (G − b) least: b* = E[|∇ log π|² G] / E[|∇ log π|²].

    Args:
      squared_scores: |∇ log π|² of N samples, (...). returns: G. weights: of the mean. All of one shape.
    Returns:
      Scalar; 0 where all scores are.
    Raises:
      ValueError: the shapes differ.
    Source: Weaver, Tao 2001; Greensmith, Bartlett, Baxter 2004, theorem 8.

    >>> optimal_constant(jnp.array([1.0, 3.0]), jnp.array([0.0, 4.0]), jnp.ones(2))
    Array(3., dtype=float32)
    """
    if squared_scores.shape != returns.shape:
        raise ValueError(f"squared_scores and returns must be of one shape, got {squared_scores.shape} and "
                         f"{returns.shape}")
    scale = weighted_mean(squared_scores, weights)
    return weighted_mean(squared_scores * returns, weights) / jnp.where(scale > 0, scale, 1)
