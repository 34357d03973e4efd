"""CIFAR-10, binary version: 50,000 + 10,000 colour images of 32 x 32 pixels, 10 classes.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from pathlib import Path

import numpy as np

from experiments.data.errors import DataError
from experiments.data.images import Images, check
from experiments.data.sources import Dataset, locate

DATASET = Dataset(
    "cifar-10", "cifar-10-batches-bin", "https://www.cs.toronto.edu/~kriz/",
    {"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
)

TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILE = "test_batch.bin"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PLANES = (3, 32, 32)  # red, green and blue, row by row
RECORD_BYTES = 1 + 3 * 32 * 32  # the label comes first


def load(data_dir: str | Path | None = None) -> Images:
    """All batches.

    Args:
      data_dir: see `sources.locate`.
    Returns:
      Images of three channels.
    Raises:
      DataUnavailable: a batch is not at hand and not to be downloaded.
      DataError: see `read_batch`.
    """
    batches = [read_batch(locate(DATASET, file, data_dir)) for file in TRAIN_FILES]
    train_images, train_labels = map(np.concatenate, zip(*batches))
    test_images, test_labels = read_batch(locate(DATASET, TEST_FILE, data_dir))
    return check(Images(DATASET.name, train_images, train_labels, test_images, test_labels, CLASS_NAMES))


def read_batch(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one file: records of a label and of three planes of pixels.

    Args:
      path: of the file.
    Returns:
      Images (N, 32, 32, 3) uint8 and labels (N,) uint8.
    Raises:
      DataError: it is empty, its length is no whole number of records, or a label is none of the ten.
      FileNotFoundError: there is no such file.
    """
    content = np.frombuffer(Path(path).read_bytes(), np.uint8)
    if content.size == 0 or content.size % RECORD_BYTES:
        raise DataError(f"{path}: must hold whole records of {RECORD_BYTES:,} bytes, at least one, but has "
                        f"{content.size:,} bytes: cut short, or not of CIFAR-10's binary version")
    record = content.reshape(-1, RECORD_BYTES)
    labels, planes = record[:, 0], record[:, 1:].reshape(-1, *PLANES)
    if (bad := labels >= len(CLASS_NAMES)).any():
        row = int(np.argmax(bad))
        raise DataError(f"{path}: label {labels[row]} of record {row:,} (from 0) must be 0 to {len(CLASS_NAMES) - 1}")
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels
