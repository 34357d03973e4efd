"""Rating files of delimited text: numpy's parser when all is well, a careful walk to name the bad line."""

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.data.errors import DataError

FIELDS = ("user", "item", "rating", "timestamp")
UNIT_SEPARATOR = "\x1f"


class Layout(NamedTuple):
    """How ratings stand in a text file, one a line: user, item, rating and perhaps a timestamp.

    separator: one or several characters.
    scale: lowest and highest rating; None takes the file's own.
    id_type: int for ids >= 0, str for any.
    header: whether the first line names the columns; None: it does if its rating is not a number.
    whole_lines: the last line ends with a newline too, so that a file cut short there is noticed.
    """

    separator: str
    scale: tuple[float, float] | None = None
    id_type: type = int
    header: bool | None = False
    whole_lines: bool = True
    encoding: str = "utf-8-sig"


class Columns(NamedTuple):
    """A file's ratings as they stand there: user, item (N,) int64 or str objects; rating (N,) float64;
    timestamp (N,) int64 Unix seconds, or None; header: lines before the first rating."""

    path: Path
    layout: Layout
    header: int
    user: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray | None


def records(path: Path, separator: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """First line number and fields of each line that is not blank; what does not decode is U+DC80..DCFF."""
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        lines, delimiter = _single(file, separator)
        reader = csv.reader(lines, delimiter=delimiter, quoting=_quoting(separator))
        line = 1
        try:
            for fields in reader:
                if fields:
                    yield line, fields
                line = reader.line_num + 1  # a quoted field may hold line ends
        except csv.Error as error:
            raise DataError(f"{path}:{line}: {error}") from error


def read(path: str | Path, layout: Layout) -> Columns:
    """Read and check a file of ratings.

    Args:
      path: of the file.
      layout: how it is written.
    Returns:
      Columns, in the file's order.
    Raises:
      DataError: the file is empty, a line is malformed or cut short or not in the file's encoding, an id
        is negative or empty, a rating is not finite or off the scale.
      FileNotFoundError: there is no such file.
    """
    path = Path(path)
    header, num_fields = _head(path, layout)
    dtype = _dtype(layout, num_fields)
    try:
        table = _parse(path, layout, header, dtype)
    except ValueError as error:  # UnicodeDecodeError is one too
        raise _first_fault(path, layout, header, dtype, error) from error
    timestamp = table["timestamp"] if num_fields == 4 else None
    columns = Columns(path, layout, header, table["user"], table["item"], table["rating"], timestamp)
    _check_values(columns)
    if layout.whole_lines and not _ends_with_newline(path):
        raise DataError(f"{place(columns, len(table) - 1)}: the last line has no end: the file was cut short")
    return columns


def place(columns: Columns, row: int) -> str:
    """FILE:LINE of a rating."""
    lines = records(columns.path, columns.layout.separator, columns.layout.encoding)
    ratings = (line for line, _ in lines if line > columns.header)
    return f"{columns.path}:{next(islice(ratings, row, None))}"


class _OneOfEach(dict):
    """Equal strings become one object: millions of ids then fit, and compare fast."""

    def __missing__(self, text: str) -> str:
        self[text] = text
        return text


def _parse(path: Path, layout: Layout, header: int, dtype: list[Any]) -> np.ndarray:
    quote = '"' if _quoting(layout.separator) == csv.QUOTE_MINIMAL else None
    one_of_each = _OneOfEach().__getitem__
    converters: Any = {0: one_of_each, 1: one_of_each} if layout.id_type is str else None
    with path.open(encoding=layout.encoding) as file:
        lines, delimiter = _single(file, layout.separator)
        return np.loadtxt(lines, dtype, delimiter=delimiter, comments=None, skiprows=header,
                          quotechar=quote, converters=converters, ndmin=1)


def _single(lines, separator: str):
    """The lines with a separator of one character, which is all that the parsers take."""
    if len(separator) == 1:
        return lines, separator
    return (line.replace(separator, UNIT_SEPARATOR) for line in lines), UNIT_SEPARATOR


def _quoting(separator: str):
    return csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE


def _dtype(layout: Layout, num_fields: int) -> list[Any]:
    id_type = np.int64 if layout.id_type is int else object
    kinds = (id_type, id_type, np.float64, np.int64)
    return list(zip(FIELDS, kinds, strict=True))[:num_fields]


def _head(path: Path, layout: Layout) -> tuple[int, int]:
    """Number of lines before the first rating, and number of fields in a line: 3 or 4."""
    head = list(islice(records(path, layout.separator, layout.encoding), 2))
    if not head:
        raise DataError(f"{path}:1: the file is empty")
    line, fields = head[0]
    if len(fields) not in (3, 4):
        raise DataError(f"{path}:{line}: {_wrong_count(fields, layout, '3 or 4')}")
    named = not _is_number(fields[2])
    if layout.header and not named:
        raise DataError(f"{path}:{line}: the line that names the columns is missing")
    if named and layout.header is not False:
        if len(head) == 1:
            raise DataError(f"{path}:{line}: no rating follows the line that names the columns")
        return line, len(fields)
    return line - 1, len(fields)


def _check_values(columns: Columns) -> None:
    low, high = columns.layout.scale or (-np.inf, np.inf)
    off_scale = (columns.rating < low) | (columns.rating > high)
    checks = [
        (~np.isfinite(columns.rating), "rating", columns.rating, "is not a finite number"),
        (off_scale, "rating", columns.rating, f"is off the scale {low:g} to {high:g}"),
    ]
    for name, ids in (("user", columns.user), ("item", columns.item)):
        if columns.layout.id_type is int:
            checks.append((ids < 0, f"{name} id", ids, "is negative"))
        else:
            checks.append((ids == "", f"{name} id", ids, "is empty"))
    for bad, name, values, complaint in checks:
        if bad.any():
            row = int(np.argmax(bad))
            value = f" {values[row]:g}" if name == "rating" else f" {values[row]}".rstrip()
            raise DataError(f"{place(columns, row)}: {name}{value} {complaint}")


def _first_fault(path: Path, layout: Layout, header: int, dtype, error: ValueError) -> DataError:
    """Walk the file to the line that the parser refused."""
    lines = records(path, layout.separator, layout.encoding)
    for line, fields in lines:
        if line > header and (fault := _fault(fields, layout, dtype)):
            cut = len(fields) < len(dtype) and next(lines, None) is None
            return DataError(f"{path}:{line}: {'the last line is cut short: ' if cut else ''}{fault}")
    return DataError(f"{path}: {error}")


def _fault(fields: list[str], layout: Layout, dtype) -> str | None:
    if any("\udc80" <= character <= "\udcff" for field in fields for character in field):
        return f"not {layout.encoding.removesuffix('-sig').upper()} text"
    if len(fields) != len(dtype):
        return _wrong_count(fields, layout, str(len(dtype)))
    for (name, kind), field in zip(dtype, fields, strict=True):
        if kind is not object and not _is_number(field, kind):
            noun = "number" if kind is np.float64 else "integer"
            return f"{name} {field!r} is not {'a' if noun == 'number' else 'an'} {noun}"
    return None


def _wrong_count(fields: list[str], layout: Layout, expected: str) -> str:
    return (f"expected {expected} fields ({', '.join(FIELDS)}) separated by {layout.separator!r}, "
            f"got {len(fields)}: {layout.separator.join(fields)[:80]!r}")


def _is_number(text: str, kind: type = np.float64) -> bool:
    try:
        kind(text)
    except (ValueError, OverflowError):
        return False
    return "_" not in text


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
