"""Small problems that the tests of this wing share, in NumPy: of whatever precision is switched on where they are used.

In each, some rows are measured in part or not at all, and hold NaN where they are not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.kalman import models, motion
from sandbox.kalman.filter import extended_kalman_filter
from sandbox.kalman.model import Factored, Model, linear_model
from sandbox.kalman.track import Track

filter_of = jax.jit(extended_kalman_filter, static_argnames=("model", "num_iterations", "form"))


def track_of(dt_seconds, measurement, mask, *, sensor=None, control=None) -> Track:
    """A track of NumPy arrays: one sensor and no control unless given; NaN where nothing was measured."""
    rows = len(dt_seconds)
    return Track(np.asarray(dt_seconds), np.zeros((rows, 0)) if control is None else np.asarray(control),
                 np.zeros(rows, int) if sensor is None else np.asarray(sensor),
                 np.where(mask, measurement, np.nan), np.asarray(mask))


# A linear model of two components, both measured with errors that go together.
F, G = np.array([[1.0, 0.5], [-0.2, 0.9]]), np.array([[0.2, 0.1], [0.0, 0.3]])
H, N = np.array([[1.0, 0.0], [0.5, 1.0]]), np.array([[0.4, 0.0], [0.2, 0.3]])
PRIOR = Factored(np.array([1.0, -1.0]), np.array([[2.0, 0.0], [0.5, 1.0]]))
LINEAR = linear_model(F, G, H, N, PRIOR)


def _drawn(rng) -> np.ndarray:
    state, seen = PRIOR.mean, []
    for _ in range(6):
        state = F @ state + G @ rng.normal(size=2)
        seen.append(H @ state + N @ rng.normal(size=2))
    return np.stack(seen)


LINEAR_MEASUREMENT = _drawn(np.random.default_rng(0))
LINEAR_TRACK = track_of(np.ones(6), LINEAR_MEASUREMENT,
                        np.array([[1, 1], [1, 0], [0, 0], [0, 1], [1, 1], [1, 1]], bool))


# A point on a line that keeps its velocity but for white acceleration; its position is measured.
class DriftParams(NamedTuple):
    """log_acceleration: m/s² per √Hz. log_position: m."""

    log_acceleration: jax.Array
    log_position: jax.Array


DRIFT = Model(
    prior=lambda params, track: Factored(np.array([0.0, 1.0]), np.array([[3.0, 0.0], [1.0, 2.0]])),
    motion=lambda params, state, control, dt_seconds: motion.constant_velocity(state, dt_seconds),
    motion_noise=lambda params, state, control, dt_seconds: motion.constant_velocity_noise(
        dt_seconds, jnp.exp(params.log_acceleration), num_axes=1),
    observe=lambda params, state, sensor: state[:1],
    observation_noise=lambda params, sensor: jnp.exp(params.log_position)[None, None])
DRIFT_PARAMS = DriftParams(np.log(0.5), np.log(0.3))
DRIFT_TRACK = track_of([0.0, 0.5, 1.2, 0.1, 0.7], np.array([[0.2], [1.0], [9.0], [2.5], [2.0]]),
                       np.array([[1], [1], [0], [1], [1]], bool))


# An object that turns past the radar on the side where bearings jump from π to −π.
LIDAR_RADAR = models.lidar_radar()
LIDAR_RADAR_PARAMS = models.LidarRadarParams(np.log(0.8), np.log(0.3), np.log(0.15), np.log([0.3, 0.03, 0.3]),
                                             np.array([1.5, -1.5, 0.1]), np.log([5.0, 1.8, 0.5]))


def _passing() -> Track:
    rng = np.random.default_rng(1)
    dt = np.append(0.0, rng.uniform(0.1, 0.6, 9))
    first, speed, turn_rate = -1.9, 2.0, 0.3
    heading = first + turn_rate * np.cumsum(dt)
    x = -5.0 + speed / turn_rate * (np.sin(heading) - np.sin(first))
    y = 1.5 - speed / turn_rate * (np.cos(heading) - np.cos(first))
    radar = np.hypot(x, y), np.arctan2(y, x), speed * (x * np.cos(heading) + y * np.sin(heading)) / np.hypot(x, y)
    sensor = np.array([0, 1, 1, 0, 1, 0, 1, 1, 0, 1])
    seen = np.where(sensor[:, None] == 0, np.stack([x, y, 0 * x], axis=1), np.stack(radar, axis=1))
    noise = np.where(sensor[:, None] == 0, 0.15, [0.3, 0.03, 0.3]) * rng.normal(size=seen.shape)
    turns = np.zeros_like(seen)
    turns[[2, 6], 1] = 2 * np.pi  # the same bearings, by another name
    mask = np.tile(sensor[:, None] == 1, 3) | (np.arange(3) < 2)
    mask[4, 2], mask[5], mask[7] = False, False, (False, True, False)
    return track_of(dt, seen + noise + turns, mask, sensor=sensor)


LIDAR_RADAR_TRACK = _passing()


# A robot between two beacons whose radios read a tenth too long.
BEACONS = models.range_beacons(np.array([[0.0, 8.0], [6.0, -4.0]]), np.zeros(3), start_std=(0.5, 0.5, 0.2))
BEACONS_PARAMS = models.RangeBeaconParams(*np.log([0.2, 0.1, 0.1]), np.array(1.05), np.array(0.05), np.log(0.5),
                                          np.array(1.1), np.array([0.2, -0.1]))


def _driving() -> Track:
    rng = np.random.default_rng(2)
    dt, sensor = rng.uniform(0.2, 1.0, 8), np.arange(8) % 2
    heading = 0.2 * np.cumsum(dt)
    place = np.cumsum(dt[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    away = np.linalg.norm(place - np.array([[0.0, 8.0], [6.0, -4.0]])[sensor], axis=1)
    seen = 1.1 * away + np.array([0.2, -0.1])[sensor] + 0.5 * rng.normal(size=8)
    return track_of(dt, seen[:, None], (np.arange(8) != 3)[:, None], sensor=sensor,
                    control=np.array([1.0, 0.2]) + 0.1 * rng.normal(size=(8, 2)))


BEACONS_TRACK = _driving()


def filled(track: Track) -> Track:
    """The same track with zeros in place of NaN."""
    return track._replace(measurement=np.where(track.mask, track.measurement, 0))


def assert_close(left, right, tolerance=1e-9):
    """Every pair of leaves equal, relative to the largest value of the pair."""
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        scale = np.max(np.abs(other), initial=1e-300)
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)
