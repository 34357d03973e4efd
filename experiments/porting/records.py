"""What programs took before, by topology and versions: recorded.json, beside this file."""

import json
from collections.abc import Iterable
from pathlib import Path

import jax

from experiments.porting.topology import libtpu_version
from experiments.porting.verdict import Row
from experiments.runner import files

RECORDED = Path(__file__).with_name("recorded.json")
Recorded = dict[str, dict[str, float]]


def key(topology: str) -> str:
    """What numbers depend on."""
    return f"{topology}, jax {jax.__version__}, libtpu {libtpu_version()}"


def read(topology: str, path: Path = RECORDED) -> Recorded:
    """What was recorded of each program under these versions; empty where nothing was."""
    return json.loads(path.read_text()).get(key(topology), {}) if path.exists() else {}


def write(topology: str, rows: Iterable[Row], path: Path = RECORDED) -> None:
    """Record the rows over what was recorded of the same programs."""
    everything = json.loads(path.read_text()) if path.exists() else {}
    now = {row.title: {name: round(value) for name, value in row.grows().items()} for row in rows if row.figures}
    everything[key(topology)] = dict(sorted((read(topology, path) | now).items()))
    files.write_json(path, everything)
