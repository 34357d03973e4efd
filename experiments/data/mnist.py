"""MNIST and Fashion-MNIST: 60,000 + 10,000 grey images of 28 x 28 pixels, 10 classes each.

Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998. H. Xiao, K. Rasul, R. Vollgraf,
"Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from experiments.data import idx_files
from experiments.data.images import Images, check
from experiments.data.sources import Dataset, find, locate

FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


class Edition(NamedTuple):
    """One of the sets. sha256: of each file's unpacked bytes, by the field of Images that it holds."""

    dataset: Dataset
    class_names: tuple[str, ...]
    sha256: Mapping[str, str]


def _edition(name: str, url: str, class_names: tuple[str, ...], packed_md5: tuple[str, ...],
             unpacked_sha256: tuple[str, ...]) -> Edition:
    checksums = {f"{file}.gz": f"md5:{md5}" for file, md5 in zip(FILES.values(), packed_md5)}
    return Edition(Dataset(name, name, url, checksums), class_names, dict(zip(FILES, unpacked_sha256)))


EDITIONS = {
    edition.dataset.name: edition
    for edition in (
        _edition(
            "mnist", "https://ossci-datasets.s3.amazonaws.com/mnist/", tuple("0123456789"),
            ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
             "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"),
            ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
             "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
             "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
             "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        ),
        _edition(
            "fashion-mnist", "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
            "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/",
            ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
            ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
             "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"),
            ("c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
             "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
             "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
             "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        ),
    )
}


def load(name: str = "fashion-mnist", data_dir: str | Path | None = None) -> Images:
    """One of the sets, from files that may be gzipped or unpacked, with or without .gz to their names.

    Args:
      name: a key of EDITIONS.
      data_dir: see `sources.locate`.
    Returns:
      Images of one channel.
    Raises:
      ValueError: no such set.
      DataUnavailable: not at hand and not to be downloaded.
      DataError: a file is damaged, or not the published one; see `idx_files.read` and `images.check`.
    """
    if name not in EDITIONS:
        raise ValueError(f"name must be one of {', '.join(EDITIONS)}; got {name!r}")
    dataset, class_names, sha256 = EDITIONS[name]
    paths = {field: find(dataset, file, data_dir) or locate(dataset, f"{file}.gz", data_dir)
             for field, file in FILES.items()}
    arrays = {field: idx_files.read(path, magic=idx_files.GREY_IMAGES if "images" in field else idx_files.LABELS,
                                    sha256=sha256[field])
              for field, path in paths.items()}
    arrays |= {field: array[..., None] for field, array in arrays.items() if "images" in field}
    return check(Images(name, **arrays, class_names=class_names), place=lambda field: str(paths[field]))
