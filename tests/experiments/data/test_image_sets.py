"""Sets of images by name."""

import numpy as np
import pytest

from experiments.data import DataError, DataUnavailable, cifar10, image_sets


def test_embedded_and_digits_are_the_same():
    assert image_sets.load("embedded").name == image_sets.load("digits").name == "digits"


def test_public_sets_are_read_from_the_data_directory(tmp_path):
    assert tuple(image_sets.PUBLIC) == ("mnist", "fashion-mnist", "cifar-10")
    (tmp_path / cifar10.DATASET.folder).mkdir()
    for file in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE):
        (tmp_path / cifar10.DATASET.folder / file).write_bytes(bytes(cifar10.RECORD_BYTES))
    assert image_sets.load("cifar-10", tmp_path).train_images.shape == (5, 32, 32, 3)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(b"0")
    for file in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (tmp_path / "mnist" / file).touch()
    with pytest.raises(DataError, match="train-images-idx3-ubyte: not an idx file"):
        image_sets.load("mnist", tmp_path)


def test_a_path(tmp_path):
    pixels, labels = np.zeros((2, 3, 3), np.uint8), np.array([0, 1])
    np.savez(tmp_path / "mine.npz", train_images=pixels, train_labels=labels, test_images=pixels, test_labels=labels)
    assert image_sets.load(str(tmp_path / "mine.npz")).train_images.shape == (2, 3, 3, 1)


def test_a_name_that_is_neither():
    with pytest.raises(DataUnavailable, match=r"embedded, digits, mnist, fashion-mnist, cifar-10, or an .*kmnist"):
        image_sets.load("kmnist")
