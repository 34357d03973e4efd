"""Draw what a model says could happen: states, and measurements of them."""

from typing import Any

import jax
import jax.numpy as jnp

from sandbox.kalman.model import Model
from sandbox.kalman.small import product
from sandbox.kalman.track import Track

__all__ = ["simulate"]


def simulate(key: jax.Array, model: Model, params: Any, track: Track) -> tuple[jax.Array, Track]:
    """A trajectory, and the track with its measurements drawn anew.

    x_k = f(x_{k−1}, u_k, Δt_k) + G ε,  z_k = h(x_k) + N ν,  x_0 from the prior.

    Args:
      key: PRNG key. model, params: see Model.
      track: T rows; their times, controls, sensors and masks are kept.
    Returns:
      (T, n) states; Track. What is not measured is 0.

    >>> from sandbox.kalman.model import Factored, linear_model
    >>> one = jnp.ones((1, 1))
    >>> model = linear_model(one, 0 * one, 2 * one, 0 * one, Factored(one[0], 0 * one))
    >>> blank = Track(jnp.ones(2), jnp.zeros((2, 0)), jnp.zeros(2, int), jnp.zeros((2, 1)), jnp.ones((2, 1), bool))
    >>> simulate(jax.random.key(0), model, None, blank)[1].measurement
    Array([[2.],
           [2.]], dtype=float32)
    """
    prior = model.prior(params, track)
    start_key, *keys = jax.random.split(key, 3)
    start = prior.mean + product(prior.factor, jax.random.normal(start_key, prior.factor.shape[1:], prior.mean.dtype))

    def step(state, row_and_keys):
        row, motion_key, noise_key = row_and_keys
        G = model.motion_noise(params, state, row.control, row.dt_seconds)
        N = model.observation_noise(params, row.sensor)
        state = model.motion(params, state, row.control, row.dt_seconds) + product(
            G, jax.random.normal(motion_key, G.shape[1:], state.dtype))
        noise = product(N, jax.random.normal(noise_key, N.shape[1:], state.dtype))
        seen = model.observe(params, state, row.sensor) + noise
        return state, (state, jnp.where(row.mask, seen, 0))

    rows = [jax.random.split(one, track.dt_seconds.shape[0]) for one in keys]
    _, (states, measurement) = jax.lax.scan(step, start, (track, *rows))
    return states, track._replace(measurement=measurement)
