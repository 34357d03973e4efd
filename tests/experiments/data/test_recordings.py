"""What every recording has to keep, and what a filter reads of one."""

import numpy as np
import pytest

from experiments.data import DataError, Recording, track
from experiments.data.recordings import check, wrap
from sandbox.kalman import check_track


def recording(**changes):
    """Three rows of two sensors with one and two components."""
    good = Recording(
        name="toy", sensors=("a", "b"), time_seconds=np.array([1.0, 1.5, 3.0]), start_seconds=0.75,
        control=np.ones((3, 1)), sensor=np.array([0, 1, 0], np.int32),
        measurement=np.array([[1.0, 0.0], [2.0, 3.0], [4.0, 0.0]]),
        mask=np.array([[True, False], [True, True], [True, False]]),
        truth=np.full((3, 1), np.nan), truth_names=("x",))
    return good._replace(**changes)


def test_a_track_holds_differences_of_time_and_nothing_where_nothing_was_measured():
    far = 1.477e9  # seconds: float32 counts them by 128
    good = recording(time_seconds=far + np.array([1.0, 1.5, 3.0]), start_seconds=far + 0.75)
    good.measurement[0, 1] = np.nan
    read = check_track(track(good), num_sensors=2)
    assert read.dt_seconds.tolist() == [0.25, 0.5, 1.5]
    assert read.measurement.tolist() == [[1, 0], [2, 3], [4, 0]] and read.mask is good.mask
    assert [str(leaf.dtype) for leaf in read] == ["float32", "float32", "int32", "float32", "bool"]
    assert track(good, np.float64).dt_seconds.dtype == np.float64


def test_the_prior_may_be_at_the_first_row():
    assert track(recording(start_seconds=1.0)).dt_seconds[0] == 0


NAN = np.nan
BAD = {
    "empty": ({"time_seconds": np.zeros(0)}, "toy: the recording is empty"),
    "before the prior": ({"start_seconds": 1.25}, r"toy: row 0: time must rise, but 1\.0 s follows 1\.25 s"),
    "standing still": ({"time_seconds": np.array([1.0, 1.0, 3.0])}, r"toy: row 1: time must rise"),
    "backwards": ({"time_seconds": np.array([1.0, 1.5, 1.4])}, r"toy: row 2: .*1\.4 s follows 1\.5 s"),
    "no time": ({"time_seconds": np.array([1.0, NAN, 3.0])}, "toy: row 1: time nan s must be finite"),
    "no time of the prior": ({"start_seconds": NAN}, "toy: start_seconds must be finite, got nan"),
    "sensor not declared": ({"sensor": np.array([0, 1, 2], np.int32)}, "toy: row 2: sensor 2 is not declared.* 0 to 1"),
    "negative sensor": ({"sensor": np.array([0, -1, 0], np.int32)}, "toy: row 1: sensor -1"),
    "NaN measured": ({"measurement": np.array([[1, 0], [2, NAN], [4, 0]])}, "row 1: b measured .*finite or masked"),
    "inf measured": ({"measurement": np.array([[1, 0], [2, 3], [np.inf, 0]])}, "toy: row 2: a measured"),
    "NaN control": ({"control": np.array([[1.0], [NAN], [1.0]])}, "toy: row 1: control .* must be finite"),
    "short sensor": ({"sensor": np.zeros(2, np.int32)}, r"toy: sensor must have the shape \(3,\), got \(2,\)"),
    "flat control": ({"control": np.zeros(3)}, r"toy: control must have the shape"),
    "narrow mask": ({"mask": np.ones((3, 1), bool)}, r"toy: mask must have the shape \(3, 2\), got \(3, 1\)"),
    "flat measurement": ({"measurement": np.zeros(3)}, "toy: measurement must have the shape"),
    "scalar": ({"measurement": np.zeros(())}, "toy: measurement must have the shape"),
    "unnamed truth": ({"truth": np.zeros((3, 2))}, r"toy: truth must have the shape \(3, 1\)"),
    "mask of numbers": ({"mask": np.ones((3, 2))}, "toy: mask must be of booleans"),
    "fractional sensor": ({"sensor": np.zeros(3)}, "toy: sensor must be of integers"),
}


@pytest.mark.parametrize("changes, message", BAD.values(), ids=BAD)
def test_what_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        track(recording(**changes))


def test_a_reader_says_where_a_row_stands_in_its_file():
    with pytest.raises(DataError, match=r"^file\.txt:12: sensor 2"):
        check(recording(sensor=np.array([0, 1, 2])), place=lambda row: f"file.txt:{10 + row}")


def test_wrapped_angles_are_the_same_direction_and_never_pi_itself():
    angle = np.concatenate([np.linspace(-20, 20, 401), np.nextafter(-np.pi, [-4, 0]), [np.pi, -np.pi, 3 * np.pi]])
    wrapped = wrap(angle)
    assert (wrapped >= -np.pi).all() and (wrapped < np.pi).all()
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * angle), atol=1e-14)
