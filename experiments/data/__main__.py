"""python -m experiments.data [NAME ...]: fetch real data sets, and check them."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from experiments.data import (
    DataError,
    DataUnavailable,
    image_sets,
    lidar_radar,
    movielens,
    range_beacons,
    tinyshakespeare,
)
from experiments.runner.progress import say

RECORDINGS = {"lidar-radar": lidar_radar.load, "range-beacons": range_beacons.load}
TEXT = tinyshakespeare.DATASET.name


@dataclasses.dataclass(frozen=True)
class Options:
    """Fetch real data sets where they are not at hand, and read each once to see that it is whole."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ("movielens-100k", *RECORDINGS, TEXT, "fashion-mnist")
    """Data sets: lidar-radar, range-beacons, tinyshakespeare, fashion-mnist, mnist, cifar-10, movielens-100k, -1m,
    -10m, -20m, -25m, -latest-small."""
    data_dir: Path | None = None
    """Where to look first, and where to put them. Without it: $SANDBOX_DATA, then the user's cache."""


def main(options: Options) -> int:
    """Fetch and read; returns the exit status."""
    failed = 0
    for name in options.names:
        try:
            summary = _summary(name, options.data_dir)
        except (DataError, DataUnavailable, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
        else:
            say(f"{name}: {summary}")
    return 2 if failed else 0


def _summary(name: str, data_dir: Path | None) -> str:
    """What a data set holds, having read all of it."""
    if name in RECORDINGS:
        recording = RECORDINGS[name](data_dir)
        seconds = recording.time_seconds[-1] - recording.start_seconds
        num_measured = int(recording.mask.any(axis=1).sum())
        return f"{seconds:.0f} s, {num_measured:,} measurements by {', '.join(recording.sensors)}"
    if name == TEXT:
        text = tinyshakespeare.load(data_dir)
        return f"{len(text.train) + len(text.validation):,} characters, {text.alphabet.size} of them distinct"
    if name in image_sets.PUBLIC:
        one = image_sets.PUBLIC[name](data_dir)
        size = " x ".join(map(str, one.train_images.shape[1:]))
        parts = f"{len(one.train_labels):,} + {len(one.test_labels):,}"
        return f"{parts} images of {size}, of {len(one.class_names)} classes"
    if name not in movielens.EDITIONS:
        known = ", ".join([*RECORDINGS, TEXT, *image_sets.PUBLIC, *movielens.EDITIONS])
        raise ValueError(f"a data set is one of {known}; got {name!r}")
    table = movielens.load(name, data_dir)
    films, users = len(table.item_ids), len(table.user_ids)
    return f"{len(table.rating):,} ratings of {films:,} films by {users:,} users"


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, prog="python -m experiments.data")))
