"""python -m experiments.porting.scale: the largest of three programs that fit 1, 4, 16 and 256 chips, as compiled.

A language model, a rating matrix and a batch of tracks grow, each in proportions of its own, until libtpu refuses them:
what is shown compiles, and a tenth more of the size does not. Nothing is run, and no TPU is needed.
"""

import dataclasses
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import tyro
from rich import box
from rich.table import Table

from experiments.porting.programs import Program
from experiments.porting.subjects import SUBJECTS, Subject
from experiments.porting.table import in_bytes
from experiments.porting.topology import Figures, Topology, compile_for, libtpu_version, topology
from experiments.porting.verdict import TOO_LARGE
from experiments.runner import files
from experiments.runner.errors import UserError
from experiments.runner.progress import bar, console, say


@dataclasses.dataclass(frozen=True)
class Options:
    """Find the largest programs that fit so many chips of a TPU."""

    topologies: tuple[str, ...] = ("v5e:1x1", "v5e:2x2", "v5e:4x4", "v5e:16x16")
    """The chips, a row each."""
    only: str = ""
    """Leave out subjects whose name does not contain this."""
    json: Path | None = None
    """Where the numbers go as JSON."""


class Largest(NamedTuple):
    """subject: a name. size: of it, in words. where: the chips. figures: of a step."""

    subject: str
    size: str
    where: Topology
    figures: Figures


def main(options: Options) -> int:
    """Search, and show what was found; returns the exit status."""
    if libtpu_version() is None:
        raise UserError("this asks the compiler for TPUs, libtpu, which is not installed: `make tpu-check` sets up "
                        ".venv-tpu-check, which has it")
    began = time.monotonic()
    subjects = [subject for subject in SUBJECTS if options.only in subject.name]
    if not subjects:
        raise UserError(f"--only {options.only}: the subjects are {', '.join(one.name for one in SUBJECTS)}")
    places = [topology(name) for name in options.topologies]
    with bar("searches", len(subjects) * len(places)) as show:
        found = list(_search(subjects, places, show))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(options.json, [_plain(one) for one in found])
    console.print(_table(found))
    say(f"{time.monotonic() - began:.0f} s.")
    return 0


def _search(subjects: Sequence[Subject], places: Sequence[Topology], show: Callable[[int, str], None]
            ) -> Iterator[Largest]:
    """Each subject on each of the topologies; what fitted the one before says where to begin."""
    numbers = itertools.count()
    for subject in subjects:
        size, chips = subject.start, 1
        for where in places:
            number, more = next(numbers), len(where.devices) / chips
            chips = len(where.devices)

            def fitted(tried: int, number=number, subject=subject, where=where, chips=chips) -> Figures | None:
                show(number, f"{where.name}: {subject.describe(tried, chips)}?")
                return figures_if_it_fits(subject, where, tried)

            size, figures = largest(fitted, where.usable, subject.power, max(round(size * more**subject.with_chips), 1))
            yield Largest(subject.name, subject.describe(size, chips), where, figures)


def largest(fitted: Callable[[int], Figures | None], usable: int, power: float, guess: int) -> tuple[int, Figures]:
    """The size that fits where the next one does not; see `after`.

    Args:
      fitted: what a size takes, or None where it does not fit. usable: bytes of a chip.
      power: memory goes with size**power, about: a bad guess, of this or of the size, only takes longer.

    >>> class Takes(NamedTuple):
    ...     bytes: int
    >>> [largest(lambda size: Takes(size) if size <= 100 else None, 100, 1, guess)[0] for guess in (1, 93, 300)]
    [100, 93, 99]
    """
    size, figures, refused = 0, None, None
    while figures is None or refused is None or refused > after(size):
        if figures is None:
            tried = guess if refused is None else refused * 2 // 3
        elif refused is None:
            tried = max(int(size * (usable / figures.bytes) ** (1 / power)), after(size))
        else:
            tried = max((size + refused) // 2, after(size))
        if tried < 1:
            raise UserError("not even the smallest size fits")
        found = fitted(tried)
        if found is None:
            refused = tried
        else:
            size, figures = tried, found
    return size, figures


def after(size: int) -> int:
    """The next size: a tenth more, at least 1 more.

    >>> after(3), after(100)
    (4, 110)
    """
    return max(size + 1, size * 11 // 10)


def figures_if_it_fits(subject: Subject, where: Topology, size: int) -> Figures | None:
    """What a size takes of a chip, or None where the compiler refuses it for want of memory."""
    try:
        figures = compile_for(where, Program(subject.name, str(size), lambda mesh: subject.build(size, mesh)))
    except jax.errors.JaxRuntimeError as error:
        if not str(error).startswith(TOO_LARGE):
            raise
        return None
    return figures if figures.bytes <= where.usable else None


def _table(found: list[Largest]) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name, justify in (("chips", "right"), ("largest", "left"), ("a chip", "right"), ("", "right"),
                          ("collectives of a step", "right")):
        drawn.add_column(name, justify=justify)
    for one in found:
        drawn.add_row(one.where.name, one.size, in_bytes(one.figures.bytes),
                      f"{one.figures.bytes / one.where.usable:.0%}", in_bytes(one.figures.all_traffic.bytes))
    return drawn


def _plain(one: Largest) -> dict[str, Any]:
    return {"subject": one.subject, "size": one.size, "topology": one.where.name, "bytes_per_chip": one.figures.bytes,
            "collective_bytes": one.figures.all_traffic.bytes}


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")  # a TPU is compiled for, and not asked, even if there is one
    try:
        sys.exit(main(tyro.cli(Options, prog="python -m experiments.porting.scale")))
    except UserError as error:
        sys.exit(f"error: {error}")
