"""An object drawn on a smooth path, seen by a lidar and a radar: nothing to fetch, and the truth is known."""

import numpy as np

from experiments.data.lidar_radar import SENSORS, TRUTH, WIDTH
from experiments.data.recordings import Recording, check, wrap

LIDAR_STD_M = 0.15
RADAR_STD = (0.3, 0.03, 0.3)  # metres, radians, m/s
PERIOD_SECONDS = 0.05  # between one sensor's turn and the other's
JITTER_SECONDS = 0.015  # either way
GRID_SECONDS = 0.001  # of the integral that makes positions of velocities

START_M = (12.0, -7.0)
SPEED = (5.0, ((1.2, 0.61, 0.0), (0.5, 1.43, 1.0)))  # mean m/s; amplitude, frequency rad/s and phase of each sine
YAW = (0.8, 0.31, ((0.5, 0.73, 0.4), (0.2, 1.9, 2.0)))  # start rad, mean rate rad/s, and sines in rad


def generate(*, num_turns: int = 420, missing: float = 0.05, seed: int = 0) -> Recording:
    """A path that turns left and right at changing speed, measured by lidar and radar in turn.

    v = v̄ + Σ a sin(ω t + φ),  yaw = ψ₀ + ψ̇ t + Σ b sin(ν t + χ),  p = p₀ + ∫ v (cos yaw, sin yaw) dt:
    no filter's own motion model. In its first 21 s it rounds the radar, at the origin, once and no nearer
    than 6 m, so that bearings cross ±π.

    Args:
      num_turns: N >= 1, how often a sensor's turn comes: every 50 ms, give or take 15.
      missing: chance, in [0, 1), that a turn gives no row; and that a row lacks one of its components.
      seed: decides times, noise and what is missing; the path is always the same.
    Returns:
      Recording like `lidar_radar.read`'s, of about N (1 - missing) rows; the prior is at time 0.
    Raises:
      ValueError: a number out of bounds.

    >>> recording = generate()
    >>> recording.sensors, len(recording.sensor), bool(recording.mask.all())
    (('lidar', 'radar'), 403, False)
    """
    if num_turns < 1 or not 0 <= missing < 1:
        raise ValueError(f"num_turns >= 1 and missing in [0, 1), but {num_turns=}, {missing=}")
    rng = np.random.default_rng(seed)
    turns = np.arange(num_turns)
    time = PERIOD_SECONDS * (turns + 1) + rng.uniform(-JITTER_SECONDS, JITTER_SECONDS, num_turns)
    kept = rng.random(num_turns) >= missing
    kept[0] = True
    sensor, time = (turns[kept] % 2).astype(np.int32), time[kept]
    truth = path(time)
    mask = _measured(rng, sensor, missing)
    return check(Recording(
        name="embedded",
        sensors=SENSORS,
        time_seconds=time,
        start_seconds=0.0,
        control=np.zeros((len(time), 0)),
        sensor=sensor,
        measurement=np.where(mask, _measure(rng, sensor, truth), 0.0),
        mask=mask,
        truth=truth,
        truth_names=TRUTH,
    ))


def path(time_seconds: np.ndarray) -> np.ndarray:
    """(T, 6) truth at times (T,) >= 0: px, py (m), vx, vy (m/s), yaw (rad, in [−π, π)), yaw rate (rad/s)."""
    grid = np.arange(0.0, time_seconds.max() + 2 * GRID_SECONDS, GRID_SECONDS)
    velocity = _motion(grid)[:, :2]
    steps = GRID_SECONDS * (velocity[1:] + velocity[:-1]) / 2
    position = np.array(START_M) + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    px, py = (np.interp(time_seconds, grid, position[:, axis]) for axis in (0, 1))
    return np.column_stack([px, py, _motion(time_seconds)])


def _motion(time: np.ndarray) -> np.ndarray:
    """(T, 4) vx, vy, yaw, yaw rate."""
    mean_speed, speed_waves = SPEED
    start_yaw, mean_rate, yaw_waves = YAW
    speed = mean_speed + sum(a * np.sin(w * time + phase) for a, w, phase in speed_waves)
    yaw = start_yaw + mean_rate * time + sum(a * np.sin(w * time + phase) for a, w, phase in yaw_waves)
    yaw_rate = mean_rate + sum(a * w * np.cos(w * time + phase) for a, w, phase in yaw_waves)
    return np.stack([speed * np.cos(yaw), speed * np.sin(yaw), wrap(yaw), yaw_rate], axis=1)


def _measure(rng: np.random.Generator, sensor: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(T, 3) what each row's sensor reads, noise included."""
    px, py, vx, vy = truth[:, :4].T
    distance = np.hypot(px, py)
    lidar = np.stack([px, py, np.zeros_like(px)], axis=1)
    radar = np.stack([distance, np.arctan2(py, px), (px * vx + py * vy) / distance], axis=1)
    noise = rng.standard_normal((len(sensor), WIDTH))
    lidar += noise * np.array([LIDAR_STD_M, LIDAR_STD_M, 0.0])[None, :]
    radar += noise * np.array(RADAR_STD)[None, :]
    radar[:, 1] = wrap(radar[:, 1])
    return np.where((sensor == 0)[:, None], lidar, radar)


def _measured(rng: np.random.Generator, sensor: np.ndarray, missing: float) -> np.ndarray:
    """(T, 3) which components a row has: all that its sensor gives, or now and then all but one."""
    width = np.array([2, 3])[sensor]
    lost = np.where(rng.random(len(sensor)) < missing, rng.integers(width), -1)
    component = np.arange(WIDTH)[None, :]
    return (component < width[:, None]) & (component != lost[:, None])
