"""Where a data set's files are: at hand, or downloaded and checked, or a clear word on how to get them."""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pooch

RETRIES = 2
ARCHIVES = (".zip", ".tar.gz")


class DataUnavailable(FileNotFoundError):
    """A data set is neither at hand nor to be downloaded; the message says how to get it."""


class Dataset(NamedTuple):
    """A data set and its public home.

    name: as on the command line.
    folder: of its files, inside a data directory; an archive unpacks to this folder.
    url: the folder of the downloads, with its last slash.
    checksums: of each download, "algorithm:hex" or plain sha256; None for one that its home replaces
      from time to time, which is therefore never downloaded unasked.
    names_at_home: of downloads whose home has them under another name.
    """

    name: str
    folder: str
    url: str
    checksums: Mapping[str, str | None]
    names_at_home: Mapping[str, str] = MappingProxyType({})


def locate(dataset: Dataset, filename: str, data_dir: str | Path | None = None) -> Path:
    """Path of a file of a data set, downloaded where it is missing.

    Looked for as ROOT/dataset.folder/filename, ROOT being `data_dir`, then $SANDBOX_DATA, then the user's
    cache. A download goes to `data_dir` if that is given, else to the cache, and only appears there
    complete and with its published checksum.

    Args:
      dataset: what to find.
      filename: name of one of its files, relative to its folder.
      data_dir: the first directory to look in.
    Returns:
      The path of an existing file.
    Raises:
      DataUnavailable: not at hand, and the download failed or had a wrong checksum.
    """
    if path := find(dataset, filename, data_dir):
        return path
    roots = _roots(data_dir)
    home = roots[0] if data_dir else roots[-1]
    try:
        _download(dataset, filename, home)
    except (OSError, ValueError, tarfile.TarError) as error:
        raise DataUnavailable(_how_to_get(dataset, filename, roots, home, error)) from error
    if not (path := home / dataset.folder / filename).is_file():
        raise DataUnavailable(f"{dataset.name} has no file {filename}: looked in {path.parent}")
    return path


def find(dataset: Dataset, filename: str, data_dir: str | Path | None = None) -> Path | None:
    """Path of a file of a data set if it is at hand, looked for where `locate` looks."""
    paths = (root / dataset.folder / filename for root in _roots(data_dir))
    return next(filter(Path.is_file, paths), None)


def _roots(data_dir: str | Path | None) -> list[Path]:
    named = [data_dir, os.environ.get("SANDBOX_DATA"), pooch.os_cache("sandbox")]
    return [Path(root).expanduser() for root in named if root]


def _remote(dataset: Dataset, filename: str) -> str:
    """The download that holds a file: the file itself, or else the set's archive."""
    return filename if filename in dataset.checksums else next(iter(dataset.checksums))


def _download(dataset: Dataset, filename: str, home: Path) -> None:
    remote = _remote(dataset, filename)
    checksum = dataset.checksums[remote]
    if checksum is None:
        raise ValueError(f"{remote} has no published checksum")
    archive = remote.endswith(ARCHIVES)
    shelf = pooch.create(
        path=home if archive else home / dataset.folder,
        base_url=dataset.url,
        registry={remote: checksum},
        urls={remote: dataset.url + dataset.names_at_home.get(remote, remote)},
        retry_if_failed=RETRIES,
    )
    fetched = Path(shelf.fetch(remote))
    if archive:
        _unpack(fetched, home, dataset.folder)


def _unpack(archive: Path, home: Path, folder: str) -> None:
    """Unpack aside, then move each missing file to its place whole: half a file is never found there."""
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        # Nothing outside the folder, no devices; Python before 3.11.4 cannot ask for that.
        safely = {"filter": "data"} if archive.suffix != ".zip" and hasattr(tarfile, "data_filter") else {}
        shutil.unpack_archive(archive, scratch, **safely)
        for path in (Path(scratch) / folder).rglob("*"):
            target = home / path.relative_to(scratch)
            if path.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)
    archive.unlink()


def _how_to_get(dataset: Dataset, filename: str, roots: list[Path], home: Path, error: Exception) -> str:
    remote = _remote(dataset, filename)
    if "does not match the known hash" in str(error):
        reason = f"What was downloaded had a wrong checksum and was thrown away ({error})."
    else:
        cause = (error.strerror or type(error).__name__) if isinstance(error, OSError) else error
        reason = f"It could not be downloaded ({cause})."
    looked = ", ".join(str(root / dataset.folder) for root in roots)
    archive = remote.endswith(ARCHIVES)
    verb, where = ("unpack it in", home) if archive else ("put it in", home / dataset.folder)
    name_at_home = dataset.names_at_home.get(remote, remote)
    renamed = "" if name_at_home == remote else f" as {remote}"
    return (f"{dataset.name}: {filename} is in none of {looked}. {reason}\n"
            f"Fetch {dataset.url}{name_at_home} and {verb} {where}{renamed}, or name the directory that has "
            f"{dataset.folder}/ by --data-dir or $SANDBOX_DATA; --dataset embedded needs nothing.")
