"""A robot mower among four radio beacons: Plaza 2.

J. Djugash, B. Hamner, S. Roth, "Navigating with Ranging Radios: Five Data Sets with Ground Truth", 2009.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.data.errors import DataError
from experiments.data.mat_files import read_tables
from experiments.data.recordings import Place, Recording, check, check_times, refuse
from experiments.data.sources import Dataset, locate

FILE = "Plaza2.mat"
DATASET = Dataset(
    "range-beacons", "range-beacons",
    "https://raw.githubusercontent.com/borglab/gtsam/0ffe6c930302ebd297484e65e6e8d467c91d26b0/examples/Data/",
    {FILE: "72f0abe0fea2050eb5ee1cffc8c43823266a35785b7cdecac4ec5eae727561a2"},
    {FILE: "Plaza2_.mat"},
)


class Tables(NamedTuple):
    """A file's tables, float64.

    odometry: (N, 3) end of the interval s, distance m, change of heading rad.
    ranges: (R, 4) time s, antenna, beacon id, range m.
    beacons: (S, 3) id, x m, y m.
    truth: (N + 1, 4) time s, x m, y m, heading rad, whose offset is not to be relied on.
    dead_reckoning: (N + 1, 4) time s, x m, y m, heading rad; its first row is where the odometry starts.
    """

    odometry: np.ndarray
    ranges: np.ndarray
    beacons: np.ndarray
    truth: np.ndarray
    dead_reckoning: np.ndarray


WIDTHS = {"DR": 3, "TD": 4, "TL": 3, "GT": 4, "DRp": 4}  # in the order of Tables


def load(data_dir: str | Path | None = None) -> Recording:
    """The recording of 410 s: 4,090 intervals of odometry and 1,816 ranges; see `read`.

    Raises:
      DataUnavailable: not at hand and not to be downloaded.
      DataError: see `read`.
    """
    return read(locate(DATASET, FILE, data_dir))


def read(path: str | Path) -> Recording:
    """Read odometry and ranges of a MATLAB file into one time line.

    A row is the end of an odometry interval or a range. Both are driven by the interval they lie in:
    speed = distance / length, turn rate = change of heading / length. So a range that parts an interval in
    two changes neither the distance nor the turn.

    Args:
      path: of a file with the tables DR, TD, TL, GT and DRp.
    Returns:
      Recording whose sensors are the beacons, as TL orders them (range, metres), with controls (speed m/s,
      turn rate rad/s), true x and y at the ends of the intervals, the start pose (x m, y m, heading rad) and
      the beacons as landmarks. Ranges after the last interval are left out.
    Raises:
      DataError: not such a file, a table is missing or has another shape, truth is not at the ends of the
        intervals, time does not rise or two rows share one, a range is negative, of a beacon that TL does
        not list, or not finite.
      FileNotFoundError: there is no such file.
    """
    path = Path(path)
    tables = Tables(*read_tables(path, WIDTHS).values())
    _check(path, tables)
    start_seconds = float(tables.dead_reckoning[0, 0])
    ends, ranges = tables.odometry[:, 0], tables.ranges[tables.ranges[:, 0] <= tables.odometry[-1, 0]]
    num_intervals, num_rows = len(ends), len(ends) + len(ranges)

    time = np.concatenate([ends, ranges[:, 0]])
    velocity = tables.odometry[:, 1:] / np.diff(ends, prepend=start_seconds)[:, None]
    beacon = np.argmax(ranges[:, 2, None] == tables.beacons[None, :, 0], axis=1)
    order = np.argsort(time, kind="stable")
    return check(
        Recording(
            name=DATASET.name,
            sensors=tuple(f"beacon {beacon_id:g}" for beacon_id in tables.beacons[:, 0]),
            time_seconds=time[order],
            start_seconds=start_seconds,
            control=velocity[np.searchsorted(ends, time)][order],
            sensor=np.concatenate([np.zeros(num_intervals), beacon]).astype(np.int32)[order],
            measurement=np.concatenate([np.zeros(num_intervals), ranges[:, 3]])[order, None],
            mask=(np.arange(num_rows) >= num_intervals)[order, None],
            truth=np.concatenate([tables.truth[1:, 1:3], np.full((len(ranges), 2), np.nan)])[order],
            truth_names=("px", "py"),
            start=tables.dead_reckoning[0, 1:],
            landmarks=tables.beacons[:, 1:],
        ),
        place=lambda row: _place(path, "DR")(order[row]) if order[row] < num_intervals
        else _place(path, "TD")(order[row] - num_intervals),
    )


def _place(path: Path, table: str) -> Place:
    return lambda row: f"{path}: {table} row {row + 1}"


def _check(path: Path, tables: Tables) -> None:
    """What merging would hide: order within each table, and what the tables say about each other."""
    odometry, ranges, beacons, truth, dead_reckoning = tables
    start_seconds = dead_reckoning[0, 0]
    if not (np.isfinite(dead_reckoning[0]).all() and np.isfinite(beacons).all()):
        raise DataError(f"{path}: row 1 of DRp and all of TL must be finite")
    if len(np.unique(beacons[:, 0])) != len(beacons):
        raise DataError(f"{path}: TL must list each beacon once")
    check_times(odometry[:, 0], _place(path, "DR"))
    check_times(ranges[:, 0], _place(path, "TD"))
    if odometry[0, 0] <= start_seconds:
        raise DataError(f"{path}: DR row 1: must end after DRp starts, at {start_seconds} s, but ends at "
                        f"{odometry[0, 0]} s")
    if not np.array_equal(truth[1:, 0], odometry[:, 0]):
        raise DataError(f"{path}: GT must have a row for the start and one at each time of DR, which has "
                        f"{len(odometry)}; it has {len(truth)}")
    refuse(~np.isin(ranges[:, 2], beacons[:, 0]), _place(path, "TD"),
           lambda row: f"beacon {ranges[row, 2]:g} is none of TL's: {', '.join(f'{b:g}' for b in beacons[:, 0])}")
    refuse(ranges[:, 3] < 0, _place(path, "TD"), lambda row: f"range {ranges[row, 3]} m is negative")
