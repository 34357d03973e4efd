"""metrics.jsonl: one line per run and chunk of steps, cut back to the checkpoint when a run goes on."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.runner.files import without_nonfinite

FILE = "metrics.jsonl"


def append(directory: Path, stage: str, step: int, labels: Sequence[str], metrics: Mapping[str, np.ndarray],
           seconds: float) -> None:
    """Add a line per run.

    Args:
      directory: of the run. stage, step: where it is. labels: name of each of K runs.
      metrics: (K,) values by name. seconds: of running (not compiling) so far.
    """
    with open(directory / FILE, "a") as file:
        for k, label in enumerate(labels):
            values = {name: float(value[k]) for name, value in metrics.items()}
            file.write(json.dumps(without_nonfinite({"stage": stage, "step": step, "run": label,
                                                       "seconds": round(seconds, 4), **values})) + "\n")


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
    path = directory / FILE
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    return [line for line in map(json.loads, lines) if stage is None or line["stage"] == stage]
