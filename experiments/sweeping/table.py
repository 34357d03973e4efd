"""What a sweep came to: a row for each point, in a table that fits the terminal."""

import dataclasses
import io
import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.runner.errors import UserError
from experiments.sweeping.grid import text_of

WIDTH, MOST_FAILURES, NOT_FINITE = 110, 10, "not finite"


class Row(NamedTuple):
    """A point. directory: of its run, below the sweep's. values: by key. metrics: as in summary.json. failures: a line
    for each of its runs that turned non-finite."""

    directory: str
    values: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    failures: list[str]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A finished sweep; it shows itself as its table. metric: that the table begins with and the heat map shows."""

    experiment: str
    keys: list[str]
    metric: str
    points: list[Row]
    directory: Path

    def __repr__(self) -> str:
        page = io.StringIO()
        width = min(shutil.get_terminal_size((WIDTH, 24)).columns, 2 * WIDTH)
        show(self, Console(file=page, width=width, highlight=False))
        return page.getvalue().rstrip()


def to_json(sweep: Sweep) -> dict[str, Any]:
    """The content of sweep.json."""
    return {"experiment": sweep.experiment, "keys": sweep.keys, "metric": sweep.metric,
            "points": [row._asdict() for row in sweep.points]}


def read(directory: Path) -> Sweep:
    """A finished sweep from its directory.

    Raises:
      UserError: its sweep.json cannot be read.
    """
    try:
        found = json.loads((directory / "sweep.json").read_text())
        rows = [Row(**row) for row in found["points"]]
        return Sweep(found["experiment"], found["keys"], found["metric"], rows, directory)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{directory}/sweep.json cannot be read: {error}") from error


def names(rows: Iterable[Row]) -> list[str]:
    """Every metric that a point has."""
    return list(dict.fromkeys(name for row in rows for name in row.metrics))


def counted(points: Sequence[Any]) -> str:
    """How many, in words.

    >>> counted([1]), counted([])
    ('1 point', '0 points')
    """
    return f"{len(points)} point{'' if len(points) == 1 else 's'}"


def show(sweep: Sweep, console: Console) -> None:
    """Print the table, the metric of the sweep first and then as many others as there is room for; and the files."""
    seeds = len(next(iter(sweep.points[0].metrics.values()))["per_seed"])
    interval = f", mean ± 95% interval of {seeds} values" if seeds > 1 else ""
    console.print(f"{sweep.experiment}, {counted(sweep.points)}{interval}", style="bold")
    columns = {name: [cell(row, name) for row in sweep.points]
               for name in sorted(names(sweep.points), key=lambda name: name != sweep.metric)}
    keys = {key: [shown(row.values[key]) for row in sweep.points] for key in sweep.keys}
    room = console.width - 1 - sum(_width(name, cells) for name, cells in keys.items())
    fit = []
    for name, cells in columns.items():
        room -= _width(name, cells)
        if fit and room < 0:
            break
        fit.append(name)
    table = Table(box=box.ROUNDED)
    for key in keys:
        table.add_column(key, justify="right", overflow="fold")
    for name in fit:
        table.add_column(name, justify="right", no_wrap=name != sweep.metric)
    for position, row in enumerate(sweep.points):
        cells = [cells[position] for cells in (*keys.values(), *(columns[name] for name in fit))]
        table.add_row(*cells, style="red" if row.failures else "")
    console.print(table)
    for line in after_table(sweep, len(columns) - len(fit)):
        console.print(line, markup=False, soft_wrap=True)


def after_table(sweep: Sweep, more: int) -> list[str]:
    """What is said below the table."""
    failed = [f"NOT FINITE: {_label(row)}: {failure}" for row in sweep.points for failure in row.failures]
    return [
        *([f"{more} more in sweep.json; --resume {sweep.directory} --sweep-metric NAME puts another one first"]
          if more else []),
        *failed[:MOST_FAILURES],
        *([f"and {len(failed) - MOST_FAILURES} more"] if len(failed) > MOST_FAILURES else []),
        str(sweep.directory), "  sweep.json", "  figures/heat_map.png"]


def cell(row: Row, name: str) -> str:
    """A metric of a point, and how many of its runs failed, if not all did: what these stood still at counts, too."""
    if name not in row.metrics:
        return ""
    if mean_of(row, name) is None:
        return NOT_FINITE
    failed = failed_text(row)
    return value_text(row.metrics[name]) + (f" ({failed})" if failed else "")


def mean_of(row: Row, name: str) -> float | None:
    """A metric of a point as a number. None: it has none, it is not finite, or all runs failed."""
    mean = row.metrics.get(name, {"mean": None})["mean"]
    num_failed, num_runs = _failed(row)
    return None if mean is None or not math.isfinite(mean) or num_failed == num_runs else mean


def failed_text(row: Row) -> str:
    """How many runs of a point turned non-finite, in words; "": none."""
    num_failed, num_runs = _failed(row)
    return f"{num_failed} of {num_runs} failed" if num_failed else ""


def _failed(row: Row) -> tuple[int, int]:
    """How many runs failed, by the lines that name them: "learn, seed 3: params at step 7"; and how many there are."""
    num_runs = max(len(metric["per_seed"]) for metric in row.metrics.values())
    runs = {failure.partition(": ")[0].partition(", ")[2] for failure in row.failures}
    return min(len(runs), num_runs), num_runs


def value_text(metric: Mapping[str, Any] | None) -> str:
    """Mean and interval as a cell shows them.

    >>> value_text({"mean": 0.123456, "ci95": 0.01}), value_text({"mean": None, "ci95": None})
    ('0.1235 ± 0.0100', 'not finite')
    """
    if metric is None:
        return ""
    if metric["mean"] is None or not math.isfinite(metric["mean"]):  # null where it was read from JSON
        return NOT_FINITE
    known = metric["ci95"] is not None and math.isfinite(metric["ci95"])
    return f"{metric['mean']:.4f}" + (f" ± {metric['ci95']:.4f}" if known else "")


def _label(row: Row) -> str:
    return ",".join(f"{key}={shown(value)}" for key, value in row.values.items())


def shown(value: Any) -> str:
    """A value of a key as cells and axes show it."""
    return text_of(tuple(value) if isinstance(value, list) else value)


def _width(name: str, cells: list[str]) -> int:
    return max(map(len, [name, *cells])) + 3
