"""Rating files into tables that share one numbering of users and items."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.data.delimited import Columns, DataError, Layout, place, read, records
from experiments.data.ratings import Fold, RatingTable, first_repeat, index

CSV = Layout(",", id_type=str, header=None, whole_lines=False)

Titles = Mapping[int, str]


def read_table(path: str | Path, layout: Layout = CSV, titles: Titles | None = None) -> RatingTable:
    """Read a file of ratings; by default a csv `user,item,rating[,timestamp]` with ids of any kind.

    Args:
      path: of the file.
      layout: how it is written. A csv may begin with a line of names; without a final newline it is
        taken as whole.
      titles: of items, by id.
    Returns:
      RatingTable, in the file's order.
    Raises:
      DataError: see `delimited.read`; or two lines rate the same item by the same user, since which of
        them counts is for the data's owner to say.
      FileNotFoundError: there is no such file.
    """
    return _tables([read(path, layout)], titles)[0]


def read_folds(paths: Sequence[tuple[str | Path, str | Path]], layout: Layout = CSV,
               titles: Titles | None = None) -> tuple[Fold, ...]:
    """Read folds from pairs of files (training, test); all share one numbering of users and items.

    A test item that its training file never mentions is kept: see `ratings.unseen`.

    Args:
      paths: of the training and test file of each fold.
      layout, titles: see `read_table`.
    Returns:
      A Fold for each pair.
    Raises:
      DataError: see `read_table`; or a test rating stands in the training file too.
      FileNotFoundError: a file is missing.
    """
    parts = [read(path, layout) for pair in paths for path in pair]
    tables = _tables(parts, titles)
    for k in range(0, len(parts), 2):
        _check_distinct(parts[k : k + 2], tables[k : k + 2])
    return tuple(Fold(train, test) for train, test in zip(tables[::2], tables[1::2], strict=True))


def read_titles(path: str | Path, separator: str, encoding: str) -> dict[int, str]:
    """Item titles by id, from lines that begin with id and title; a csv may begin with a line of names.

    Raises:
      DataError: a line has no integer id or no title.
      FileNotFoundError: there is no such file.
    """
    titles = {}
    for line, fields in records(Path(path), separator, encoding):
        if separator == "," and line == 1 and not fields[0].isdecimal():
            continue
        if len(fields) < 2 or not fields[0].isdecimal():
            raise DataError(f"{path}:{line}: expected an item's id and title separated by {separator!r}, "
                            f"got {separator.join(fields)[:80]!r}")
        titles[int(fields[0])] = fields[1]
    return titles


def _tables(parts: Sequence[Columns], titles: Titles | None) -> list[RatingTable]:
    user_ids, users = index([part.user for part in parts])
    item_ids, items = index([part.item for part in parts])
    names = None if titles is None else np.array([titles.get(i, f"item {i}") for i in item_ids.tolist()])
    low = min(float(part.rating.min()) for part in parts)
    high = max(float(part.rating.max()) for part in parts)
    tables = [
        RatingTable(user, item, part.rating.astype(np.float32), part.timestamp, user_ids, item_ids, names,
                    scale=part.layout.scale or (low, high))
        for part, user, item in zip(parts, users, items, strict=True)
    ]
    for part, table in zip(parts, tables, strict=True):
        _check_distinct([part], [table])
    return tables


def _check_distinct(parts: Sequence[Columns], tables: Sequence[RatingTable]) -> None:
    """Refuse a (user, item) pair that occurs twice in these files together."""
    user = np.concatenate([table.user for table in tables])
    item = np.concatenate([table.item for table in tables])
    if (repeat := first_repeat(user, item)) is None:
        return
    earlier, later = (_place(parts, row) for row in repeat)
    user_id, item_id = tables[0].user_ids[user[repeat[0]]], tables[0].item_ids[item[repeat[0]]]
    raise DataError(f"{later}: user {user_id} has rated item {item_id} before, at {earlier}")


def _place(parts: Sequence[Columns], row: int) -> str:
    first = len(parts[0].rating)
    return place(parts[0], row) if row < first else place(parts[1], row - first)
