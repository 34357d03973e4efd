"""Files that are whole or not there: written aside, flushed to the disk, then renamed into place."""

import json
import os
import shutil
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically: a reader, or a kill at any moment, finds the old one or the new one."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync_directory(path.parent)


def write_json(path: Path, value: Any) -> None:
    """The same for a JSON document; numbers that JSON cannot hold (NaN, infinities) become null."""
    write_bytes(path, (json.dumps(without_nonfinite(value), indent=2) + "\n").encode())


def without_nonfinite(value: Any) -> Any:
    """The same document with null for NaN and infinities.

    >>> without_nonfinite({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {key: without_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nonfinite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def rename_directory(aside: Path, path: Path) -> None:
    """Move a finished directory into place, its content on the disk before its name is."""
    for file in aside.rglob("*"):
        if file.is_file():
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())
    os.rename(aside, path)
    sync_directory(path.parent)


def replace_symlink(link: Path, target: str) -> None:
    """Point a symbolic link at a target, atomically."""
    aside = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    os.replace(aside, link)


def remove_leftovers(directory: Path) -> None:
    """Delete what writers that were killed left half done (names that begin with "." and end in ".tmp")."""
    for leftover in directory.rglob(".*.tmp"):
        shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()


def sync_directory(directory: Path) -> None:
    """Make the names in a directory last."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
