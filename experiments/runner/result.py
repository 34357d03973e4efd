"""A finished run in hand: it shows itself as a table with its figures, and holds what it learned."""

import base64
import dataclasses
import html
import io
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.runner.config import RunConfig


@dataclasses.dataclass(frozen=True)
class Result:
    """What `run` and `load` return.

    config: the flags. summary: as in summary.json. directory: of the run.
    figures: path of each by name. model: what was learned, ready to use; see the experiment.
    failures: a line for each run that turned non-finite. sample: text of interest for the closing table.
    """

    config: RunConfig
    summary: dict[str, Any]
    directory: Path
    figures: dict[str, Path]
    model: Any = dataclasses.field(repr=False)
    failures: tuple[str, ...] = ()
    sample: str = ""

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        images = (f'<img alt="{html.escape(name)}" src="data:image/png;base64,'
                  f'{base64.b64encode(path.read_bytes()).decode()}">' for name, path in self.figures.items())
        return f"<pre>{html.escape(as_text(self))}</pre>" + "".join(images)


def as_text(result: Result, width: int = 110) -> str:
    """The closing page as plain text."""
    page = io.StringIO()
    show(result, Console(file=page, width=width, highlight=False))
    return page.getvalue().rstrip()


def show(result: Result, console: Console) -> None:
    """Print the closing page: metrics beside published values, a sample, times, failures, files."""
    console.print(_title(result.summary), style="bold")
    console.print(metrics_table([result.summary]))
    for line in after_table(result):
        console.print(line, markup=False, soft_wrap=True)


def after_table(result: Result) -> list[str]:
    """What the closing page says below its table."""
    seconds = result.summary["seconds"]
    stages = ", ".join(f"{name} {seconds[name]:.1f}" for name in seconds if name not in ("compile", "run", "total"))
    return [
        *([result.sample, ""] if result.sample else []),
        f"{seconds['total']:.1f} s: compiling {seconds['compile']:.1f}, running {seconds['run']:.1f}",
        f"  {stages}",
        *(f"NOT FINITE: {failure}" for failure in result.failures),
        str(result.directory),
        *(f"  {path.relative_to(result.directory)}" for path in result.figures.values()),
    ]


def metrics_table(summaries: list[dict[str, Any]]) -> Table:
    """Every metric of one or more runs: mean, interval, published value and its source."""
    many = len(summaries) > 1
    table = Table()
    for column in (["experiment"] if many else []) + ["metric"]:
        table.add_column(column, no_wrap=True)
    table.add_column("reached", justify="right", no_wrap=True)
    table.add_column("published", justify="right", no_wrap=True)
    table.add_column("source")
    for summary in summaries:
        for name, metric in summary["metrics"].items():
            reference = summary["reference"].get(name, {"value": None, "source": ""})
            table.add_row(*([summary["experiment"]] if many else []), name, _value(metric),
                          _number(reference["value"]), reference["source"])
        table.add_section()
    return table


def _title(summary: dict[str, Any]) -> str:
    seeds = summary["seeds"]
    names = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}, mean ± 95% interval"
    return f"{summary['experiment']}, {summary['dataset']}, {summary['preset']}, {names}"


def _value(metric: dict[str, Any]) -> str:
    if metric["mean"] is None or not math.isfinite(metric["mean"]):  # null where it was read from JSON
        return "not finite"
    half = f" ± {metric['ci95']:.4f}" if metric["ci95"] is not None else ""
    return _number(metric["mean"]) + half


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
