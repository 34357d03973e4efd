"""What every reader's images keep, and what is made of them."""

import numpy as np
import pytest

from experiments.data import DataError, Images, images

PIXELS = np.random.default_rng(0).integers(0, 17, (700, 2, 3, 2), dtype=np.uint8)
LABELS = np.arange(700, dtype=np.int64) % 7
GOOD = Images("scans", PIXELS, LABELS, PIXELS[:3], LABELS[:3], tuple("abcdefg"), max_pixel=16)

BAD = {
    "no images": ({"train_images": PIXELS[:0], "train_labels": LABELS[:0]}, r"train_images: .* got \(0, 2, 3, 2\)"),
    "no test images": ({"test_images": PIXELS[:0], "test_labels": LABELS[:0]}, r"test_images: .* got \(0, 2, 3, 2\)"),
    "no channel axis": ({"train_images": PIXELS[..., 0]}, r"train_images: .*\(N, H, W, C\).* got \(700, 2, 3\)"),
    "no width": ({"test_images": PIXELS[:3, :, :0]}, "test_images: .* each at least 1"),
    "floats": ({"train_images": PIXELS.astype(np.float32)}, "train_images: .* of float32"),
    "too bright": ({"max_pixel": 15}, "train_images: a pixel of 16 is over 15"),
    "another size": ({"test_images": PIXELS[:3, :, :2]}, "test_images: images are 2 x 2 x 2, .* are 2 x 3 x 2"),
    "other channels": ({"test_images": PIXELS[:3, :, :, :1]}, "test_images: images are 2 x 3 x 1, .* are 2 x 3 x 2"),
    "floating labels": ({"train_labels": LABELS / 1}, "train_labels: labels must be integers, got float64"),
    "fewer labels": ({"train_labels": LABELS[1:]}, "train_labels: 700 images take as many labels, got 699"),
    "one-hot labels": ({"test_labels": np.eye(3, dtype=int)}, "test_labels: 3 images .* got 3 x 3"),
    "label too large": ({"class_names": tuple("abcdef")}, "train_labels: label 6 of image 6 .* 6 classes, 0 to 5"),
    "label negative": ({"test_labels": np.array([0, 1, -1])}, "test_labels: label -1 of image 2 "),
}


@pytest.mark.parametrize("change, message", BAD.values(), ids=BAD)
def test_what_no_classifier_can_make_sense_of(change, message):
    with pytest.raises(DataError, match=rf"^scans: {message}"):
        images.check(GOOD._replace(**change))


def test_good_images_pass_with_labels_as_int32_and_the_place_is_the_readers():
    passed = images.check(GOOD)
    assert passed.train_labels.dtype == passed.test_labels.dtype == np.int32
    assert images.fingerprint(passed) == images.fingerprint(GOOD)
    with pytest.raises(DataError, match=r"^file of test_labels: label 7"):
        images.check(GOOD._replace(test_labels=LABELS[:3] + 5), place=lambda field: f"file of {field}")


def test_what_is_held_out_is_a_share_of_each_class():
    marked = np.stack(np.divmod(np.arange(700), 256), axis=1).astype(np.uint8)[:, None, None, :]  # by its own row
    one = Images("rows", marked, LABELS, marked[:1], LABELS[:1], tuple("abcdefg"))
    two = images.hold_out(one, 0.15)
    assert np.bincount(two.test_labels).tolist() == [15] * 7 and np.bincount(two.train_labels).tolist() == [85] * 7
    train, held = (part[:, 0, 0, :] @ np.array([256, 1]) for part in (two.train_images, two.test_images))
    assert sorted([*train, *held]) == list(range(700)) and list(held) == sorted(held)
    assert (train % 7 == two.train_labels).all() and (held % 7 == two.test_labels).all()
    assert images.fingerprint(two) == images.fingerprint(images.hold_out(one, 0.15))
    assert images.fingerprint(two) != images.fingerprint(images.hold_out(one, 0.15, seed=1))


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan")])
def test_no_fraction(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        images.hold_out(GOOD, fraction)


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_nothing_left_of_a_part(fraction):
    with pytest.raises(DataError, match="leaves a part empty"):
        images.hold_out(GOOD, fraction)


def test_channel_statistics_are_numpys():
    mean, std = images.channel_statistics(PIXELS, max_pixel=16)  # of several blocks
    np.testing.assert_allclose(mean, (PIXELS / 16).mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, (PIXELS / 16).std((0, 1, 2)), rtol=1e-6)
    assert mean.dtype == std.dtype == np.float32


def test_a_channel_that_never_changes_can_be_divided_by():
    mean, std = images.channel_statistics(np.full((2, 3, 3, 1), 77, np.uint8))
    assert std.tolist() == [1] and mean[0] == np.float32(77 / 255)


CHANGES = {
    "a pixel": {"train_images": PIXELS[::-1]},
    "a label": {"test_labels": LABELS[1:4]},
    "a class's name": {"class_names": tuple("abcdefh")},
    "the brightest pixel": {"max_pixel": 17},
    "the shape": {"train_images": PIXELS.reshape(700, 3, 2, 2)},
    "the division": {"train_images": PIXELS[:-1], "train_labels": LABELS[:-1]},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_fingerprint_tells_a_change(change):
    assert images.fingerprint(GOOD._replace(**change)) != images.fingerprint(GOOD)
    assert images.fingerprint(GOOD._replace(name="other")) == images.fingerprint(GOOD)
