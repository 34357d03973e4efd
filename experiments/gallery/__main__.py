"""python -m experiments.gallery: one self-contained page of everything under runs/."""

import dataclasses
import sys
import time
from pathlib import Path

import tyro

from experiments.gallery import page, pictures, reading
from experiments.runner import files
from experiments.runner.errors import UserError
from experiments.runner.progress import bar, say

RUNS = Path("runs")


@dataclasses.dataclass(frozen=True)
class Options:
    """Show all runs on one page: formulas, proofs, curves, figures, and results beside their references."""

    runs: Path = RUNS
    """Where the run directories are."""
    out: Path = Path("runs/gallery/index.html")
    """The page to write."""


def main(options: Options) -> int:
    """Write the page; returns the exit status."""
    began = time.perf_counter()
    try:
        _check(options.runs)
        shelves = reading.read(options.runs)
        wanted = page.wanted(shelves)
        with bar("gallery", len(wanted)) as show:
            drawn = dict(zip(wanted, pictures.shrink_all(wanted.values(), show)))
        content = page.render(options.runs, shelves, drawn).encode(errors="replace")
        _write(options.out, content)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    say(f"{options.out}: {page.how_many(shelves) or 'no run'}, {len(content) / 1e6:.1f} MB, "
        f"{time.perf_counter() - began:.1f} s")
    return 0


def _check(runs: Path) -> None:
    """Only the usual directory may be one that no run has made yet."""
    if not runs.is_dir() and (runs.exists() or runs != RUNS):
        what = "is a file" if runs.exists() else "is not there"
        raise UserError(f"--runs must be a directory of runs, got {runs}, which {what}")


def _write(out: Path, content: bytes) -> None:
    if out.is_dir():
        raise UserError(f"--out must be a file to write, got the directory {out}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(out, content)
    except OSError as error:
        raise UserError(f"--out must be a file that can be written, got {out}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, prog="python -m experiments.gallery")))
