"""The same task on several sides, each in a process of its own, and the rows that set them against each other."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def run_side(module: str, task: str, path: Path, options: Mapping[str, Any], *, python: str = sys.executable,
             environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The report of one side.

    Args:
      module: beside this one, which serves `task`. path: the npz with its inputs. options: its keywords.
      python: the interpreter that has the side's libraries. environment: variables over those of this process.
    """
    command = [python, "-m", f"experiments.benchmarks.{module}", task, str(path), json.dumps(options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True,
                          env=os.environ | (environment or {}))
    return json.loads(done.stdout.splitlines()[-1])


def is_there(python: str | None) -> bool:
    """Whether the peers' interpreter exists."""
    return python is not None and Path(python).exists()


def against(ours: float, peer: float | None, digits: int = 3) -> tuple[str, ...]:
    """Ours, the peer's, and how many times smaller ours is.

    >>> against(0.5, 2.0), against(0.5, None)
    (('0.500', '2.000', '4.0 x'), ('0.500', '-', ''))
    """
    return f"{ours:.{digits}f}", *((f"{peer:.{digits}f}", f"{peer / ours:.1f} x") if peer else ("-", ""))
