"""The range-beacons recording: miniature files good and bad, and Plaza 2 where it is at hand."""

import os
import pathlib

import numpy as np
import pytest
import scipy.io

from experiments.data import DataError, range_beacons

REAL = pathlib.Path(os.environ.get("SANDBOX_DATA", "")) / "range-beacons" / range_beacons.FILE
needs_real_data = pytest.mark.skipif(not REAL.is_file(), reason="SANDBOX_DATA has no range-beacons: see README")

GOOD = {
    "DR": np.array([[10.0, 2.0, 0.5], [11.0, 4.0, -0.5], [13.0, 1.0, 0.2]]),
    "TD": np.array([[10.25, 2, 6, 7.5], [11.5, 2, 1, 3.0], [12.5, 2, 6, 8.0], [14.0, 2, 6, 9.0]]),
    "TL": np.array([[1.0, -5.0, 5.0], [6.0, 0.0, 8.0]]),
    "GT": np.array([[9.0, 1, 1, 9], [10.0, 2, 1, 9], [11.0, 3, 1, 9], [13.0, 4, 1, 9]]),
    "DRp": np.array([[9.5, 1, 1, 0.25], [10.0, 2, 1, 0.75], [11.0, 3, 1, 0.25], [13.0, 4, 1, 0.45]]),
}


@pytest.fixture
def read(tmp_path):
    def read(tables):
        path = tmp_path / "toy.mat"
        if isinstance(tables, bytes):
            path.write_bytes(tables)
        else:
            scipy.io.savemat(path, tables)
        return range_beacons.read(path)
    return read


def edited(table, row, column, value):
    tables = {name: rows.copy() for name, rows in GOOD.items()}
    tables[table][row, column] = value
    return tables


def without(*names):
    return {name: rows for name, rows in GOOD.items() if name not in names}


def test_odometry_and_ranges_become_one_time_line(read):
    recording = read(GOOD)
    assert recording.sensors == ("beacon 1", "beacon 6") and recording.landmarks.tolist() == [[-5, 5], [0, 8]]
    assert recording.start_seconds == 9.5 and recording.start.tolist() == [1, 1, 0.25]
    assert recording.time_seconds.tolist() == [10, 10.25, 11, 11.5, 12.5, 13]  # 14.0 comes after the last odometry
    assert recording.sensor.tolist() == [0, 1, 0, 0, 1, 0]
    assert recording.mask[:, 0].tolist() == [False, True, False, True, True, False]
    assert recording.measurement[:, 0].tolist() == [0, 7.5, 0, 3, 8, 0]
    np.testing.assert_allclose(recording.control, [[4, 1], [4, -0.5], [4, -0.5], [0.5, 0.1], [0.5, 0.1], [0.5, 0.1]])
    np.testing.assert_array_equal(recording.truth[:, 0], [2, np.nan, 3, np.nan, np.nan, 4])


BAD = {
    "a table is missing": (without("GT"), "the table GT must have rows of 4 numbers; it is missing"),
    "narrow": (without("TD") | {"TD": GOOD["TD"][:, :3]}, r"the table TD must .* it is \(4, 3\)"),
    "empty": (without("DR") | {"DR": np.zeros((0, 3))}, r"the table DR must .* it is \(0, 3\)"),
    "words": (without("TL") | {"TL": np.array([["a", "b", "c"]], object)}, "the table TL must"),
    "complex": (without("TL") | {"TL": GOOD["TL"] * 1j}, "the table TL must"),
    "no interval": (edited("DR", 0, 0, 9.5), r"DR row 1: must end after DRp starts, at 9\.5 s"),
    "odometry runs backwards": (edited("DR", 1, 0, 9.75), r"DR row 2: time must rise, but 9\.75 s follows 10\.0 s"),
    "ranges run backwards": (edited("TD", 2, 0, 11.25), r"TD row 3: time must rise"),
    "ranges before the start": (edited("TD", 0, 0, 9.25), r"TD row 1: time must rise, but 9\.25 s follows 9\.5 s"),
    "two rows at once": (edited("TD", 1, 0, 11.0), r"TD row 2: time must rise, but 11\.0 s follows 11\.0 s"),
    "NaN time": (edited("TD", 1, 0, np.nan), r"TD row 2: time nan s must be finite"),
    "truth at other times": (edited("GT", 2, 0, 11.5), "GT must have a row for the start and one at each time of DR"),
    "truth too short": (without("GT") | {"GT": GOOD["GT"][:3]}, "GT must have .*DR, which has 3; it has 3"),
    "unknown beacon": (edited("TD", 1, 2, 7), "TD row 2: beacon 7 is none of TL's: 1, 6"),
    "two beacons of one id": (edited("TL", 1, 0, 1), "TL must list each beacon once"),
    "negative range": (edited("TD", 2, 3, -1), r"TD row 3: range -1\.0 m is negative"),
    "NaN range": (edited("TD", 2, 3, np.nan), "TD row 3: beacon 6 measured .* must be finite"),
    "infinite range": (edited("TD", 1, 3, np.inf), "TD row 2: beacon 1 measured .* must be finite"),
    "NaN distance": (edited("DR", 1, 1, np.nan), r"TD row 1: control \[ *nan .* must be finite"),
    "NaN start": (edited("DRp", 0, 3, np.nan), "row 1 of DRp and all of TL must be finite"),
    "NaN beacon": (edited("TL", 0, 1, np.nan), "row 1 of DRp and all of TL must be finite"),
    "no file of MATLAB": (b"L\t1\t2\n", "not a MATLAB file"),
    "nothing in it": (b"", "not a MATLAB file"),
}


@pytest.mark.parametrize("tables, message", BAD.values(), ids=BAD)
def test_what_is_refused(read, tables, message):
    with pytest.raises(DataError, match=rf"toy\.mat: {message}"):
        read(tables)


def test_a_file_cut_short(read, tmp_path):
    read(GOOD)
    whole = (tmp_path / "toy.mat").read_bytes()
    for size in (100, 130, 200, len(whole) - 8):
        with pytest.raises(DataError, match=r"toy\.mat: "):
            read(whole[:size])


def dead_reckon(recording):
    """(T, 3) poses by the controls alone: half of each turn before its straight piece, half after."""
    dt = np.diff(recording.time_seconds, prepend=recording.start_seconds)
    distance, turn = (recording.control * dt[:, None]).T
    heading = recording.start[2] + np.cumsum(turn)
    course = heading - turn / 2
    steps = distance[:, None] * np.stack([np.cos(course), np.sin(course)], axis=1)
    return np.column_stack([recording.start[:2] + np.cumsum(steps, axis=0), heading])


@needs_real_data
def test_plaza_2():
    recording = range_beacons.load(REAL.parent.parent)
    assert recording.sensors == ("beacon 1", "beacon 6", "beacon 0", "beacon 5")
    assert len(recording.sensor) == 4090 + 1816 and recording.mask.sum() == 1816
    assert np.isnan(recording.truth).any(axis=1).sum() == 1816
    tables = scipy.io.loadmat(REAL)
    dt = np.diff(recording.time_seconds, prepend=recording.start_seconds)
    driven = np.add.reduceat(recording.control * dt[:, None], np.append(0, np.flatnonzero(~recording.mask[:-1, 0]) + 1))
    np.testing.assert_allclose(driven, tables["DR"][:, 1:], atol=1e-12)  # interval by interval
    poses = dead_reckon(recording)
    np.testing.assert_allclose(poses[-1, :2], tables["DRp"][-1, 1:3], atol=0.1)
    known = ~np.isnan(recording.truth[:, 0])
    error = np.linalg.norm(poses[known, :2] - recording.truth[known], axis=1)
    assert np.sqrt(np.mean(error**2)) == pytest.approx(31.6, abs=0.1)
