"""MovieLens, from 100 thousand ratings to 25 million.

F. M. Harper, J. A. Konstan, "The MovieLens Datasets: History and Context", 2015. GroupLens allows
research and forbids redistribution: every user fetches a copy from its home.
"""

from pathlib import Path
from typing import NamedTuple

from experiments.data.delimited import Layout
from experiments.data.rating_files import read_folds, read_table, read_titles
from experiments.data.ratings import Fold, RatingTable
from experiments.data.sources import Dataset, locate

TABS = Layout("\t", scale=(1, 5))
COLONS = Layout("::", scale=(1, 5))
HALF_STAR_COLONS = Layout("::", scale=(0.5, 5))
HALF_STAR_CSV = Layout(",", scale=(0.5, 5), header=True)

URL = "https://files.grouplens.org/datasets/movielens/"


class Edition(NamedTuple):
    """A release of MovieLens: where it is, and how its ratings and titles are written."""

    dataset: Dataset
    ratings: str
    layout: Layout
    titles: str
    titles_separator: str
    titles_encoding: str


def _edition(size: str, checksum: str | None, *text, folder: str | None = None) -> Edition:
    dataset = Dataset(f"movielens-{size}", folder or f"ml-{size}", URL, {f"ml-{size}.zip": checksum})
    return Edition(dataset, *text)


_DAT = ("ratings.dat", COLONS, "movies.dat", "::", "latin-1")
_HALF_STAR_DAT = ("ratings.dat", HALF_STAR_COLONS, "movies.dat", "::", "utf-8")
_CSV = ("ratings.csv", HALF_STAR_CSV, "movies.csv", ",", "utf-8-sig")

EDITIONS = {
    edition.dataset.name: edition
    for edition in (
        _edition("100k", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                 "u.data", TABS, "u.item", "|", "latin-1"),
        _edition("1m", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20", *_DAT),
        _edition("10m", "md5:ce571fd55effeba0271552578f2648bd", *_HALF_STAR_DAT, folder="ml-10M100K"),
        _edition("20m", "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3", *_CSV),
        _edition("25m", "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa", *_CSV),
        _edition("latest-small", "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436", *_CSV),
        _edition("latest", None, *_CSV),
    )
}


def load(name: str = "movielens-100k", data_dir: str | Path | None = None) -> RatingTable:
    """All ratings of one edition, with film titles.

    Args:
      name: a key of EDITIONS.
      data_dir: see `sources.locate`.
    Returns:
      RatingTable.
    Raises:
      ValueError: no such edition.
      DataUnavailable: not at hand and not to be downloaded.
      DataError: a file is damaged; the message names file and line.
    """
    if name not in EDITIONS:
        raise ValueError(f"name must be one of {', '.join(EDITIONS)}; got {name!r}")
    edition = EDITIONS[name]
    return read_table(locate(edition.dataset, edition.ratings, data_dir), edition.layout,
                      _titles(edition, data_dir))


def folds(data_dir: str | Path | None = None) -> tuple[Fold, ...]:
    """The official five folds of MovieLens 100K, u1 to u5: 80,000 training and 20,000 test ratings each.

    Their test parts are disjoint and together hold every rating once.

    Args:
      data_dir: see `sources.locate`.
    Returns:
      Five folds that share one numbering of users and films.
    Raises:
      DataUnavailable, DataError: see `load`.
    """
    edition = EDITIONS["movielens-100k"]
    paths = [
        (locate(edition.dataset, f"u{k}.base", data_dir), locate(edition.dataset, f"u{k}.test", data_dir))
        for k in range(1, 6)
    ]
    return read_folds(paths, edition.layout, _titles(edition, data_dir))


def _titles(edition: Edition, data_dir: str | Path | None) -> dict[int, str]:
    path = locate(edition.dataset, edition.titles, data_dir)
    return read_titles(path, edition.titles_separator, edition.titles_encoding)
