"""The rows as tables in the terminal."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from experiments.porting.tiles import Argument
from experiments.porting.topology import Topology
from experiments.porting.verdict import Row

WIDTH = 120  # of a page that is no terminal
COMPILED = ("arguments", "temps", "output", "chip", "collectives", "most padded")


def table(rows: Sequence[Row], where: Topology | None) -> Table:
    """A row a program, by application."""
    title = "Operations of a step" if where is None else (
        f"Bytes of one chip of {where.name} and their share of it; operations (of all chips) and collectives of a step")
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0), title_justify="left", title=title,
                  caption="+: and loops that turn as often as they find they must, counted as one turn"
                  if any(row.operations and row.operations.unbounded for row in rows) else None, caption_justify="left")
    drawn.add_column("program", no_wrap=True)
    for name in ("ops", *(COMPILED if where else ())):
        drawn.add_column(name, justify="left" if name == COMPILED[-1] else "right", no_wrap=True)
    drawn.add_column("", no_wrap=True, min_width=3)
    for application in dict.fromkeys(row.application for row in rows):
        drawn.add_section()
        drawn.add_row(f"[bold]{application}[/]")
        for row in rows:
            if row.application == application:
                drawn.add_row(f" {escape(row.name)}", *_cells(row, where), "[bold red]RED[/]" if row.wrong else
                              "[green]ok[/]")
    return drawn


def arguments_table(row: Row) -> Table:
    """Every argument of a program, as the device lays it out."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title_justify="left", title=escape(row.title))
    for name in ("argument", "a chip's share", "bytes", "laid out", "padding"):
        drawn.add_column(name, justify="left" if name in ("argument", "a chip's share") else "right")
    for one in row.figures.arguments if row.figures else ():
        share = f"{one.dtype}[{', '.join(map(str, one.shape))}]"
        drawn.add_row(escape(one.name), escape(share), f"{one.bytes:,}", f"{one.laid_out:,}", _times(one.waste))
    return drawn


def in_bytes(number: float) -> str:
    """In units that keep it short.

    >>> in_bytes(512), in_bytes(1536), in_bytes(3 * 2**30)
    ('512 B', '1.50 KiB', '3.00 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:.0f} {unit}" if unit == "B" or number >= 99.95 else f"{number:#.3g} {unit}"
        number /= 1024
    raise AssertionError


def _cells(row: Row, where: Topology | None) -> Iterable[str]:
    counted = row.operations
    yield "" if counted is None else _short(counted.total / row.steps) + ("+" if counted.unbounded else "")
    if where is None:
        return
    if row.figures is None:
        yield from [""] * len(COMPILED)
        return
    figures = row.figures
    yield in_bytes(figures.argument_bytes)
    yield in_bytes(figures.temporary_bytes)
    yield in_bytes(figures.output_bytes)
    share = figures.bytes / where.usable
    yield f"{share:.1%}" if share >= 0.001 else "<0.1%"
    yield f"{row.traffic.times:.0f}: {in_bytes(row.traffic.bytes)}" if row.traffic.times else "none"
    worst = most_padded(figures.arguments)
    yield "" if worst is None else f"{_times(worst.waste)} {escape(_last_name(worst.name))}"


def most_padded(arguments: Sequence[Argument]) -> Argument | None:
    """The one whose padding takes most, or None where there is none."""
    return max(arguments, key=lambda one: one.laid_out - one.bytes, default=None)


def _last_name(path: str) -> str:
    """What a leaf is called: the last name in its path that is not a position."""
    names = [name for name in path.replace("'", "").replace("[", ".").replace("]", "").split(".") if name]
    words = [name for name in names if not name.isdigit()]
    return words[-1][:14] if words else "params" if names[:1] == ["0"] else "batch"


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 9.95 else f"{ratio:.1f}x"


def _short(number: float) -> str:
    """1.2 M for 1,200,000."""
    for unit in ("", "k", "M", "G"):
        if number < 1000:
            return f"{number:.3g} {unit}".strip()
        number /= 1000
    return f"{number:,.3g} T"
