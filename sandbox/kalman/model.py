"""A model of motion and measurement as five pure functions, and the Gaussians that pass through it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.kalman.small import product
from sandbox.kalman.track import Track

__all__ = ["Factored", "Gaussian", "Model", "check_noise", "check_shapes", "difference", "linear_model"]


class Gaussian(NamedTuple):
    """N(mean, covariance): (..., n), (..., n, n)."""

    mean: jax.Array
    covariance: jax.Array


class Factored(NamedTuple):
    """N(mean, factor factorᵀ): (..., n), (..., n, k). Any factor of the covariance will do."""

    mean: jax.Array
    factor: jax.Array

    @property
    def covariance(self) -> jax.Array:
        """factor factorᵀ, (..., n, n)."""
        return jnp.einsum("...ik,...jk->...ij", self.factor, self.factor, precision="highest")


def difference(sensor: jax.Array, measurement: jax.Array, predicted: jax.Array) -> jax.Array:
    """measurement − predicted: the residual of sensors without angles.

    >>> difference(0, jnp.array([2.0]), jnp.array([0.5]))
    Array([1.5], dtype=float32)
    """
    return measurement - predicted


class Model(NamedTuple):
    """x_k = f(x_{k−1}, u_k, Δt_k) + G_k ε_k,   z_k = h(x_k) + N_k ν_k,   ε, ν ~ N(0, I).

    Noise is stated by factors: Q = G Gᵀ, G of any width, and R = N Nᵀ, N square and invertible.

    prior: (params, track) -> Factored, n components: what is known before the first row; it may look at
      the first row to find its place. motion: f, (params, state, control, dt_seconds) -> (n,).
    motion_noise: G, (params, state, control, dt_seconds) -> (n, k).
    observe: h, (params, state, sensor) -> (M,), whatever in the components that this sensor has not.
    observation_noise: N, (params, sensor) -> (M, M), with some noise also in what this sensor has not.
    residual: (sensor, measurement, predicted) -> (M,), the first less the second, angles wrapped.
    num_sensors: how many sensors there are.
    """

    prior: Callable[..., Factored]
    motion: Callable[..., jax.Array]
    motion_noise: Callable[..., jax.Array]
    observe: Callable[..., jax.Array]
    observation_noise: Callable[..., jax.Array]
    residual: Callable[..., jax.Array] = difference
    num_sensors: int = 1


def linear_model(F: jax.Array, G: jax.Array, H: jax.Array, N: jax.Array, prior: Factored) -> Model:
    """x_k = F x_{k−1} + G ε,  z_k = H x_k + N ν, whatever the time between rows; it has no params.

    Args:
      F: (n, n). G: (n, k). H: (M, n). N: (M, M). prior: Factored of n components.
    Returns:
      Model.

    >>> one = jnp.ones((1, 1))
    >>> model = linear_model(one, one, 2 * one, one, Factored(jnp.zeros(1), one))
    >>> model.observe(None, jnp.array([3.0]), 0)
    Array([6.], dtype=float32)
    """
    return Model(
        prior=lambda params, track: prior,
        motion=lambda params, state, control, dt_seconds: product(F, state),
        motion_noise=lambda params, state, control, dt_seconds: G,
        observe=lambda params, state, sensor: product(H, state),
        observation_noise=lambda params, sensor: N,
    )


def check_shapes(model: Model, params: Any, track: Track) -> None:
    """Refuse a track that does not fit a model, by shapes alone: while tracing too.

    Args:
      model, params: as a filter takes them. track: T rows, without batch axes.
    Raises:
      ValueError: the field that does not fit, what it had to be and what it was.

    >>> one = jnp.ones((1, 1))
    >>> model = linear_model(one, one, one, one, Factored(jnp.zeros(1), one))
    >>> check_shapes(model, None, Track(jnp.ones(2), jnp.ones((2, 0)), jnp.ones(2, int), jnp.ones((2, 3)),
    ...                                 jnp.ones((2, 3), bool)))
    Traceback (most recent call last):
    ValueError: measurement must have the shape (2, 1), for 2 rows and 1 components, got (2, 3)
    """
    if jnp.ndim(track.dt_seconds) != 1:
        raise ValueError(f"dt_seconds must be of one track, (T,), got shape {jnp.shape(track.dt_seconds)}; "
                         "batches go through jax.vmap")
    rows, control = jnp.shape(track.dt_seconds)[0], jnp.shape(track.control)[-1:]
    prior = jax.eval_shape(lambda params, track: model.prior(params, track), params, track)
    seen = jax.eval_shape(lambda params, state: model.observe(params, state, 0), params, prior.mean)
    components = seen.shape[0]
    expected = {"control": (rows, *control), "sensor": (rows,), "measurement": (rows, components),
                "mask": (rows, components)}
    for field, shape in expected.items():
        if (got := jnp.shape(getattr(track, field))) != shape:
            raise ValueError(f"{field} must have the shape {shape}, for {rows} rows and {components} components, "
                             f"got {got}")


def check_noise(model: Model, params: Any) -> None:
    """Refuse a singular R. For the host: traced code cannot raise.

    Args:
      model, params: as a filter takes them.
    Raises:
      ValueError: a sensor's R = N Nᵀ is not finite or not positive definite.

    >>> one = jnp.ones((1, 1))
    >>> check_noise(linear_model(one, one, one, 0 * one, Factored(jnp.zeros(1), one)), None)
    Traceback (most recent call last):
    ValueError: sensor 0: R is singular, [[0.0]]: every component needs noise of its own
    """
    for sensor in range(model.num_sensors):
        N = np.asarray(model.observation_noise(params, sensor), np.float64)
        if not np.isfinite(N).all():
            raise ValueError(f"sensor {sensor}: the noise factor of R is not finite, {N.tolist()}")
        if np.linalg.matrix_rank(N) < len(N):
            raise ValueError(f"sensor {sensor}: R is singular, {(N @ N.T).tolist()}: every component needs "
                             "noise of its own")
