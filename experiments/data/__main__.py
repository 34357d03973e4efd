"""python -m experiments.data [NAME ...]: fetch real data sets, and check them."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from experiments.data import DataError, DataUnavailable, movielens
from experiments.runner.progress import say


@dataclasses.dataclass(frozen=True)
class Options:
    """Fetch real data sets where they are not at hand, and read each once to see that it is whole."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ("movielens-100k",)
    """Data sets: movielens-100k, -1m, -10m, -20m, -25m, -latest-small."""
    data_dir: Path | None = None
    """Where to look first, and where to put them. Without it: $SANDBOX_DATA, then the user's cache."""


def main(options: Options) -> int:
    """Fetch and read; returns the exit status."""
    failed = 0
    for name in options.names:
        try:
            table = movielens.load(name, options.data_dir)
        except (DataError, DataUnavailable, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
        else:
            films, users = len(table.item_ids), len(table.user_ids)
            say(f"{name}: {len(table.rating):,} ratings of {films:,} films by {users:,} users")
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, prog="python -m experiments.data")))
