"""python -m experiments.porting: does everything export, compile for a TPU, and fit; exit status 1 if not."""

import dataclasses
import sys
import time
from pathlib import Path

import jax
import tyro

from experiments.porting import records, table
from experiments.porting.programs import Program, programs
from experiments.porting.topology import Topology, libtpu_version, topology
from experiments.porting.verdict import Row, compared, examine, to_json
from experiments.runner import files
from experiments.runner.errors import UserError
from experiments.runner.progress import bar, console, say

MISSING = """Nothing is compiled: libtpu, the compiler for TPUs, is not installed. `make tpu-check` installs it, as does
pip install '.[tpu-check]'; it needs no TPU. What follows is the part that does without."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Export each loss with its gradient and each training chunk, and compile them for a TPU that need not be here."""

    topology: str = "v5e:2x2"
    """The chips to compile for: v4, v5e, v5p or v6e and their arrangement, as in v4:2x2x1, v5e:4x4 or v6e:16x16."""
    only: str = ""
    """Leave out programs whose name (`attention: stage learn`) does not contain this."""
    arguments: bool = False
    """Show every argument of every program, as the chips lay it out."""
    record: bool = False
    """Keep these numbers as those that later ones must not exceed by more than a fifth; it is how growth that is meant
    is accepted. With --only, of those programs alone."""
    json: Path | None = None
    """Where everything goes as JSON."""


def main(options: Options) -> int:
    """Check all programs; returns the exit status."""
    began = time.monotonic()
    where = topology(options.topology) if libtpu_version() else None
    if where is None:
        say(MISSING)
    rows = _examined(_chosen(options, where), where)
    if where is not None:
        rows = _against_records(options, rows)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(options.json, {"topology": where and where.name, "programs": [to_json(row) for row in rows]})
    console.print(table.table(rows, where), width=None if console.is_terminal else table.WIDTH)
    if options.arguments:
        for row in rows:
            console.print(table.arguments_table(row))
    return _close(rows, where, time.monotonic() - began)


def _chosen(options: Options, where: Topology | None) -> list[Program]:
    say("Reading what each experiment learns from, and how.")
    named = programs(options.only)
    if not named:
        raise UserError(f"--only {options.only}: no program's name contains this; without it all are listed")
    if where is None:
        return named
    left_out = [one for one in named if len(where.devices) % one.model]
    if left_out:
        why = (f"what takes chips by {max(one.model for one in left_out)}, as "
               f"{where.name} has {len(where.devices)}: {_few([one.title for one in left_out])}")
        if len(left_out) == len(named):
            raise UserError(f"nothing is left but {why}")
        say(f"Left out is {why}.")
    return [one for one in named if one not in left_out]


def _examined(chosen: list[Program], where: Topology | None) -> list[Row]:
    rows = []
    with bar("programs", len(chosen)) as show:
        for program in chosen:
            show(len(rows), program.title)
            rows.append(examine(program, where))
    return rows


def _against_records(options: Options, rows: list[Row]) -> list[Row]:
    if options.record:
        records.write(options.topology, rows)
        say(f"Recorded, as what later numbers are held against: {records.key(options.topology)}.")
    recorded = records.read(options.topology)
    if unknown := [row.title for row in rows if row.figures and row.title not in recorded]:
        say(f"Held against nothing, as nothing is recorded of {_few(unknown)} for {records.key(options.topology)}; "
            f"--record does it.")
    return [compared(row, recorded) for row in rows]


def _few(titles: list[str]) -> str:
    return ", ".join(titles) if len(titles) <= 3 else f"{len(titles)} programs"


def _close(rows: list[Row], where: Topology | None, seconds: float) -> int:
    red = [row for row in rows if row.wrong]
    for row in red:
        for line in row.wrong:
            say(f"{row.title}: {line}")
    done = "export" if where is None else f"export, compile for {where.name} and fit {table.in_bytes(where.usable)}"
    say(f"{len(rows) - len(red)} of {len(rows)} {done}. {seconds:.0f} s.")
    return 1 if red else 0


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")  # a TPU is compiled for, and not asked, even if there is one
    try:
        sys.exit(main(tyro.cli(Options, prog="python -m experiments.porting")))
    except UserError as error:
        sys.exit(f"error: {error}")
