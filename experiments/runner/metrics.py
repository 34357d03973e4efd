"""metrics.jsonl: one line per run and chunk of steps, cut back to the checkpoint when a run goes on."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.runner.files import without_nonfinite

FILE = "metrics.jsonl"
NO_METRICS = {"stage", "step", "run", "seconds"}  # what else a line says


def append(directory: Path, stage: str, step: int, labels: Sequence[str], metrics: Mapping[str, np.ndarray],
           seconds: float) -> None:
    """Add a line per run.

    Args:
      directory: of the run. stage, step: where it is. labels: name of each of K runs.
      metrics: (K,) values by name. seconds: of running (not compiling) so far.
    """
    append_lines(directory, [{"stage": stage, "step": step, "run": label, "seconds": round(seconds, 4),
                              **{name: float(value[k]) for name, value in metrics.items()}}
                             for k, label in enumerate(labels)])


def append_lines(directory: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Add lines as `read` returns them."""
    with open(directory / FILE, "a") as file:
        file.writelines(json.dumps(without_nonfinite(dict(line))) + "\n" for line in lines)


def flush(directory: Path) -> int:
    """Make what was appended last, and return the file's size in bytes."""
    with open(directory / FILE, "ab") as file:
        os.fsync(file.fileno())
        return file.tell()


def cut(directory: Path, size: int) -> None:
    """Drop all lines after the first `size` bytes."""
    with open(directory / FILE, "ab") as file:
        file.truncate(min(size, file.tell()))


def read(directory: Path, stage: str | None = None) -> list[dict]:
    """The lines, of one stage or of all; a last line that was cut short by a kill is left out."""
    lines, _ = read_from(directory, 0)
    return [line for line in lines if stage is None or line["stage"] == stage]


def read_from(directory: Path, start: int) -> tuple[list[dict], int]:
    """The lines after the first `start` bytes, and where they end."""
    path = directory / FILE
    if not path.exists():
        return [], start
    with open(path, "rb") as file:
        file.seek(start)
        whole, end, _ = file.read().rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines()], start + len(whole + end)
