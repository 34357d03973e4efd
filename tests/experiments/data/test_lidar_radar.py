"""The lidar-radar recording: miniature files good and bad, and the real one where it is at hand."""

import os
import pathlib

import numpy as np
import pytest

from experiments.data import DataError, lidar_radar

REAL = pathlib.Path(os.environ.get("SANDBOX_DATA", "")) / "lidar-radar" / lidar_radar.FILE
needs_real_data = pytest.mark.skipif(not REAL.is_file(), reason="SANDBOX_DATA has no lidar-radar: see README")

TRUTH = "\t0.6\t0.7\t5.2\t0\t0\t6.9e-03\n"
LIDAR = "L\t3.1e-01\t-5.8\t1477010443000000" + TRUTH
RADAR = "R\t1.5\t3.19\t-4.8\t1477010443050000" + TRUTH


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "recording.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return lidar_radar.read(path)
    return read


@pytest.mark.parametrize("text", [LIDAR + RADAR, "\ufeff" + LIDAR + "\n" + RADAR + "\n",
                                  (LIDAR + RADAR).replace("\n", "\r\n"), (LIDAR + RADAR).replace("\t", " ")],
                         ids=["plain", "byte order mark, blank lines", "windows", "spaces"])
def test_a_line_of_each(read, text):
    recording = read(text)
    assert recording.sensors == ("lidar", "radar") and recording.sensor.tolist() == [0, 1]
    assert recording.time_seconds.tolist() == [0, 0.05] and recording.start_seconds == 0
    np.testing.assert_allclose(recording.measurement, [[0.31, -5.8, 0], [1.5, 3.19 - 2 * np.pi, -4.8]])
    assert recording.mask.tolist() == [[True, True, False], [True, True, True]]
    assert recording.truth.tolist() == [[0.6, 0.7, 5.2, 0, 0, 6.9e-3]] * 2 and recording.control.shape == (2, 0)


BAD = {
    "empty": ("", 1, "the file is empty"),
    "blank": ("\n\n", 1, "the file is empty"),
    "truncated": (LIDAR + "R\t1.5\t3.19\n", 2, r"expected 10 fields after R \(range, bearing, .* got 2"),
    "cut in the middle": (LIDAR + RADAR[:-20], 2, "expected 10 fields"),
    "cut in its last number": (LIDAR + RADAR[:-3], 2, "the last line has no end: the file was cut short"),
    "too long": (LIDAR.replace("\n", "\t1\n"), 1, "expected 9 fields after L .* got 10"),
    "unknown letter": (LIDAR + "\n" + RADAR.replace("R", "Q"), 3, "L, for lidar, or R, for radar, .*'Q'"),
    "no number": (LIDAR.replace("-5.8", "five"), 1, "py 'five' is not a number"),
    "two numbers": (LIDAR.replace("-5.8", "5_8"), 1, "py '5_8' is not a number"),
    "infinite angle": (LIDAR + RADAR.replace("3.19", "inf"), 2, "bearing inf is not finite"),
    "NaN angle": (LIDAR + RADAR.replace("3.19", "nan"), 2, "bearing nan is not finite"),
    "NaN position": (LIDAR.replace("-5.8", "NaN"), 1, "py NaN is not finite"),
    "overflow": (RADAR.replace("-4.8", "1e999"), 1, "range rate 1e999 is not finite"),
    "no truth": (LIDAR.replace("6.9e-03", "nan"), 1, "yaw_rate nan is not finite"),
    "negative range": (LIDAR + RADAR.replace("1.5", "-1.5"), 2, r"range -1\.5 m is negative"),
    "fraction of a time": (LIDAR.replace("3000000", "3000000.5"), 1, "t '1477010443000000.5' is not a whole number"),
    "endless time": (LIDAR.replace("3000000", "3" * 400), 1, "t '1477010443+' is not a whole number"),
    "time standing still": (LIDAR + LIDAR, 2, "t must rise, but "),
    "time running backwards": (RADAR + "\n" + LIDAR, 3, "t must rise, but "),
    "not text": (LIDAR.encode() + b"R\x80" + RADAR[1:].encode(), 2, "L, for lidar, or R, for radar"),
}


@pytest.mark.parametrize("text, line, message", BAD.values(), ids=BAD)
def test_a_bad_line_is_named(read, text, line, message):
    with pytest.raises(DataError, match=rf"recording\.txt:{line}: .*{message}"):
        read(text)


@needs_real_data
def test_the_real_recording():
    recording = lidar_radar.load(REAL.parent.parent)
    assert np.bincount(recording.sensor).tolist() == [250, 250]
    np.testing.assert_allclose(np.diff(recording.time_seconds), 0.05, rtol=1e-9)
    bearing = recording.measurement[recording.sensor == 1, 1]
    assert (bearing >= -np.pi).all() and (bearing < np.pi).all()
    px, py, vx, vy, yaw, _ = recording.truth.T
    np.testing.assert_allclose(np.hypot(vx, vy) * np.cos(yaw), vx, atol=1e-3)  # truth agrees with itself
    lidar, radar = recording.sensor == 0, recording.sensor == 1
    assert np.std(recording.measurement[lidar, 0] - px[lidar]) == pytest.approx(0.15, rel=0.15)
    assert np.std(recording.measurement[radar, 0] - np.hypot(px, py)[radar]) == pytest.approx(0.3, rel=0.15)
