"""A linear-quadratic regulator: the one task of continuous actions whose return, and gradient, is known exactly."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.reinforce.environment import Box, Environment
from sandbox.reinforce.returns import check_share

__all__ = [
    "DOUBLE_INTEGRATOR", "REGULATOR", "LinearQuadratic", "RegulatorState", "linear_gaussian_return", "regulator_of",
    "state_covariances",
]


class LinearQuadratic(NamedTuple):
    """x' = A x + B u + G ε, reward −(xᵀ Q x + uᵀ R u), x₀ = S ε; D numbers of state, M of action.

    A: (D, D). B: (D, M). Q: (D, D) and R: (M, M), symmetric. G: (D, D), factor of the noise's covariance. S: (D, D),
    factor of the first state's. Nested tuples, or arrays.
    """

    A: Any
    B: Any
    Q: Any
    R: Any
    G: Any
    S: Any


class RegulatorState(NamedTuple):
    """x: (D,). key: the randomness of what is still to come."""

    x: jax.Array
    key: jax.Array


def regulator_of(name: str, system: LinearQuadratic, horizon: int) -> Environment:
    """A linear system under noise, to be kept near 0: never terminated, truncated at the horizon.

    Args:
      name: its name. system: LinearQuadratic. horizon: steps.
    Returns:
      Environment; x is a RegulatorState, the observation is (D,), the state itself, actions (M,) have no bounds.

    >>> still = LinearQuadratic(*((((1.0,),),) * 4), ((0.0,),), ((0.0,),))
    >>> environment = regulator_of("still", still, 2)
    >>> state, _ = environment.reset(jax.random.key(0))
    >>> first = environment.step(state, jnp.array([2.0]))
    >>> second = environment.step(first.state, jnp.array([1.0]))
    >>> first.observation.tolist(), float(first.reward), float(second.reward), bool(second.truncated)
    ([2.0], -4.0, -5.0, True)
    """
    size, actions = len(system.A), len(system.R)

    def start(key):
        now, later = jax.random.split(key)
        return RegulatorState(_product(jnp.asarray(system.S), jax.random.normal(now, (size,))), later)

    def advance(state, action):
        A, B, Q, R, G, _ = (jnp.asarray(part, state.x.dtype) for part in system)
        now, later = jax.random.split(state.key)
        x = state.x
        reward = -(jnp.vdot(x, _product(Q, x)) + jnp.vdot(action, _product(R, action)))
        noise = _product(G, jax.random.normal(now, x.shape, x.dtype))
        return RegulatorState(_product(A, x) + _product(B, action) + noise, later), reward, jnp.zeros((), bool)

    unbounded = Box((-math.inf,) * actions, (math.inf,) * actions)
    return Environment(name, start, advance, lambda state: state.x, size, unbounded, horizon)


def state_covariances(gain: jax.Array, log_std: jax.Array, system: LinearQuadratic, *, horizon: int) -> jax.Array:
    """Σ_t = E[x_t x_tᵀ] under u = −K x + σ ε:   Σ_{t+1} = (A − B K) Σ_t (A − B K)ᵀ + B diag(σ²) Bᵀ + G Gᵀ.

    Args:
      gain: K, (M, D). log_std: log σ, (M,). system: LinearQuadratic. horizon: H, steps.
    Returns:
      (H, D, D), of the times 0 to H − 1.

    >>> still = LinearQuadratic(*((((1.0,),),) * 6))
    >>> state_covariances(jnp.ones((1, 1)), jnp.zeros(1), still, horizon=3).ravel()
    Array([1., 2., 2.], dtype=float32)
    """
    A, B, _, _, G, S = (jnp.asarray(part, gain.dtype) for part in system)
    closed, pushed = A - _product(B, gain), B * jnp.exp(log_std)[None]
    added = _product(pushed, pushed.T) + _product(G, G.T)

    def forwards(covariance, _):
        return _product(_product(closed, covariance), closed.T) + added, covariance

    return jax.lax.scan(forwards, _product(S, S.T), length=horizon)[1]


def linear_gaussian_return(gain: jax.Array, log_std: jax.Array, system: LinearQuadratic, *, horizon: int,
                           discount: float = 1.0) -> jax.Array:
    """Expected return of the policy u = −K x + σ ε, ε ~ N(0, I), over H steps.

    J = −Σ_t γ^t (tr((Q + Kᵀ R K) Σ_t) + Σ_i R_ii σ_i²).

    Dimensions: D numbers of state, M of action.

    Args:
      gain: K, (M, D). log_std: log σ, (M,). system: LinearQuadratic. horizon: H, steps. discount: γ, in [0, 1].
    Returns:
      Scalar.
    Raises:
      ValueError: gain or log_std are not (M, D) and (M,), horizon is less than 1, discount is not in [0, 1].
    Source: Åström 1970, "Introduction to stochastic control theory", chapter 8, theorem 3.1 (with the gain given).

    >>> still = LinearQuadratic(*((((1.0,),),) * 6))
    >>> linear_gaussian_return(jnp.ones((1, 1)), jnp.zeros(1), still, horizon=2)
    Array(-8., dtype=float32)
    """
    check_gain(gain, log_std, system, horizon, discount)
    Q, R = (jnp.asarray(part, gain.dtype) for part in (system.Q, system.R))
    covariances = state_covariances(gain, log_std, system, horizon=horizon)
    cost = Q + _product(_product(gain.T, R), gain)
    costs = jnp.sum(cost[None] * covariances, axis=(1, 2)) + jnp.sum(jnp.diagonal(R) * jnp.exp(2 * log_std))
    return -jnp.sum(jnp.asarray(discount, gain.dtype) ** jnp.arange(horizon) * costs)


def check_gain(gain, log_std, system: LinearQuadratic, horizon: int, discount: float) -> None:
    """Refuse a gain that does not fit the system, no steps at all, and a discount outside [0, 1].

    >>> check_gain(jnp.zeros((2, 1)), jnp.zeros(1), DOUBLE_INTEGRATOR, 3, 1.0)
    Traceback (most recent call last):
    ValueError: gain and log_std must be (1, 2) and (1,), got (2, 1) and (1,)
    """
    size, actions = len(system.A), len(system.R)
    if gain.shape != (actions, size) or log_std.shape != (actions,):
        raise ValueError(f"gain and log_std must be {(actions, size)} and {(actions,)}, got {gain.shape} and "
                         f"{log_std.shape}")
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1, got {horizon}")
    check_share("discount", discount)


def _product(left: jax.Array, right: jax.Array) -> jax.Array:
    return jnp.matmul(left, right, precision="highest")


DOUBLE_INTEGRATOR = LinearQuadratic(
    A=((1.0, 0.1), (0.0, 1.0)), B=((0.005,), (0.1,)), Q=((1.0, 0.0), (0.0, 0.1)), R=((0.1,),),
    G=((0.0, 0.0), (0.0, 0.1)), S=((1.0, 0.0), (0.0, 0.5)))  # position and velocity, pushed for 0.1 s at a time
REGULATOR = regulator_of("regulator", DOUBLE_INTEGRATOR, 50)
