"""Images of one's own, as arrays in one .npz file."""

from pathlib import Path

import numpy as np

from experiments.data.errors import DataError
from experiments.data.images import Images, check

FIELDS = ("train_images", "train_labels", "test_images", "test_labels")
NAMES = "class_names"


def read(path: str | Path) -> Images:
    """Read the arrays of FIELDS, and class_names if the file has them.

    Images are (N, H, W, C), or (N, H, W) of one channel, of integers in [0, 255]; labels are (N,) integers in [0, K).
    Without names, the classes are the numbers from 0 to the largest training label. Other arrays are let be.
    `np.savez("mine.npz", train_images=..., ...)` writes such a file.

    Args:
      path: of the file.
    Returns:
      Images, named for the file.
    Raises:
      DataError: there is no such file, it is not an .npz or a damaged one, an array is missing or holds Python objects,
        as images of mixed sizes do, images are not integers in [0, 255] or have another number of dimensions, names
        are not strings, labels without names leave most classes without an image; see `images.check`.
    """
    path = Path(path)
    arrays = _arrays(path)
    images = {field: _pixels(arrays[field], f"{path}: {field}") for field in FIELDS if "images" in field}
    labels = {field: arrays[field] for field in FIELDS if "labels" in field}
    names = _names(arrays[NAMES], path) if NAMES in arrays else _numbers(labels["train_labels"], path)
    return check(Images(path.name, **images, **labels, class_names=names), place=lambda field: f"{path}: {field}")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    with file:
        try:
            archive = np.load(file, allow_pickle=False)
        except Exception as error:  # zipfile and numpy raise whatever a damaged byte leads them into
            raise DataError(f"{path}: not an .npz file, or a damaged one ({error})") from error
        if isinstance(archive, np.ndarray):
            raise DataError(f"{path}: one array alone; an .npz file holds several by name: {', '.join(FIELDS)}")
        if missing := [field for field in FIELDS if field not in archive]:
            raise DataError(f"{path}: there is no {missing[0]}; it must hold {', '.join(FIELDS)}, may hold {NAMES}, "
                            f"and holds {', '.join(archive.files) or 'nothing'}")
        return {field: _array(archive, field, path) for field in (*FIELDS, NAMES) if field in archive}


def _array(archive, field: str, path: Path) -> np.ndarray:
    try:
        return archive[field]
    except ValueError as error:  # numpy's word for what would need pickle
        raise DataError(f"{path}: {field} must be one array of plain values; images of mixed sizes make none: bring "
                        f"them to one height, width and number of channels first ({error})") from error
    except Exception as error:
        raise DataError(f"{path}: {field} is damaged ({error})") from error


def _pixels(array: np.ndarray, place: str) -> np.ndarray:
    if array.ndim not in (3, 4):
        raise DataError(f"{place}: must be (N, H, W) or (N, H, W, C), got {array.shape}")
    if array.dtype.kind not in "iu":
        raise DataError(f"{place}: must be integers in [0, 255], got {array.dtype}; of brightness in [0, 1], "
                        "(255 * images).round().astype(np.uint8) makes them")
    if array.size and (array.min() < 0 or array.max() > 255):
        raise DataError(f"{place}: must be in [0, 255], got pixels from {array.min()} to {array.max()}")
    pixels = array.astype(np.uint8, copy=False)
    return pixels[..., None] if pixels.ndim == 3 else pixels


def _names(array: np.ndarray, path: Path) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind != "U":
        raise DataError(f"{path}: {NAMES} must be a list of strings, got {array.shape} of {array.dtype}")
    return tuple(array.tolist())


def _numbers(labels: np.ndarray, path: Path) -> tuple[str, ...]:
    """Names of classes that have none: their numbers."""
    if labels.size == 0 or labels.dtype.kind not in "iu":
        return ()  # which `check` has a word for
    num_classes = max(int(labels.max()), 0) + 1
    if num_classes > labels.size:
        raise DataError(f"{path}: train_labels: {labels.size:,} labels go up to {num_classes - 1:,}; number the "
                        f"classes from 0 without gaps, or name them all in {NAMES}")
    return tuple(map(str, range(num_classes)))
