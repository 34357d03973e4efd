"""One simulated object seen by a lidar and a radar in turn: the recording of Udacity's self-driving course."""

from pathlib import Path

import numpy as np

from experiments.data.errors import DataError
from experiments.data.recordings import Recording, check, refuse, wrap
from experiments.data.sources import Dataset, locate

FILE = "obj_pose-laser-radar-synthetic-input.txt"
DATASET = Dataset(
    "lidar-radar", "lidar-radar",
    "https://raw.githubusercontent.com/udacity/CarND-Extended-Kalman-Filter-Project/"
    "389e5ad1a340af972ce3e9c252fad52703a26b78/data/",
    {FILE: "ce3885a4eed9adf1bc313e0d113b8570945876f506d6194e1bd4cde8f36b3a9c"},
)

SENSORS = ("lidar", "radar")
TRUTH = ("px", "py", "vx", "vy", "yaw", "yaw_rate")
COMPONENTS = {"L": ("px", "py"), "R": ("range", "bearing", "range rate")}  # in the order of SENSORS
WIDTH = 3  # components of the radar


def load(data_dir: str | Path | None = None) -> Recording:
    """The recording of 500 rows, 50 ms apart; see `read`.

    Raises:
      DataUnavailable: not at hand and not to be downloaded.
      DataError: see `read`.
    """
    return read(locate(DATASET, FILE, data_dir))


def read(path: str | Path) -> Recording:
    """Read lines `L px py t truth...` and `R range bearing range_rate t truth...`.

    Metres, radians, m/s; t in whole microseconds; truth: px, py, vx, vy, yaw, yaw rate. The radar is at the
    origin and its bearings are wrapped to [−π, π).

    Args:
      path: of the file.
    Returns:
      Recording of the sensors lidar (2 components) and radar (3), without controls. Time counts from the
      first row, which is where the prior is too.
    Raises:
      DataError: the file is empty, its last line has no end, a line names another sensor or has another
        number of fields, a field is not a number or not finite, a range is negative, time does not rise.
      FileNotFoundError: there is no such file.
    """
    path = Path(path)
    rows, lines = [], []
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                rows.append(_parse(line))
            except ValueError as error:
                raise DataError(f"{path}:{number}: {error}") from error
            lines.append(number)
    if not rows:
        raise DataError(f"{path}:1: the file is empty")
    sensor, measurement, microseconds, truth = (list(column) for column in zip(*rows))
    sensor = np.array(sensor, np.int32)

    def place(row: int) -> str:
        return f"{path}:{lines[row]}"

    refuse(np.diff(microseconds, prepend=microseconds[0] - 1) <= 0, place,
           lambda row: f"t must rise, but {microseconds[row]} follows {microseconds[row - 1]}")
    return check(
        Recording(
            name=DATASET.name,
            sensors=SENSORS,
            time_seconds=np.array([(t - microseconds[0]) / 1e6 for t in microseconds]),
            start_seconds=0.0,
            control=np.zeros((len(rows), 0)),
            sensor=sensor,
            measurement=np.array(measurement),
            mask=np.arange(WIDTH)[None, :] < np.array([2, 3])[sensor][:, None],
            truth=np.array(truth),
            truth_names=TRUTH,
        ),
        place=place,
    )


def _parse(line: str) -> tuple[int, list[float], int, list[float]]:
    """Sensor, measurement padded with 0, microseconds and truth of a line."""
    letter, *fields = line.split()
    if letter not in COMPONENTS:
        raise ValueError(f"a line begins with L, for lidar, or R, for radar, but this one with {letter[:20]!r}")
    names = COMPONENTS[letter]
    if len(fields) != (expected := len(names) + 1 + len(TRUTH)):
        raise ValueError(f"expected {expected} fields after {letter} ({', '.join([*names, 't', *TRUTH])}), "
                         f"got {len(fields)}")
    if not line.endswith("\n"):
        raise ValueError("the last line has no end: the file was cut short")
    measured = dict(zip(names, map(_number, fields, names)))
    if measured.get("range", 0) < 0:
        raise ValueError(f"range {fields[0]} m is negative")
    if letter == "R":
        measured["bearing"] = float(wrap(measured["bearing"]))
    time, *truth = fields[len(names):]
    if not (time.isascii() and time.isdecimal() and len(time) <= 18):
        raise ValueError(f"t {time[:40]!r} is not a whole number of microseconds")
    padding = [0.0] * (WIDTH - len(names))
    return (list(COMPONENTS).index(letter), [*measured.values(), *padding], int(time),
            list(map(_number, truth, TRUTH)))


def _number(text: str, name: str) -> float:
    try:
        number = float(text.replace("_", "?"))  # Python would read 1_0 as ten
    except ValueError:
        raise ValueError(f"{name} {text[:40]!r} is not a number") from None
    if not np.isfinite(number):
        raise ValueError(f"{name} {text} is not finite")
    return number
