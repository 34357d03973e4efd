"""CIFAR-10, from files of a few records."""

import pathlib

import numpy as np
import pytest

from experiments.data import DataError, DataUnavailable, cifar10, sources


def records(labels, seed=0):
    planes = np.random.default_rng(seed).integers(0, 256, (len(labels), 3, 32, 32), dtype=np.uint8)
    content = b"".join(bytes([label]) + image.tobytes() for label, image in zip(labels, planes))
    return content, planes


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / cifar10.DATASET.folder
    path.mkdir()
    for number, file in enumerate((*cifar10.TRAIN_FILES, cifar10.TEST_FILE)):
        (path / file).write_bytes(records([number, 9], seed=number)[0])
    return path


def test_batches_in_order_and_channels_last(folder):
    one = cifar10.load(folder.parent)
    assert one.train_images.shape == (10, 32, 32, 3) and one.test_images.shape == (2, 32, 32, 3)
    assert one.train_labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9] and one.test_labels.tolist() == [5, 9]
    assert one.train_labels.dtype == np.int32 and one.class_names[3] == "cat"
    third = records([3, 9], seed=3)[1]
    for channel in range(3):
        np.testing.assert_array_equal(one.train_images[6:8, :, :, channel], third[:, channel])


BAD = {
    "empty": (b"", "at least one, but has 0 bytes"),
    "cut short": (records([1, 2])[0][:-1], "whole records of 3,073 bytes, .* has 6,145 bytes: cut short"),
    "too long": (records([1, 2])[0] + b"\0", "has 6,147 bytes"),
    "of CIFAR-100": (b"\3" + records([1])[0], "has 3,074 bytes: .* not of CIFAR-10's binary version"),
    "label out of range": (records([1, 2, 10])[0], r"label 10 of record 2 \(from 0\) must be 0 to 9"),
}


@pytest.mark.parametrize("content, message", BAD.values(), ids=BAD)
def test_a_bad_batch_is_named(folder, content, message):
    (folder / "data_batch_4.bin").write_bytes(content)
    with pytest.raises(DataError, match=rf"data_batch_4\.bin: .*{message}"):
        cifar10.load(folder.parent)


def test_a_missing_batch(folder, monkeypatch):
    monkeypatch.delenv("SANDBOX_DATA", raising=False)
    monkeypatch.setattr(sources.pooch, "os_cache", lambda _: pathlib.Path("nowhere"))
    monkeypatch.setattr(sources, "_download", lambda *_: (_ for _ in ()).throw(OSError(101, "no network")))
    (folder / "data_batch_2.bin").unlink()
    with pytest.raises(DataUnavailable, match=r"(?s)data_batch_2\.bin is in none of .*binary\.tar\.gz and unpack"):
        cifar10.load(folder.parent)
