"""What followed an action: returns by one recurrence, right where an episode ends, is cut off, or goes on."""

import jax
import jax.numpy as jnp

from sandbox.tracing import is_concrete

__all__ = ["advantages", "check_share", "discounted_returns", "full_returns", "lambda_returns"]


def lambda_returns(rewards: jax.Array, next_values: jax.Array, terminated: jax.Array, truncated: jax.Array, *,
                   discount: float, trace: float) -> jax.Array:
    """λ-returns of T steps of episodes one after another.

    G_t = r_t + γ (1 − terminated_t) ((1 − λ_t) V(s'_t) + λ_t G_{t+1}),   λ_t = 0 where the episode is truncated and at
    the last step, λ elsewhere.

    V(s'_t) is of the state that step t led to, before any reset: so nothing of the next episode flows into this one,
    and what the clock cut off is worth its estimate, where what has ended is worth 0.

    Dimensions: T steps, any axes behind.

    Args:
      rewards: r, (T, ...). next_values: V(s'), (T, ...). terminated, truncated: (T, ...) bool; both is terminated.
      discount: γ. trace: λ. In [0, 1].
    Returns:
      (T, ...), by a prefix scan of depth log₂ T.
    Raises:
      ValueError: shapes differ, or discount or trace is not in [0, 1].
      TypeError: rewards are not floating.
    Source: Sutton, Barto 2018, eq. 12.18; Pardo et al. 2018, "Time limits in reinforcement learning".

    >>> no = jnp.zeros(3, bool)
    >>> lambda_returns(jnp.ones(3), jnp.full(3, 10.0), no.at[1].set(True), no, discount=1.0, trace=1.0)
    Array([ 2.,  1., 11.], dtype=float32)
    """
    if not rewards.shape == next_values.shape == terminated.shape == truncated.shape:
        raise ValueError("rewards, next_values, terminated and truncated must be of one shape, got "
                         f"{rewards.shape}, {next_values.shape}, {terminated.shape} and {truncated.shape}")
    _check(rewards, discount)
    check_share("trace", trace)
    goes_on = jnp.where(truncated, 0, jnp.asarray(trace, rewards.dtype)).at[-1].set(0)
    ahead = jnp.where(terminated, 0, jnp.asarray(discount, rewards.dtype))

    def joined(later: tuple, earlier: tuple) -> tuple:
        return earlier[0] + earlier[1] * later[0], earlier[1] * later[1]

    known = rewards + jnp.where(terminated, 0, ahead * (1 - goes_on) * next_values)
    return jax.lax.associative_scan(joined, (known, ahead * goes_on), reverse=True)[0]


def advantages(rewards: jax.Array, values: jax.Array, next_values: jax.Array, terminated: jax.Array,
               truncated: jax.Array, *, discount: float, trace: float) -> jax.Array:
    """Generalised advantages, the λ-returns less the values: Â_t = δ_t + γ λ_t (1 − terminated_t) Â_{t+1}.

    δ_t = r_t + γ (1 − terminated_t) V(s'_t) − V(s_t),   where V(s'_t) = V(s_{t+1}) as long as an episode goes on.

    Args:
      values: V(s), (T, ...). The others: see `lambda_returns`.
    Returns:
      (T, ...).
    Raises:
      ValueError, TypeError: see `lambda_returns`.
    Source: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation", eq. 16.

    >>> no = jnp.zeros(2, bool)
    >>> advantages(jnp.ones(2), jnp.full(2, 0.5), jnp.full(2, 0.5), no, no, discount=1.0, trace=0.0)
    Array([1., 1.], dtype=float32)
    """
    return lambda_returns(rewards, next_values, terminated, truncated, discount=discount, trace=trace) - values


def discounted_returns(rewards: jax.Array, ended: jax.Array, *, discount: float) -> jax.Array:
    """Reward to go, from each step of whole episodes to the end of its own: G_t = Σ_{k ≥ t} γ^{k−t} r_k.

    Args:
      rewards: (T, ...), 0 after the end. ended: (T, ...) bool, True at an episode's last step. discount: γ, in [0, 1].
    Returns:
      (T, ...).
    Raises:
      ValueError: shapes differ, or discount is not in [0, 1].
      TypeError: rewards are not floating.

    >>> discounted_returns(jnp.ones(3), jnp.array([False, False, True]), discount=0.5)
    Array([1.75, 1.5 , 1.  ], dtype=float32)
    """
    return lambda_returns(rewards, jnp.zeros_like(rewards), ended, jnp.zeros_like(ended), discount=discount, trace=1.0)


def full_returns(rewards: jax.Array, *, discount: float) -> jax.Array:
    """The return of the whole episode, at each of its steps: Σ_k γ^k r_k, as REINFORCE was first written.

    Args:
      rewards: (T, ...), of one episode along the first axis, 0 after its end. discount: γ, in [0, 1].
    Returns:
      (T, ...), the same at every t.
    Raises:
      ValueError: discount is not in [0, 1].
      TypeError: rewards are not floating.
    Source: Williams 1992, "Simple statistical gradient-following algorithms", section 6.

    >>> full_returns(jnp.ones(3), discount=0.5)
    Array([1.75, 1.75, 1.75], dtype=float32)
    """
    _check(rewards, discount)
    powers = jnp.asarray(discount, rewards.dtype) ** jnp.arange(rewards.shape[0]).astype(rewards.dtype)
    return jnp.broadcast_to(jnp.tensordot(powers, rewards, axes=1), rewards.shape)


def check_share(name: str, value: float) -> None:
    """Refuse a discount, or a trace, that is none; what is traced nobody knows.

    Raises:
      ValueError: the value is not in [0, 1].

    >>> check_share("discount", 1.5)
    Traceback (most recent call last):
    ValueError: discount must be in [0, 1], got 1.5
    """
    if is_concrete(value) and not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def _check(rewards: jax.Array, discount: float) -> None:
    if not jnp.issubdtype(rewards.dtype, jnp.floating):
        raise TypeError(f"rewards must be floating, got {rewards.dtype}")
    check_share("discount", discount)
