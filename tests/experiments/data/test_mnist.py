"""MNIST and Fashion-MNIST: from miniature files everywhere, from the real Fashion-MNIST where it is at hand."""

import gzip
import hashlib
import os
import pathlib

import numpy as np
import pytest

from experiments.data import DataError, DataUnavailable, images, mnist, sources
from tests.experiments.data.idx import idx

REAL = pathlib.Path(os.environ.get("SANDBOX_DATA", "")) / "fashion-mnist" / "train-images-idx3-ubyte.gz"
needs_real_data = pytest.mark.skipif(not REAL.is_file(), reason="SANDBOX_DATA has no fashion-mnist: see README")

ARRAYS = {
    "train_images": np.arange(3 * 28 * 28, dtype=np.uint64).astype(np.uint8).reshape(3, 28, 28),
    "train_labels": np.array([0, 9, 3], np.uint8),
    "test_images": np.zeros((1, 28, 28), np.uint8),
    "test_labels": np.array([5], np.uint8),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Writes miniature files, as those that were published."""
    def place(name="mnist", packed=("train_images", "train_labels", "test_images", "test_labels"), **changes):
        (tmp_path / name).mkdir(exist_ok=True)
        contents = {field: idx(array) for field, array in (ARRAYS | changes).items()}
        for field, content in contents.items():
            path = tmp_path / name / mnist.FILES[field]
            if field in packed:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content))
            else:
                path.write_bytes(content)
        sha256 = {field: hashlib.sha256(content).hexdigest() for field, content in contents.items()}
        monkeypatch.setitem(mnist.EDITIONS, name, mnist.EDITIONS[name]._replace(sha256=sha256))
        return tmp_path
    return place


@pytest.mark.parametrize("name, first, last", [("mnist", "0", "9"), ("fashion-mnist", "T-shirt/top", "Ankle boot")])
def test_both_sets_read_their_own_files_gzipped_or_not(place, name, first, last):
    one = mnist.load(name, place(name, packed=("train_images", "test_labels")))
    assert one.name == name and one.max_pixel == 255
    assert one.class_names[0] == first and one.class_names[-1] == last and len(one.class_names) == 10
    np.testing.assert_array_equal(one.train_images, ARRAYS["train_images"][..., None])
    assert one.train_labels.tolist() == [0, 9, 3] and one.train_labels.dtype == np.int32
    assert one.test_images.shape == (1, 28, 28, 1) and one.test_labels.tolist() == [5]


def test_a_file_that_is_not_the_published_one(place):
    folder = place()
    path = folder / "mnist" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx(np.array([6], np.uint8))))
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: not the file that was published"):
        mnist.load("mnist", folder)


def test_images_where_labels_should_be(place):
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz: the magic number must be 2049"):
        mnist.load("mnist", place(train_labels=ARRAYS["train_images"]))


def test_labels_out_of_range_or_too_few_name_their_file(place):
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz: label 10 of image 1 .* none of 10 classes"):
        mnist.load("mnist", place(train_labels=np.array([0, 10, 3], np.uint8)))
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz: 3 images take as many labels, got 2"):
        mnist.load("mnist", place(train_labels=np.array([0, 9], np.uint8)))


def test_an_unknown_set_lists_the_known_ones():
    with pytest.raises(ValueError, match="one of mnist, fashion-mnist; got 'kmnist'"):
        mnist.load("kmnist")


def test_a_missing_file_is_fetched_from_its_home(place, monkeypatch):
    monkeypatch.delenv("SANDBOX_DATA", raising=False)
    monkeypatch.setattr(sources.pooch, "os_cache", lambda _: pathlib.Path("nowhere"))
    monkeypatch.setattr(sources, "_download", lambda *_: (_ for _ in ()).throw(OSError(101, "no network")))
    folder = place()
    (folder / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataUnavailable, match=r"(?s)t10k-labels-idx1-ubyte\.gz is in none of .*no network.*Fetch https://"):
        mnist.load("mnist", folder)


@needs_real_data
def test_fashion_mnist():
    one = mnist.load("fashion-mnist", REAL.parent.parent)
    assert one.train_images.shape == (60_000, 28, 28, 1) and one.test_images.shape == (10_000, 28, 28, 1)
    assert np.bincount(one.train_labels).tolist() == [6_000] * 10
    assert np.bincount(one.test_labels).tolist() == [1_000] * 10
    assert [one.class_names[label] for label in one.train_labels[:3]] == ["Ankle boot", "T-shirt/top", "T-shirt/top"]
    mean, std = images.channel_statistics(one.train_images)
    np.testing.assert_allclose([*mean, *std], [one.train_images.mean() / 255, one.train_images.std() / 255], rtol=1e-6)
