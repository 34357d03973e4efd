"""Files read as far as they can be, with a note of each that cannot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

UNREADABLE = (OSError, ValueError, RecursionError)


def json_object(path: Path, notes: list[str]) -> dict[str, Any]:
    """A JSON object from a file: empty if there is no file, and with a note if it is not one."""
    found = _try(path, lambda: json.loads(path.read_text()), {}, notes)
    if not isinstance(found, dict):
        notes.append(f"{path.name} cannot be read: it holds no object")
        return {}
    return found


def json_lines(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl up to the first that is damaged; a last one may be cut short by a kill."""
    text = _try(path, path.read_text, "", notes)
    rows, kept = text.split("\n")[:-1], []
    for number, row in enumerate(rows, 1):
        line = _try(path, lambda row=row: json.loads(row), None, notes, f" at line {number}")
        if not isinstance(line, dict):
            return kept
        kept.append(line)
    return kept


def directories(home: Path) -> list[Path]:
    """Those in a directory; no links, nothing that is still made aside."""
    try:
        return sorted(path for path in home.iterdir()
                      if path.is_dir() and not path.is_symlink() and not path.name.startswith("."))
    except OSError:
        return []


def figures(directory: Path) -> list[Path]:
    """The figures that are there."""
    try:
        return sorted((directory / "figures").glob("[!.]*.png"))
    except OSError:
        return []


def _try(path: Path, reader: Callable[[], Any], otherwise: Any, notes: list[str], where: str = "") -> Any:
    try:
        return reader()
    except FileNotFoundError:
        return otherwise
    except UNREADABLE as error:
        notes.append(f"{path.name} cannot be read{where}: {error}")
        return otherwise
