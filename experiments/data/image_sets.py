"""Every set of images by the name that it has on the command line."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from experiments.data import cifar10, embedded_digits, image_archives, mnist
from experiments.data.images import Images
from experiments.data.sources import DataUnavailable

EMBEDDED = ("embedded", "digits")
PUBLIC: Mapping[str, Callable[[str | Path | None], Images]] = MappingProxyType({
    **{name: functools.partial(mnist.load, name) for name in mnist.EDITIONS},
    cifar10.DATASET.name: cifar10.load,
})
"""Those that are fetched, each as a function of the data directory."""


def load(dataset: str, data_dir: str | Path | None = None) -> Images:
    """The images that a name stands for.

    Args:
      dataset: embedded or digits, which are the same; a key of PUBLIC; or the path of an .npz file.
      data_dir: see `sources.locate`.
    Returns:
      Images.
    Raises:
      DataUnavailable: there is neither such a set nor such a file, or it is not at hand and not to be downloaded.
      DataError: the data are damaged; see the readers.

    >>> load("embedded").name
    'digits'
    """
    if dataset in EMBEDDED:
        return embedded_digits.load()
    if dataset in PUBLIC:
        return PUBLIC[dataset](data_dir)
    if Path(dataset).exists():
        return image_archives.read(dataset)
    names = ", ".join([*EMBEDDED, *PUBLIC])
    raise DataUnavailable(f"--dataset must be one of {names}, or an .npz file, and there is no {dataset!r}")
