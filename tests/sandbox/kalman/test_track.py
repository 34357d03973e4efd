"""What is refused at the door, and that the message says where."""

import jax
import numpy as np
import pytest

from sandbox.kalman.model import Factored, check_noise, linear_model
from sandbox.kalman.track import Track, check_track

NAN = float("nan")
SENSOR = np.array([0, 1, 1, 0])
TRACK = Track(np.array([0.0, 0.5, 0.1, 1.0]), np.ones((4, 2)), SENSOR, np.ones((4, 3)),
              np.stack([SENSOR >= 0, SENSOR >= 0, SENSOR == 1], axis=1))


def changed(name, place, value):
    leaf = getattr(TRACK, name).copy()
    leaf[place] = value
    return TRACK._replace(**{name: leaf})


def in_a_batch(track, at):
    """The track at a place among sound ones."""
    return jax.tree.map(lambda bad, good: np.stack([bad if k == at else good for k in range(3)]), track, TRACK)


def test_a_sound_track_comes_back_as_it_was():
    assert check_track(TRACK, 2) is TRACK
    batch = in_a_batch(TRACK, 0)
    assert check_track(batch, 2) is batch


def test_what_is_not_measured_may_be_nan():
    assert not TRACK.mask[3, 2]
    check_track(changed("measurement", (3, 2), NAN), 2)


REFUSED = {
    "time stands still": ("dt_seconds", 2, 0.0, "row 2", "dt_seconds is 0.0: time must go on"),
    "time runs backwards": ("dt_seconds", 3, -0.1, "row 3", "dt_seconds is -0.1: time must go on"),
    "it begins before the prior": ("dt_seconds", 0, -1.0, "row 0", "dt_seconds is -1.0"),
    "a time that is none": ("dt_seconds", 1, NAN, "row 1", "dt_seconds is nan"),
    "an endless time": ("dt_seconds", 0, np.inf, "row 0", "dt_seconds is inf"),
    "a sensor too many": ("sensor", 2, 2, "row 2", "sensor 2 is none of the 2 declared ones, 0 to 1"),
    "a negative sensor": ("sensor", 1, -1, "row 1", "sensor -1 is none of the 2"),
    "a measurement that is none": ("measurement", (1, 2), NAN, "row 1", "measurement [ 1.  1. nan] is not finite"),
    "an infinite angle": ("measurement", (2, 1), np.inf, "row 2", "measurement [ 1. inf  1.] is not finite"),
    "a control that is none": ("control", (3, 0), NAN, "row 3", "control [nan  1.] is not finite"),
}


@pytest.mark.parametrize("name, place, value, row, words", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_and_the_row_named(name, place, value, row, words):
    bad = changed(name, place, value)
    with pytest.raises(ValueError) as refusal:
        check_track(bad, 2)
    assert str(refusal.value).startswith(f"{row}: ") and words in str(refusal.value)
    with pytest.raises(ValueError) as refusal:
        check_track(in_a_batch(bad, 1), 2)
    assert str(refusal.value).startswith(f"{row} of track 1: ") and words in str(refusal.value)


def test_the_first_bad_row_is_named():
    bad = changed("dt_seconds", slice(1, None), -1.0)
    with pytest.raises(ValueError, match=r"^row 1: "):
        check_track(bad, 2)


@pytest.mark.parametrize("bad, words", [
    (jax.tree.map(lambda leaf: leaf[:0], TRACK), "must have a row"),
    (TRACK._replace(dt_seconds=np.array(1.0)), "must have a row"),
    (TRACK._replace(sensor=SENSOR[:3]), "must have the same rows"),
    (TRACK._replace(control=np.ones((3, 2))), "must have the same rows"),
    (TRACK._replace(measurement=np.ones((5, 3)), mask=np.ones((5, 3), bool)), "must have the same rows"),
    (TRACK._replace(mask=TRACK.mask[:, :2]), "mask the shape of measurement"),
    (TRACK._replace(mask=TRACK.mask.astype(int)), "mask must be of booleans, got int64"),
], ids=["empty", "no axis", "sensor", "control", "measurement", "mask", "counts for a mask"])
def test_shapes_that_do_not_belong_together_are_refused(bad, words):
    with pytest.raises(ValueError, match=words):
        check_track(bad, 2)


def with_noise(N):
    one = np.eye(2)
    return linear_model(one, one, one, N, Factored(np.zeros(2), one))


@pytest.mark.parametrize("N, words", [
    (np.diag([1.0, 0.0]), "sensor 0: R is singular"),
    (np.ones((2, 2)), "sensor 0: R is singular"),
    (np.diag([1.0, NAN]), "sensor 0: the noise factor of R is not finite"),
    (np.diag([np.inf, 1.0]), "sensor 0: the noise factor of R is not finite"),
])
def test_a_singular_noise_is_refused(N, words):
    with pytest.raises(ValueError, match=words):
        check_noise(with_noise(N), None)


def test_the_sensor_without_noise_is_named():
    model = with_noise(np.eye(2))._replace(
        observation_noise=lambda params, sensor: np.diag([1.0, 1.0 if sensor < 2 else 0.0]), num_sensors=3)
    with pytest.raises(ValueError, match="sensor 2: R is singular"):
        check_noise(model, None)


def test_noise_of_very_different_sizes_is_sound():
    check_noise(with_noise(np.diag([1e-5, 1e5])), None)
    check_noise(with_noise(np.array([[1.0, 0.0], [0.999, 1e-3]])), None)


def test_a_sensor_is_a_whole_number():
    with pytest.raises(ValueError, match="sensor must be of integers, got float64"):
        check_track(TRACK._replace(sensor=TRACK.sensor + 0.5), 2)
