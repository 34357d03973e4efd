"""First-order expansions of motion and measurement about a point, their Jacobians by forward mode."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.kalman.model import Model, check_shapes
from sandbox.kalman.small import product_transposed, triangularize
from sandbox.kalman.track import Track, rows_before

__all__ = ["Noise", "Observation", "Transition", "linearise", "noise_of", "observation_at", "transition_at"]


class Transition(NamedTuple):
    """x ↦ value + F (x − point) + G ε, ε ~ N(0, I): (n,), (n,), (n, n), (n, k)."""

    point: jax.Array
    value: jax.Array
    F: jax.Array
    G: jax.Array


class Noise(NamedTuple):
    """What a row's sensor adds: factor N, lower triangular, and covariance R = N Nᵀ, both (M, M). What was
    not measured has noise of its own of variance 1, so that it adds nothing to a determinant. measured: (M,) bool."""

    factor: jax.Array
    covariance: jax.Array
    measured: jax.Array


class Observation(NamedTuple):
    """z − h(x) ≈ residual − H (x − point), with Noise: (n,), (M,), (M, n). What was not measured has residual 0
    and a row of zeros in H, so that it moves nothing."""

    point: jax.Array
    residual: jax.Array
    H: jax.Array
    noise: Noise


def transition_at(model: Model, params: Any, point: jax.Array, control: jax.Array, dt_seconds: jax.Array) -> Transition:
    """The motion about a point: F = ∂f/∂x there.

    Args:
      model, params: see Model. point: (n,). control: (C,). dt_seconds: ().
    Returns:
      Transition.

    >>> from sandbox.kalman.model import Factored, linear_model
    >>> one = jnp.ones((1, 1))
    >>> transition_at(linear_model(2 * one, one, one, one, Factored(one[0], one)), None, one[0], None, 0.1).F
    Array([[2.]], dtype=float32)
    """
    def motion(state):
        value = model.motion(params, state, control, dt_seconds)
        return value, value

    F, value = jax.jacfwd(motion, has_aux=True)(point)
    return Transition(point, value, F, model.motion_noise(params, point, control, dt_seconds))


def noise_of(model: Model, params: Any, sensor: jax.Array, mask: jax.Array) -> Noise:
    """The noise of a row. It knows nothing of the state, and is best computed for all rows at once.

    Args:
      model, params: see Model. sensor: (). mask: (M,).
    Returns:
      Noise.

    >>> from sandbox.kalman.model import Factored, linear_model
    >>> one = jnp.ones((1, 1))
    >>> noise_of(linear_model(one, one, one, 3 * one, Factored(one[0], one)), None, 0, jnp.array([True])).covariance
    Array([[9.]], dtype=float32)
    """
    N = model.observation_noise(params, sensor)
    identity = jnp.eye(len(mask), dtype=N.dtype)
    alone = jnp.where(mask[:, None], jnp.concatenate([N, 0 * identity], axis=1),
                      jnp.concatenate([0 * N, identity], axis=1))
    covariance = jnp.where(mask[:, None] & mask[None, :], product_transposed(N, N), identity)
    return Noise(triangularize(alone), covariance, mask)


def observation_at(model: Model, params: Any, point: jax.Array, row: Track, noise: Noise) -> Observation:
    """The measurement about a point: H = ∂h/∂x there.

    Args:
      model, params: see Model. point: (n,). row: of a Track. noise: its `noise_of`.
    Returns:
      Observation.

    >>> from sandbox.kalman.model import Factored, linear_model
    >>> one = jnp.ones((1, 1))
    >>> model = linear_model(one, one, 2 * one, one, Factored(one[0], one))
    >>> row = Track(jnp.ones(()), jnp.zeros(0), jnp.array(0), jnp.array([5.0]), jnp.array([True]))
    >>> observation_at(model, None, one[0], row, noise_of(model, None, row.sensor, row.mask)).residual
    Array([3.], dtype=float32)
    """
    def observe(state):
        value = model.observe(params, state, row.sensor)
        return value, value

    H, predicted = jax.jacfwd(observe, has_aux=True)(point)
    residual = model.residual(row.sensor, jnp.where(row.mask, row.measurement, predicted), predicted)
    return Observation(point, jnp.where(row.mask, residual, 0), jnp.where(row.mask[:, None], H, 0), noise)


def linearise(model: Model, params: Any, track: Track, start: jax.Array,
              trajectory: jax.Array) -> tuple[Transition, Observation]:
    """A whole track about a trajectory: what is left is linear.

    Args:
      model, params: see Model. track: T rows.
      start: (n,) point before the first row. trajectory: (T, n), a point in each row.
    Returns:
      Transition into and Observation in each row, leading axis T.
    Raises:
      ValueError: see `check_shapes`.

    >>> from sandbox.kalman.model import Factored, linear_model
    >>> one = jnp.ones((1, 1))
    >>> model = linear_model(2 * one, one, one, one, Factored(one[0], one))
    >>> track = Track(jnp.ones(3), jnp.zeros((3, 0)), jnp.zeros(3, int), jnp.ones((3, 1)), jnp.ones((3, 1), bool))
    >>> linearise(model, None, track, jnp.zeros(1), jnp.zeros((3, 1)))[0].F.shape
    (3, 1, 1)
    """
    check_shapes(model, params, track)

    def expand(before: jax.Array, here: jax.Array, row: Track):
        noise = noise_of(model, params, row.sensor, row.mask)
        return (transition_at(model, params, before, row.control, row.dt_seconds),
                observation_at(model, params, here, row, noise))

    return jax.vmap(expand)(rows_before(start, trajectory), trajectory, track)
