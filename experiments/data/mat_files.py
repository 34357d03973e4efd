"""Tables of numbers in MATLAB files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.io

from experiments.data.errors import DataError


def read_tables(path: Path, widths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Read tables by name, each of at least one row.

    Args:
      path: of a MATLAB file, versions 4 to 7.2.
      widths: number of columns of each table, by name.
    Returns:
      Tables (rows, columns), float64, in the order of widths.
    Raises:
      DataError: it is no MATLAB file or a damaged one; a table is missing, empty, of another width or not of
        real numbers.
      FileNotFoundError: there is no such file.
    """
    with path.open("rb") as file:
        try:
            found = scipy.io.loadmat(file, variable_names=list(widths))
        except Exception as error:  # the parser raises whatever a damaged byte leads it into
            raise DataError(f"{path}: not a MATLAB file of version 4 to 7.2, or a damaged one ({error})") from error
    return {name: _table(path, name, found.get(name), width) for name, width in widths.items()}


def _table(path: Path, name: str, table, width: int) -> np.ndarray:
    shape = getattr(table, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] == 0 or shape[1] != width or table.dtype.kind not in "fiu":
        got = "it is missing" if table is None else f"it is {shape} of {table.dtype}"
        raise DataError(f"{path}: the table {name} must have rows of {width} numbers; {got}")
    return table.astype(np.float64)
