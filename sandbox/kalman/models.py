"""Two models ready for use: a moving object seen by lidar and radar, and a robot that hears radio beacons."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.kalman.model import Factored, Model
from sandbox.kalman.motion import constant_turn, constant_turn_noise, unicycle, unicycle_noise
from sandbox.kalman.sensors import beacon_range, position, range_bearing_rate, wrap_angle
from sandbox.kalman.track import Track

__all__ = ["LidarRadarParams", "RangeBeaconParams", "lidar_radar", "range_beacons"]

LIDAR, RADAR = 0, 1
POSITION_STD = 100.0  # m


class LidarRadarParams(NamedTuple):
    """log_acceleration, log_turn_acceleration: noise of the motion, m/s² and rad/s² per √Hz, (). log_lidar: m,
    (). log_radar: (3,) m, rad, m/s. start: (3,) expected speed m/s, heading rad and turn rate rad/s before the
    first row, and log_start_std: (3,) how far off that may be."""

    log_acceleration: jax.Array
    log_turn_acceleration: jax.Array
    log_lidar: jax.Array
    log_radar: jax.Array
    start: jax.Array
    log_start_std: jax.Array


def lidar_radar() -> Model:
    """Constant turn rate and velocity, seen by lidar (sensor 0) and by a radar at the origin (sensor 1).

    State: x m, y m, speed m/s, heading rad, turn rate rad/s. Before the first row the object is within some
    hundred metres of where it is first seen: so wide a prior adds nothing, but its place decides about what
    the first radar is expanded.

    Returns:
      Model for LidarRadarParams, with M = 3; a lidar's third component is never measured.

    >>> lidar_radar().observe(None, jnp.array([3.0, 4.0, 5.0, 0.0, 0.0]), 1)
    Array([5.       , 0.9272952, 3.       ], dtype=float32)
    """
    def prior(params: LidarRadarParams, track: Track) -> Factored:
        mean = jnp.concatenate([_first_seen(track).astype(params.start.dtype), params.start])
        somewhere = jnp.full(2, POSITION_STD, mean.dtype)
        return Factored(mean, jnp.diag(jnp.concatenate([somewhere, jnp.exp(params.log_start_std)])))

    def motion_noise(params: LidarRadarParams, state, control, dt_seconds):
        return constant_turn_noise(state, dt_seconds, jnp.exp(params.log_acceleration),
                                   jnp.exp(params.log_turn_acceleration))

    def observe(params, state, sensor):
        velocity = state[2] * jnp.stack([jnp.cos(state[3]), jnp.sin(state[3])])
        lidar = jnp.concatenate([position(state), jnp.zeros(1, state.dtype)])
        return jnp.where(sensor == LIDAR, lidar, range_bearing_rate(state[:2], velocity))

    def observation_noise(params: LidarRadarParams, sensor):
        lidar = jnp.stack([params.log_lidar] * 3)
        return jnp.diag(jnp.exp(jnp.where(sensor == LIDAR, lidar, params.log_radar)))

    def residual(sensor, measurement, predicted):
        apart = measurement - predicted
        return jnp.where((sensor == RADAR) & (jnp.arange(3) == 1), wrap_angle(apart), apart)

    return Model(prior, lambda params, state, control, dt_seconds: constant_turn(state, dt_seconds), motion_noise,
                 observe, observation_noise, residual, num_sensors=2)


def _first_seen(track: Track) -> jax.Array:
    """(2,) where the first row that tells two coordinates puts the object; the origin if there is none."""
    complete = jnp.all(track.mask[:, :2], axis=1)
    row = jax.tree.map(lambda leaf: jnp.asarray(leaf)[jnp.argmax(complete)], track)
    first, second = jnp.where(row.mask[:2], row.measurement[:2], 0)
    polar = first * jnp.stack([jnp.cos(second), jnp.sin(second)])
    return jnp.where(jnp.any(complete), jnp.where(row.sensor == LIDAR, jnp.stack([first, second]), polar), 0)


class RangeBeaconParams(NamedTuple):
    """log_speed, log_turn, log_drift: noise of the motion, m, rad and m per √s, (). speed_scale: true over
    measured speed, (). turn_bias: rad/s, (). log_range: m, (). range_scale: read over true range, ().
    range_bias: (B,) m, of each beacon."""

    log_speed: jax.Array
    log_turn: jax.Array
    log_drift: jax.Array
    speed_scale: jax.Array
    turn_bias: jax.Array
    log_range: jax.Array
    range_scale: jax.Array
    range_bias: jax.Array


def range_beacons(landmarks: jax.Array, start: jax.Array, *, start_std: tuple[float, float, float]) -> Model:
    """A unicycle driven by odometry that measures its range to one of B beacons at a time.

    State: x m, y m, heading rad. The sensor is the beacon's index.

    Args:
      landmarks: (B, 2) where the beacons stand, m. start: (3,) pose before the first row, and start_std its
        standard deviations, m, m, rad.
    Returns:
      Model for RangeBeaconParams, with M = 1.

    >>> model = range_beacons(jnp.array([[3.0, 4.0]]), jnp.zeros(3), start_std=(0.1, 0.1, 0.1))
    >>> params = RangeBeaconParams(*[jnp.zeros(())] * 6, jnp.array(1.1), jnp.zeros(1))
    >>> model.observe(params, jnp.zeros(3), 0)
    Array([5.5], dtype=float32)
    """
    def driven(params: RangeBeaconParams, control):
        return jnp.stack([control[0] * params.speed_scale, control[1] + params.turn_bias])

    def motion(params: RangeBeaconParams, state, control, dt_seconds):
        return unicycle(state, driven(params, control), dt_seconds)

    def motion_noise(params: RangeBeaconParams, state, control, dt_seconds):
        return unicycle_noise(state, driven(params, control), dt_seconds, jnp.exp(params.log_speed),
                              jnp.exp(params.log_turn), jnp.exp(params.log_drift))

    def observe(params: RangeBeaconParams, state, sensor):
        offset = state[:2] - jnp.asarray(landmarks)[sensor]
        return beacon_range(offset, params.range_scale, jnp.asarray(params.range_bias)[sensor])[None]

    def prior(params: RangeBeaconParams, track: Track) -> Factored:
        dtype = params.log_range.dtype
        return Factored(jnp.asarray(start, dtype), jnp.diag(jnp.array(start_std, dtype)))

    return Model(prior, motion, motion_noise, observe,
                 lambda params, sensor: jnp.exp(params.log_range)[None, None], num_sensors=len(landmarks))
