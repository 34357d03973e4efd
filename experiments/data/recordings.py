"""Recordings of moving objects: what sensors measured and when, how the object was driven, where it truly was."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from experiments.data.errors import DataError
from sandbox.kalman import Track

Place = Callable[[int], str]


class Recording(NamedTuple):
    """T rows in time order, each of one of S sensors, float64 unless said otherwise.

    name: of the data set.
    sensors: S names.
    time_seconds: (T,), rising.
    start_seconds: time of the prior, not after the first row.
    control: (T, C) held since the previous row; C may be 0.
    sensor: (T,) int32, positions in sensors.
    measurement: (T, M), in each sensor's own units, padded with 0 to the sensor with most components.
    mask: (T, M) bool, True where measured.
    truth: (T, K), NaN where not known; it judges, and nothing learns from it.
    truth_names: K names.
    start: pose at start_seconds, or None where not known.
    landmarks: (S, 2) metres, where each sensor's own end of the measurement stands, or None.
    """

    name: str
    sensors: tuple[str, ...]
    time_seconds: np.ndarray
    start_seconds: float
    control: np.ndarray
    sensor: np.ndarray
    measurement: np.ndarray
    mask: np.ndarray
    truth: np.ndarray
    truth_names: tuple[str, ...]
    start: np.ndarray | None = None
    landmarks: np.ndarray | None = None


def track(recording: Recording, dtype: type = np.float32) -> Track:
    """What a filter reads of a recording.

    Δt_t = time_t − time_{t−1}, Δt_0 = time_0 − start: subtracted in float64 and cast afterwards, since
    float32 tells Unix times of today apart by 128 s.

    Args:
      recording: of T rows.
      dtype: of the floating fields.
    Returns:
      Track of numpy arrays; what is not measured is 0.
    Raises:
      DataError: see `check`.
    """
    check(recording)
    dt_seconds = np.diff(recording.time_seconds, prepend=recording.start_seconds)
    measurement = np.where(recording.mask, recording.measurement, 0)
    return Track(dt_seconds.astype(dtype), recording.control.astype(dtype), recording.sensor,
                 measurement.astype(dtype), recording.mask)


def check(recording: Recording, place: Place | None = None) -> Recording:
    """Refuse a recording that no filter can make sense of.

    Args:
      recording: to check.
      place: of a row, for the message; by default the recording's name and the row's number, from 0.
    Returns:
      The recording as it is.
    Raises:
      DataError: it is empty, a field's shape or type does not fit, time does not rise from row to row or its first
        row is before the prior, a sensor is not declared, a measurement or control is not finite.
    """
    place = place or (lambda row: f"{recording.name}: row {row}")
    _check_fields(recording)
    check_times(recording.time_seconds, place, recording.start_seconds)
    sensor, num_sensors = recording.sensor, len(recording.sensors)
    refuse((sensor < 0) | (sensor >= num_sensors), place,
           lambda row: f"sensor {sensor[row]} is not declared; there are 0 to {num_sensors - 1}")
    refuse((recording.mask & ~np.isfinite(recording.measurement)).any(1), place,
           lambda row: f"{recording.sensors[sensor[row]]} measured {recording.measurement[row]}, which must be finite "
                       "or masked")
    refuse(~np.isfinite(recording.control).all(1), place,
           lambda row: f"control {recording.control[row]} must be finite")
    return recording


def check_times(time_seconds: np.ndarray, place: Place, start_seconds: float | None = None) -> None:
    """Refuse times (T,) that are not finite, do not rise, or begin before the start; they may begin at it.

    Raises:
      DataError: at the first such row.
    """
    refuse(~np.isfinite(time_seconds), place, lambda row: f"time {time_seconds[row]} s must be finite")
    before = np.concatenate([[-np.inf if start_seconds is None else start_seconds], time_seconds[:-1]])
    stands = np.arange(len(time_seconds)) > 0
    refuse((time_seconds < before) | ((time_seconds == before) & stands), place,
           lambda row: f"time must rise, but {time_seconds[row]!s} s follows {before[row]!s} s")


def refuse(bad: np.ndarray, place: Place, complaint: Callable[[int], str]) -> None:
    """Raise DataError for the first row (T,) that is bad."""
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"{place(row)}: {complaint(row)}")


def wrap(angle: np.ndarray) -> np.ndarray:
    """The same direction, in [−π, π).

    >>> wrap(np.array([np.pi, 3.19, -3.143])).round(3).tolist()
    [-3.142, -3.093, 3.14]
    """
    wrapped = np.mod(np.asarray(angle) + np.pi, 2 * np.pi) - np.pi
    return np.where(wrapped < np.pi, wrapped, -np.pi)  # a remainder may round up to the whole turn


def _check_fields(recording: Recording) -> None:
    num_rows = recording.time_seconds.size
    if num_rows == 0:
        raise DataError(f"{recording.name}: the recording is empty")
    controls, width = recording.control.shape[-1:], recording.measurement.shape[-1:]
    shapes = {"time_seconds": (), "sensor": (), "control": controls, "measurement": width, "mask": width,
              "truth": (len(recording.truth_names),)}
    for field, of_a_row in shapes.items():
        if (got := getattr(recording, field).shape) != (shape := (num_rows, *of_a_row)):
            raise DataError(f"{recording.name}: {field} must have the shape {shape}, got {got}")
    if recording.mask.dtype != bool:
        raise DataError(f"{recording.name}: mask must be of booleans, got {recording.mask.dtype}")
    if recording.sensor.dtype.kind not in "iu":
        raise DataError(f"{recording.name}: sensor must be of integers, got {recording.sensor.dtype}")
    if not np.isfinite(recording.start_seconds):
        raise DataError(f"{recording.name}: start_seconds must be finite, got {recording.start_seconds}")
