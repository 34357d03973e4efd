"""One program's row: what was found out about it, and whether that is good enough."""

from typing import Any, NamedTuple

from experiments.porting.collectives import Traffic
from experiments.porting.exporting import first_line, refusals
from experiments.porting.operations import Operations, count
from experiments.porting.programs import Built, Program
from experiments.porting.topology import Figures, Topology, built_for, figures_of

GROWTH = 1.2  # so much more than was recorded is let pass
TOO_LARGE = "RESOURCE_EXHAUSTED"  # how the compiler begins to refuse a program that needs more memory than a chip has


class Row(NamedTuple):
    """operations: of a call, which takes so many steps, on all chips; None where it cannot be traced. figures: None
    where it was not compiled. wrong: what is the matter, a line each."""

    application: str
    name: str
    operations: Operations | None
    steps: int
    figures: Figures | None
    wrong: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.application}: {self.name}"

    @property
    def traffic(self) -> Traffic:
        """Of all kinds, in a step."""
        times, size = self.figures.all_traffic if self.figures else (0, 0)
        return Traffic(times / self.steps, size / self.steps)

    def grows(self) -> dict[str, float]:
        """What must not grow unnoticed."""
        return {} if self.figures is None else {"bytes": self.figures.bytes, "collective_bytes": self.traffic.bytes}


def examine(program: Program, where: Topology | None) -> Row:
    """Export it, and compile it for a topology if there is one."""
    built, figures, wrong = None, None, []
    try:
        built = program.build(None)
        wrong += refusals(built)
    except Exception as error:  # whatever it is, it is why
        wrong.append(f"does not export: {first_line(error)}")
    if where is not None:
        try:
            built = built_for(where, program)
            figures = figures_of(built)
        except Exception as error:
            line = first_line(error)
            wrong.append(f"does not {'fit' if line.startswith(TOO_LARGE) else 'compile'}: {line}")
    steps = 1 if built is None else built.steps
    return Row(program.application, program.name, _operations(built), steps, figures, tuple(wrong))


def compared(row: Row, recorded: dict[str, dict[str, float]]) -> Row:
    """The row, with what grew over what was recorded of it."""
    before = recorded.get(row.title, {})
    grew = tuple(f"{name} per chip grew from {before[name]:,.0f} to {now:,.0f}; if it is meant to, --record accepts it"
                 for name, now in row.grows().items() if name in before and now > GROWTH * before[name])
    return row._replace(wrong=row.wrong + grew)


def to_json(row: Row) -> dict[str, Any]:
    """Everything about it."""
    figures = row.figures
    return {
        "application": row.application, "name": row.name, "wrong": list(row.wrong), "steps": row.steps,
        "operations_per_step": row.operations and row.operations.total / row.steps,
        "unbounded_loops": row.operations and row.operations.unbounded,
        "bytes_per_chip": None if figures is None else {
            "arguments": figures.argument_bytes, "temporary": figures.temporary_bytes, "output": figures.output_bytes},
        "arguments": [] if figures is None else [one._asdict() for one in figures.arguments],
        "collectives_per_step": {} if figures is None else {
            kind: {"times": one.times / row.steps, "bytes": one.bytes / row.steps}
            for kind, one in figures.traffic.items()},
    }


def _operations(built: Built | None) -> Operations | None:
    if built is None:
        return None
    try:
        traced = built.function.trace(*built.arguments)
    except Exception:  # the row says so already
        return None
    return count(traced.jaxpr)
