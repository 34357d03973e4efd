"""A recording in rows, one a measurement or an odometry reading, and what is refused at the door."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Track", "check_track", "rows_before"]


class Track(NamedTuple):
    """T rows in time order. Batches of tracks have leading axes in every field.

    dt_seconds: (T,) since the row before; of the first row, since the prior. control: (T, C) what drove
    the motion during that time, C = 0 where nothing is known. sensor: (T,) index of a declared sensor.
    measurement: (T, M), padded to the sensor with most components. mask: (T, M) bool, True where a
    component was measured; what is not measured may hold anything, NaN too.
    """

    dt_seconds: jax.Array
    control: jax.Array
    sensor: jax.Array
    measurement: jax.Array
    mask: jax.Array


def rows_before(start: Any, rows: Any) -> Any:
    """What stands before each row: the start, then all rows but the last.

    Args:
      start: pytree. rows: the same with leading axis T.
    Returns:
      As rows.

    >>> rows_before(jnp.array(0), jnp.array([1, 2, 3]))
    Array([0, 1, 2], dtype=int32)
    """
    return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), start, rows)


def check_track(track: Track, num_sensors: int) -> Track:
    """The same track, or a word on its first bad row. For the host: traced code cannot raise.

    Args:
      track: (..., T) rows.
      num_sensors: how many sensors the model declares.
    Returns:
      track.
    Raises:
      ValueError: no row; shapes that do not belong together; time that stands still or runs backwards
        (0 is allowed in the first row); a sensor that nobody declared; a measurement, control or angle
        that is not finite.

    >>> row = Track(jnp.array([0.0]), jnp.zeros((1, 0)), jnp.array([2]), jnp.ones((1, 2)), jnp.ones((1, 2), bool))
    >>> check_track(row, num_sensors=2)
    Traceback (most recent call last):
    ValueError: row 0: sensor 2 is none of the 2 declared ones, 0 to 1
    """
    dt, control, sensor, measurement, mask = (np.asarray(leaf) for leaf in track)
    if dt.ndim == 0 or dt.shape[-1] == 0:
        raise ValueError(f"a track must have a row, got dt_seconds of shape {dt.shape}")
    rows = {"dt_seconds": dt.shape, "control": control.shape[:-1], "sensor": sensor.shape,
            "measurement": measurement.shape[:-1]}
    if len(set(rows.values())) > 1 or mask.shape != measurement.shape:
        raise ValueError(f"a track's fields must have the same rows, and mask the shape of measurement, "
                         f"{measurement.shape}; got rows {rows}, mask {mask.shape}")
    if mask.dtype != bool:
        raise ValueError(f"mask must be of booleans, got {mask.dtype}")
    if sensor.dtype.kind not in "iu":
        raise ValueError(f"sensor must be of integers, got {sensor.dtype}")
    first = np.arange(dt.shape[-1]) == 0
    _refuse(~np.isfinite(dt) | np.where(first, dt < 0, dt <= 0), dt,
            "dt_seconds is {}: time must go on from row to row")
    _refuse((sensor < 0) | (sensor >= num_sensors), sensor,
            f"sensor {{}} is none of the {num_sensors} declared ones, 0 to {num_sensors - 1}")
    _refuse(np.any(~np.isfinite(control), axis=-1), control, "control {} is not finite")
    _refuse(np.any(mask & ~np.isfinite(measurement), axis=-1), measurement,
            "measurement {} is not finite where mask says that it was measured")
    return track


def _refuse(bad: np.ndarray, values: np.ndarray, complaint: str) -> None:
    if bad.any():
        where = tuple(int(index) for index in np.argwhere(bad)[0])
        place = f"row {where[-1]}" + (f" of track {where[0] if len(where) == 2 else where[:-1]}" if where[:-1] else "")
        raise ValueError(f"{place}: {complaint.format(values[where])}")
