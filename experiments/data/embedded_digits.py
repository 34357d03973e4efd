"""Scans of handwritten digits that scikit-learn carries: nothing to fetch.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", 1998: 1,797 scans of 8 x 8 pixels, each a count of
dark dots, 0 to 16.
"""

import numpy as np

from experiments.data.images import Images, check

MAX_PIXEL = 16


def load() -> Images:
    """All scans, a fifth of each class to be judged on: one split for everyone who reads them.

    Returns:
      Images of one channel, 1,437 to learn from and 360 to be judged on.

    >>> digits = load()
    >>> digits.train_images.shape, digits.test_images.shape, digits.max_pixel
    ((1437, 8, 8, 1), (360, 8, 8, 1), 16)
    """
    from sklearn.datasets import load_digits  # a second to import, that only this needs
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    train_images, test_images, train_labels, test_labels = train_test_split(
        pixels.astype(np.uint8).reshape(-1, 8, 8, 1), labels, test_size=0.2, random_state=0, stratify=labels)
    return check(Images("digits", train_images, train_labels, test_images, test_labels, tuple("0123456789"), MAX_PIXEL))
