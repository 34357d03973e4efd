"""python -m experiments.porting.scale: the largest of three programs that fit 1, 4, 16 and 256 chips, as compiled.

A language model, a rating matrix and a batch of tracks grow, each in proportions of its own, until libtpu refuses them:
what is shown compiles, and the next size does not. The next size is a tenth more, rounded down, but at least 1 more: of
sizes below 20 it is 1 more. Nothing is run, and no TPU is needed.

With --size it compiles that one, and shows what share of the bytes of the first topology's chips those of the others
take: `--only rating --size 100 --topologies v5e:1x1 v5e:2x4 v5e:4x4` is 100 million ratings of a million users and
200,000 items.
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
from experiments.runner.config import require
from experiments.runner.errors import UserError
from experiments.runner.progress import bar, console, say


@dataclasses.dataclass(frozen=True)
class Options:
    """Find the largest programs that fit so many chips of a TPU."""

    topologies: tuple[str, ...] = ("v5e:1x1", "v5e:2x2", "v5e:4x4", "v5e:16x16")
    """The chips, a row each."""
    only: str = ""
    """Leave out subjects whose name does not contain this."""
    size: int | None = None
    """Compile this size on each of the topologies, instead of searching for the largest: as many million ratings, as
    many hundred tracks on each chip, or 256 times as many components of the language model's width."""
    json: Path | None = None
    """Where the numbers go as JSON."""


class Found(NamedTuple):
    """subject: a name. size: of it, in words. where: the chips. figures: of a step; None where it does not fit."""

    subject: str
    size: str
    where: Topology
    figures: Figures | None


def main(options: Options) -> int:
    """Search, or compile one size, and show what was found; returns the exit status."""
    if options.size is not None:
        require(options.size >= 1, "--size", "at least 1", options.size)
    if libtpu_version() is None:
        raise UserError("this asks the compiler for TPUs, libtpu, which is not installed: `make tpu-check` sets up "
                        ".venv-tpu-check, which has it")
    began = time.monotonic()
    subjects = [subject for subject in SUBJECTS if options.only in subject.name]
    if not subjects:
        raise UserError(f"--only {options.only}: the subjects are {', '.join(one.name for one in SUBJECTS)}")
    places = [topology(name) for name in options.topologies]
    with bar("searches" if options.size is None else "programs", len(subjects) * len(places)) as show:
        found = list(_search(subjects, places, show) if options.size is None else
                     _each(subjects, places, options.size, show))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(options.json, [_plain(one) for one in found])
    console.print(table(found, relative=options.size is not None))
    say(f"{time.monotonic() - began:.0f} s.")
    return 0


def _search(subjects: Sequence[Subject], places: Sequence[Topology], show: Callable[[int, str], None]
            ) -> Iterator[Found]:
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
            yield Found(subject.name, subject.describe(size, chips), where, figures)


def _each(subjects: Sequence[Subject], places: Sequence[Topology], size: int, show: Callable[[int, str], None]
          ) -> Iterator[Found]:
    """One size of each subject, on each of the topologies."""
    for number, (subject, where) in enumerate(itertools.product(subjects, places)):
        words = subject.describe(size, len(where.devices))
        show(number, f"{where.name}: {words}")
        yield Found(subject.name, words, where, figures_if_it_fits(subject, where, size))


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
    """The next size: a tenth more, rounded down, at least 1 more.

    >>> after(3), after(19), after(100)
    (4, 20, 110)
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


def table(found: Sequence[Found], relative: bool) -> Table:
    """A row of each.

    Args:
      relative: with what a chip takes as a share of what one of the subject's first topology takes.
    """
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    shares = ["of it", "of the first's"] if relative else ["of it"]
    for name in ("chips", "size" if relative else "largest", "a chip", *shares, "collectives of a step"):
        drawn.add_column(name, justify="left" if name in ("size", "largest") else "right")
    firsts = {one.subject: one.figures for one in reversed(found)}
    for one in found:
        drawn.add_row(one.where.name, one.size, *_cells(one, firsts[one.subject], relative))
    return drawn


def _cells(one: Found, first: Figures | None, relative: bool) -> list[str]:
    if one.figures is None:
        return ["does not fit"]
    share = [f"{one.figures.bytes / first.bytes:.3f}" if first else ""] if relative else []
    return [in_bytes(one.figures.bytes), f"{one.figures.bytes / one.where.usable:.0%}", *share,
            in_bytes(one.figures.all_traffic.bytes)]


def _plain(one: Found) -> dict[str, Any]:
    return {"subject": one.subject, "size": one.size, "topology": one.where.name,
            "bytes_per_chip": one.figures and one.figures.bytes,
            "collective_bytes": one.figures and one.figures.all_traffic.bytes}


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")  # a TPU is compiled for, and not asked, even if there is one
    try:
        sys.exit(main(tyro.cli(Options, prog="python -m experiments.porting.scale")))
    except UserError as error:
        sys.exit(f"error: {error}")
