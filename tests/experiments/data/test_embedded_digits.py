"""The digits that need nothing fetched, split once for all."""

import numpy as np
from sklearn.datasets import load_digits

from experiments.data import embedded_digits, images


def test_a_fifth_of_each_class_is_held_out_and_every_scan_is_in_one_part():
    one = embedded_digits.load()
    assert one.train_images.shape == (1437, 8, 8, 1) and one.test_images.shape == (360, 8, 8, 1)
    assert one.train_images.max() == one.max_pixel == 16 and one.train_labels.dtype == np.int32
    shares = np.bincount(one.test_labels) / np.bincount(np.concatenate([one.train_labels, one.test_labels]))
    np.testing.assert_allclose(shares, 0.2, atol=0.005)
    both = np.concatenate([one.train_images, one.test_images]).reshape(-1, 64)
    np.testing.assert_array_equal(sorted(map(tuple, both)), sorted(map(tuple, load_digits().data)))


def test_it_is_the_same_every_time():
    assert images.fingerprint(embedded_digits.load()) == images.fingerprint(embedded_digits.load())
