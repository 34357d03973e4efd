"""A recording with a model that fits it: what to learn, from where, and what the state says of the truth."""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import Recording, embedded_track, lidar_radar, range_beacons, recordings
from experiments.runner.errors import UserError
from sandbox.kalman import Model, Track, check_track, models

SETTLED_SECONDS = 1.0  # what comes before is the search for a start


class Problem(NamedTuple):
    """recording, and its track on the device. model: of its motion and sensors. guess: params to begin from.
    stride: how far learning may move each of them, relative to the logarithm of a noise scale; 0 leaves it.
    seen: (T, n) states -> (T, K) what there is truth of, its columns called `names`."""

    recording: Recording
    track: Track
    model: Model
    guess: Any
    stride: Any
    seen: Callable[[Any], np.ndarray]
    names: tuple[str, ...]


def read(dataset: str, data_dir: Any = None, learn_start: bool = True) -> Problem:
    """The problem that a data set poses.

    Args:
      dataset, data_dir: see RunConfig.
      learn_start: of an object whose speed and heading nobody knows, learn them as params, from the whole
        recording; otherwise they may be anything.
    Raises:
      UserError: no such data set. DataError, DataUnavailable: see experiments.data.
    """
    if dataset == "range-beacons":
        return _beacons(range_beacons.load(data_dir))
    if dataset == "lidar-radar":
        return _object(lidar_radar.load(data_dir), learn_start)
    if dataset == "embedded":
        return _object(embedded_track.generate(), learn_start)
    raise UserError(f"--dataset must be embedded, lidar-radar or range-beacons, got {dataset!r}")


def guess(problem: Problem, key: jax.Array) -> Any:
    """Params to begin from: noise scales e^{±½} about the guess, the rest as guessed."""
    keys = jax.random.split(key, len(problem.guess))
    return type(problem.guess)(*(
        value + 0.5 * stride * jax.random.normal(one, value.shape) if name.startswith("log_") else value
        for name, value, stride, one in zip(problem.guess._fields, problem.guess, problem.stride, keys)))


def truth(problem: Problem) -> np.ndarray:
    """(T, K) true values of what `seen` gives; NaN in rows without truth."""
    return problem.recording.truth[:, : len(problem.names)]


def settled(problem: Problem) -> np.ndarray:
    """(T,) whether the first second is over."""
    return problem.recording.time_seconds - problem.recording.start_seconds >= SETTLED_SECONDS - 1e-6


def fingerprint(problem: Problem) -> str:
    """A digest of everything that can be learned from."""
    leaves = jax.tree.leaves((problem.track, problem.recording.start, problem.recording.landmarks))
    return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()


def _object(recording: Recording, learn_start: bool) -> Problem:
    """A moving object seen by lidar and radar, of unknown speed and heading."""
    anything = np.array([5.0, np.pi / 3**0.5, 0.5])  # a cyclist's speed, any direction, a brisk turn
    start, std = (_between_fixes(recording), 1e-3 * anything) if learn_start else (np.zeros(3), anything)
    guess = _logarithms(log_acceleration=0.5, log_turn_acceleration=0.5, log_lidar=0.3, log_radar=(0.3, 0.1, 0.5),
                        log_start_std=std)
    params = models.LidarRadarParams(start=jnp.asarray(start, jnp.float32), **guess)
    stride = models.LidarRadarParams(1, 1, 1, 1, start=int(learn_start), log_start_std=0)
    return _problem(recording, models.lidar_radar(), params, stride, _velocities, ("px", "py", "vx", "vy"))


def _between_fixes(recording: Recording) -> np.ndarray:
    """(3,) speed, heading and turn rate 0, from the first lidar's position to the second's."""
    fixes = np.flatnonzero((recording.sensor == 0) & recording.mask[:, :2].all(axis=1))[:2]
    if len(fixes) < 2:
        return np.zeros(3)
    (dx, dy), (dt,) = (np.diff(values[fixes], axis=0)[0] for values in (
        recording.measurement[:, :2], recording.time_seconds[:, None]))
    return np.array([np.hypot(dx, dy) / dt, np.arctan2(dy, dx), 0.0])


def _beacons(recording: Recording) -> Problem:
    """A robot with odometry among beacons, its first pose known to a few centimetres."""
    guess = _logarithms(log_speed=0.05, log_turn=0.02, log_drift=0.02, log_range=1.0)
    landmarks, pose = (jnp.asarray(values, jnp.float32) for values in (recording.landmarks, recording.start))
    model = models.range_beacons(landmarks, pose, start_std=(0.05, 0.05, 0.05))
    params = models.RangeBeaconParams(speed_scale=jnp.ones(()), turn_bias=jnp.zeros(()), range_scale=jnp.ones(()),
                                      range_bias=jnp.zeros(len(landmarks)), **guess)
    # The scale explains the ranges: a bias for each beacon adds less than a nat, and only blurs the scale.
    stride = models.RangeBeaconParams(1, 1, 1, speed_scale=0.1, turn_bias=0.01, log_range=1, range_scale=0.1,
                                      range_bias=0)
    return _problem(recording, model, params, stride, lambda states: np.asarray(states)[:, :2], ("x", "y"))


def _logarithms(**values: Any) -> dict[str, jax.Array]:
    return {name: jnp.log(jnp.asarray(value, jnp.float32)) for name, value in values.items()}


def _problem(recording, model, params, stride, seen, names) -> Problem:
    track = check_track(recordings.track(recording), model.num_sensors)
    return Problem(recording, jax.tree.map(jnp.asarray, track), model, params, stride, seen, names)


def _velocities(states) -> np.ndarray:
    x, y, speed, heading, _ = np.asarray(states, np.float64).T
    return np.stack([x, y, speed * np.cos(heading), speed * np.sin(heading)], axis=1)
