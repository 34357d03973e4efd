"""Smoothers against all measurements at once: a dense solve of the linear problem, a stationary point of the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.kalman import filter, smoother
from sandbox.kalman.model import Gaussian
from tests.sandbox.kalman.problems import (
    LIDAR_RADAR,
    LIDAR_RADAR_PARAMS,
    LIDAR_RADAR_TRACK,
    LINEAR,
    LINEAR_TRACK,
    PRIOR,
    F,
    G,
    H,
    N,
    assert_close,
    filled,
)

pytestmark = pytest.mark.usefixtures("float64")


@jax.jit
def linear(track):
    filtered = filter.extended_kalman_filter(LINEAR, None, track)
    return filtered, smoother.extended_smoother(LINEAR, None, track, filtered)


def all_at_once(track):
    """Mean and covariance of (x_0, x_1, .., x_T), stacked, given every measurement: information added up."""
    rows, n = len(track.dt_seconds), len(F)
    information, pull = np.zeros((rows + 1, n, rows + 1, n)), np.zeros((rows + 1, n))
    prior, Q, R = np.linalg.inv(PRIOR.factor @ PRIOR.factor.T), np.linalg.inv(G @ G.T), N @ N.T
    information[0, :, 0] += prior
    pull[0] += prior @ PRIOR.mean
    for k in range(rows):
        step = np.hstack([-F, np.eye(n)])  # x_{k+1} − F x_k
        information[k:k + 2, :, k:k + 2] += (step.T @ Q @ step).reshape(2, n, 2, n)
        kept = track.mask[k]
        seen = H[kept].T @ np.linalg.inv(R[np.ix_(kept, kept)])
        information[k + 1, :, k + 1] += seen @ H[kept]
        pull[k + 1] += seen @ track.measurement[k, kept]
    flat = (rows + 1) * n
    covariance = np.linalg.inv(information.reshape(flat, flat))
    blocks = covariance.reshape(rows + 1, n, rows + 1, n)
    each = np.arange(rows + 1)
    return Gaussian((covariance @ pull.ravel()).reshape(rows + 1, n), blocks[each, :, each])


def test_it_is_the_joint_law_given_every_measurement():
    _, smoothed = linear(LINEAR_TRACK)
    stacked = jax.tree.map(lambda start, rows: np.concatenate([start[None], rows]), *smoothed)
    assert_close(stacked, all_at_once(LINEAR_TRACK), 1e-11)


def test_the_last_row_is_the_filters():
    filtered, smoothed = linear(LINEAR_TRACK)
    assert_close(*(jax.tree.map(lambda leaf: leaf[-1], rows) for rows in (smoothed.rows, filtered.updated)), 0)


def test_more_measurements_never_raise_the_variance():
    filtered, smoothed = linear(LINEAR_TRACK)
    gained = filtered.updated.covariance - smoothed.rows.covariance
    assert np.linalg.eigvalsh(gained).min() > -1e-14
    assert np.trace(gained[0]) > 0.01
    assert np.linalg.eigvalsh(filtered.start.covariance - smoothed.start.covariance).min() > 0


def test_the_iterated_smoother_ends_at_the_most_probable_trajectory():
    """Where no change of the states, of the start neither, makes states and measurements together more probable."""
    track, model = filled(LIDAR_RADAR_TRACK), LIDAR_RADAR
    # Q of rank 4 has no density, so that every state is stirred a little; and it must not depend on the state, for
    # its own slope is no part of Gauss–Newton.
    jitter = 1e-3 * np.eye(5)
    noisy = model._replace(motion_noise=lambda params, state, control, dt_seconds: jnp.concatenate(
        [model.motion_noise(params, 0 * state, control, dt_seconds), jnp.asarray(jitter)], axis=1))

    def surprise(trajectory, params):
        prior = noisy.prior(params, track)
        start = jnp.linalg.solve(prior.factor, trajectory[0] - prior.mean)

        def one(before, here, row):
            G = noisy.motion_noise(params, before, row.control, row.dt_seconds)
            step = here - noisy.motion(params, before, row.control, row.dt_seconds)
            apart = noisy.residual(row.sensor, row.measurement, noisy.observe(params, here, row.sensor))
            missed = jnp.where(row.mask, apart / jnp.diagonal(noisy.observation_noise(params, row.sensor)), 0)
            return step @ jnp.linalg.solve(G @ G.T, step) + jnp.sum(missed**2)

        return (jnp.sum(start**2) + jnp.sum(jax.vmap(one)(trajectory[:-1], trajectory[1:], track))) / 2

    @jax.jit
    def solve(params, track):
        first = smoother.extended_smoother(
            noisy, params, track, filter.extended_kalman_filter(noisy, params, track))
        last = smoother.iterated_smoother(noisy, params, track, first, num_iterations=30)
        return [jnp.concatenate([some.start.mean[None], some.rows.mean]) for some in (first, last)]

    slope = jax.jit(jax.grad(surprise))
    before, after = (slope(trajectory, LIDAR_RADAR_PARAMS) for trajectory in solve(LIDAR_RADAR_PARAMS, track))
    assert np.linalg.norm(before) > 1
    assert np.linalg.norm(after) < 1e-6
