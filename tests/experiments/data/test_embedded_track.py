"""The track that needs nothing fetched."""

import numpy as np
import pytest

from experiments.data import embedded_track
from experiments.data.recordings import wrap


def noise(recording):
    """(T, 3) what was measured, less what a perfect sensor would read; NaN where nothing was."""
    px, py, vx, vy = recording.truth[:, :4].T
    distance = np.hypot(px, py)
    perfect = np.where((recording.sensor == 0)[:, None], np.stack([px, py, 0 * px], 1),
                       np.stack([distance, np.arctan2(py, px), (px * vx + py * vy) / distance], 1))
    error = recording.measurement - perfect
    radar = recording.sensor == 1
    error[radar, 1] = wrap(error[radar, 1])
    return np.where(recording.mask, error, np.nan)


def test_the_seed_decides_everything_but_the_path():
    one, same, other = (embedded_track.generate(seed=seed) for seed in (1, 1, 2))
    for a, b in zip(one, same):
        assert np.array_equal(a, b)
    assert not np.array_equal(one.time_seconds, other.time_seconds)
    at = np.linspace(0, 10, 7)
    assert np.array_equal(embedded_track.path(at), embedded_track.path(np.append(at, 20.0))[:-1])


def test_two_sensors_in_turn_at_irregular_times_with_gaps():
    recording = embedded_track.generate()
    dt = np.diff(recording.time_seconds)
    assert 380 <= len(dt) <= 420 and 0.02 <= dt.min() < 0.03 and 0.08 < dt.max()
    assert 180 < recording.sensor.sum() < 220 and len(np.unique(dt)) == len(dt)
    assert not recording.mask[recording.sensor == 0, 2].any()
    lost = np.array([2, 3])[recording.sensor] - recording.mask.sum(axis=1)
    assert 5 < lost.sum() < 40 and set(lost) == {0, 1}
    assert (recording.measurement[~recording.mask] == 0).all() and recording.start_seconds < recording.time_seconds[0]
    whole = embedded_track.generate(missing=0.0)
    assert len(whole.sensor) == 420 and (whole.mask.sum(axis=1) == np.array([2, 3])[whole.sensor]).all()


def test_noise_has_the_stated_scale():
    error = noise(embedded_track.generate(num_turns=420, seed=3))
    sensor = embedded_track.generate(num_turns=420, seed=3).sensor
    for which, stds in ((0, (0.15, 0.15)), (1, (0.3, 0.03, 0.3))):
        for component, std in enumerate(stds):
            sample = error[sensor == which, component]
            sample = sample[~np.isnan(sample)]
            assert np.sqrt(np.mean(sample**2)) == pytest.approx(std, rel=5 / np.sqrt(2 * len(sample)))


def test_the_path_rounds_the_radar_and_its_truth_agrees_with_itself():
    time = np.linspace(0, 21, 2101)
    px, py, vx, vy, yaw, yaw_rate = embedded_track.path(time).T
    bearing = np.arctan2(py, px)
    assert np.hypot(px, py).min() > 6 and (np.abs(np.diff(bearing)) > np.pi).sum() >= 1
    assert yaw_rate.min() < -0.3 and yaw_rate.max() > 0.6 and np.ptp(np.hypot(vx, vy)) > 2
    np.testing.assert_allclose(np.gradient(px, time)[1:-1], vx[1:-1], atol=1e-3)
    np.testing.assert_allclose(np.gradient(py, time)[1:-1], vy[1:-1], atol=1e-3)
    np.testing.assert_allclose(np.gradient(np.unwrap(yaw), time)[1:-1], yaw_rate[1:-1], atol=1e-3)
    np.testing.assert_allclose(wrap(np.arctan2(vy, vx) - yaw), 0, atol=1e-12)


@pytest.mark.parametrize("bad", [{"num_turns": 0}, {"missing": 1.0}, {"missing": -0.1}])
def test_numbers_out_of_bounds(bad):
    with pytest.raises(ValueError, match="num_turns >= 1 and missing"):
        embedded_track.generate(**bad)
