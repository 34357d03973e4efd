"""Labelled images on the host, in a part to learn from and a part to be judged on."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from experiments.data.errors import DataError

Place = Callable[[str], str]

AT_ONCE = 256  # images whose sums are taken together: memory stays small


class Images(NamedTuple):
    """N images of H × W pixels with C channels, each of one of K classes.

    name: of the data set.
    train_images: (N, H, W, C) uint8, in [0, max_pixel].
    train_labels: (N,) int32, in [0, K).
    test_images, test_labels: the same of other images.
    class_names: K names.
    max_pixel: of full brightness.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    max_pixel: int = 255


def check(images: Images, place: Place | None = None) -> Images:
    """Refuse images that no classifier can make sense of.

    Args:
      images: to check; labels may be integers of any width.
      place: of a field, for the message; by default the data set's name and the field's.
    Returns:
      The same with labels as int32.
    Raises:
      DataError: a part is empty, images are not (N, H, W, C) uint8, those of the two parts differ in height, width or
        channels, a pixel is over max_pixel, labels are not N integers, a label is none of the K.

    >>> blank = np.zeros((2, 8, 8, 1), np.uint8)
    >>> check(Images("blank", blank, np.array([0, 1]), blank, np.array([1, 2]), ("no", "yes")))
    Traceback (most recent call last):
    experiments.data.errors.DataError: blank: test_labels: label 2 of image 1 (from 0) is none of 2 classes, 0 to 1
    """
    place = place or (lambda field: f"{images.name}: {field}")
    for part in ("train", "test"):
        _check_pixels(getattr(images, f"{part}_images"), images.max_pixel, place(f"{part}_images"))
        _check_labels(getattr(images, f"{part}_labels"), len(getattr(images, f"{part}_images")),
                      len(images.class_names), place(f"{part}_labels"))
    train, test = (_by(part.shape[1:]) for part in (images.train_images, images.test_images))
    if train != test:
        raise DataError(f"{place('test_images')}: images are {test}, but those to learn from are {train}; all must be "
                        "of one size")
    return images._replace(train_labels=images.train_labels.astype(np.int32),
                           test_labels=images.test_labels.astype(np.int32))


def hold_out(images: Images, fraction: float, seed: int = 0) -> Images:
    """The training part alone, divided anew: settings chosen on what is held out have not seen the test part.

    Of n images of a class, ⌊fraction · n + ½⌋ are held out, drawn without replacement.

    Args:
      images: of which train_images and train_labels are used.
      fraction: held out, between 0 and 1.
      seed: of the draw.
    Returns:
      Images whose test part is what was held out; both parts keep their order.
    Raises:
      ValueError: a fraction that is none.
      DataError: a part would be empty.

    >>> row = np.arange(10, dtype=np.uint8)
    >>> two = hold_out(Images("rows", row[:, None, None, None], row % 2, row[:0], row[:0], ("even", "odd")), 0.4)
    >>> two.train_labels.tolist(), two.test_labels.tolist()
    ([0, 1, 0, 1, 0, 1], [1, 0, 0, 1])
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be between 0 and 1, got {fraction}")
    rng = np.random.default_rng(seed)
    held = np.zeros(len(images.train_labels), bool)
    for label in range(len(images.class_names)):
        rows = np.flatnonzero(images.train_labels == label)
        held[rng.permutation(rows)[:int(fraction * len(rows) + 0.5)]] = True
    if held.all() or not held.any():
        raise DataError(f"{images.name}: {fraction} of each class, of {len(held)} images in all, leaves a part empty")
    return images._replace(train_images=images.train_images[~held], train_labels=images.train_labels[~held],
                           test_images=images.train_images[held], test_labels=images.train_labels[held])


def channel_statistics(images: np.ndarray, max_pixel: int = 255) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over all pixels, in units of full brightness.

    μ_c = ⟨x⟩,  σ_c = √(⟨x²⟩ − ⟨x⟩²),   x = pixel / max_pixel: sums of whole numbers, which are exact.

    Args:
      images: (N, H, W, C) uint8.
      max_pixel: of full brightness.
    Returns:
      (C,) and (C,), float32. The deviation of a channel that never changes is given as 1: to divide by.

    >>> channel_statistics(np.array([0, 255, 0, 255], np.uint8).reshape(1, 2, 2, 1))
    (array([0.5], dtype=float32), array([0.5], dtype=float32))
    """
    num_channels = images.shape[-1]
    total, squares = np.zeros((2, num_channels), np.uint64)
    for start in range(0, len(images), AT_ONCE):
        pixel = images[start:start + AT_ONCE].reshape(-1, num_channels).astype(np.uint32)
        total += pixel.sum(axis=0, dtype=np.uint64)
        squares += np.square(pixel).sum(axis=0, dtype=np.uint64)
    num_pixels = images.size // num_channels
    mean = total / num_pixels
    std = np.sqrt(np.maximum(squares / num_pixels - mean**2, 0))
    return ((mean / max_pixel).astype(np.float32),
            np.where(std > 0, std / max_pixel, 1).astype(np.float32))


def fingerprint(images: Images) -> str:
    """SHA-256 over both parts, the names of the classes and the brightest pixel, in hexadecimal; the name does not
    count."""
    total = hashlib.sha256(repr((images.train_images.shape, images.test_images.shape, images.class_names,
                                 images.max_pixel)).encode())
    for pixels, labels in ((images.train_images, images.train_labels), (images.test_images, images.test_labels)):
        total.update(np.ascontiguousarray(pixels))
        total.update(labels.astype("<i4"))
    return total.hexdigest()


def _check_pixels(pixels: np.ndarray, max_pixel: int, place: str) -> None:
    if pixels.ndim != 4 or 0 in pixels.shape or pixels.dtype != np.uint8:
        raise DataError(f"{place}: images must be (N, H, W, C) of uint8, each at least 1; "
                        f"got {pixels.shape} of {pixels.dtype}")
    if (brightest := pixels.max()) > max_pixel:
        raise DataError(f"{place}: a pixel of {brightest} is over {max_pixel}, full brightness")


def _check_labels(labels: np.ndarray, num_images: int, num_classes: int, place: str) -> None:
    if labels.dtype.kind not in "iu":
        raise DataError(f"{place}: labels must be integers, got {labels.dtype}")
    if labels.shape != (num_images,):
        raise DataError(f"{place}: {num_images:,} images take as many labels, got {_by(labels.shape)}")
    if (bad := (labels < 0) | (labels >= num_classes)).any():
        row = int(np.argmax(bad))
        raise DataError(f"{place}: label {labels[row]} of image {row:,} (from 0) is none of {num_classes} classes, "
                        f"0 to {num_classes - 1}")


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{length:,}" for length in shape)
