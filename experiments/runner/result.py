"""A finished run in hand: it shows itself as a table with its figures, and holds what it learned."""

import dataclasses
import io
import math
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.runner import checkpoints, curves, metrics
from experiments.runner.config import RunConfig
from experiments.runner.curves import Curve
from experiments.runner.page import page

WIDTH = 110
TELLING = ("loss", "return", "test_rmse")  # metrics that are drawn rather than others of their stage


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

    @property
    def metrics(self) -> dict[str, float]:
        """Mean over the seeds, by name. Every seed, and the interval: summary["metrics"]."""
        return {name: metric["mean"] for name, metric in self.summary["metrics"].items()}

    @property
    def curves(self) -> dict[str, dict[str, dict[str, Curve]]]:
        """What was measured on the way, by stage, metric and seed: curves["learn"]["loss"]["seed 0"].values."""
        return curves.curves(metrics.read(self.directory))

    @property
    def params(self) -> Any:
        """The model's parameters; of a model that has nothing of that name, its arrays as they were kept."""
        return self.model.params if hasattr(self.model, "params") else checkpoints.load(self.directory / "learned")[0]

    def __repr__(self) -> str:
        return as_text(self, shutil.get_terminal_size((WIDTH, 24)).columns)

    def _repr_html_(self) -> str:
        below = "\n".join([*_said(self), str(self.directory)])
        columns, rows = _table([self.summary])
        return page(_title(self.summary), columns, rows, below, self.figures)


def as_text(result: Result, width: int = WIDTH) -> str:
    """The closing page as plain text, and how the first stage went."""
    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False, force_jupyter=False, no_color=True)
    _show_table(result, console)
    return text.getvalue() + "\n".join([*_said(result), "", *_curve(result, width), *_files(result)])


def show(result: Result, console: Console) -> None:
    """Print the closing page: metrics beside their references, a sample, times, failures, files."""
    _show_table(result, console)
    for line in after_table(result):
        console.print(line, markup=False, soft_wrap=True)


def after_table(result: Result) -> list[str]:
    """What the closing page says below its table."""
    return [*_said(result), *_files(result)]


def metrics_table(summaries: list[dict[str, Any]]) -> Table:
    """Every metric of one or more runs: mean, interval, reference and its source."""
    table = Table()
    columns, rows = _table(summaries)
    for column in columns:
        numbers = column in ("reached", "reference")
        table.add_column(column, no_wrap=column != "source", justify="right" if numbers else "left")
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(*row, end_section=following is None or row[:-4] != following[:-4])
    return table


def _table(summaries: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows; the experiment's name comes first where there are several."""
    many = len(summaries) > 1
    rows = []
    for summary in summaries:
        for name, metric in summary["metrics"].items():
            reference = summary["reference"].get(name, {"value": None, "source": ""})
            rows.append([*([summary["experiment"]] if many else []), name, _value(metric), _number(reference["value"]),
                         reference["source"]])
    return [*(["experiment"] if many else []), "metric", "reached", "reference", "source"], rows


def _show_table(result: Result, console: Console) -> None:
    console.print(_title(result.summary), style="bold")
    console.print(metrics_table([result.summary]))


def _said(result: Result) -> list[str]:
    seconds = result.summary["seconds"]
    stages = ", ".join(f"{name} {seconds[name]:.1f}" for name in seconds if name not in ("compile", "run", "total"))
    return [
        *([result.sample, ""] if result.sample else []),
        f"{seconds['total']:.1f} s: compiling {seconds['compile']:.1f}, running {seconds['run']:.1f}",
        f"  {stages}",
        *(f"NOT FINITE: {failure}" for failure in result.failures),
    ]


def _curve(result: Result, width: int) -> list[str]:
    """A picture of a metric of the first stage, every seed; nothing where metrics.jsonl is gone or damaged."""
    try:
        stage, by_metric = next(iter(result.curves.items()))
        metric = next(name for name in (*TELLING, *by_metric) if name in by_metric)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return []
    runs = by_metric[metric]
    title = f"{metric} of {stage}, by step" + (f", {len(runs)} runs" if len(runs) > 1 else "")
    picture = curves.as_text(title, runs, width)
    return [picture, ""] if picture else []


def _files(result: Result) -> list[str]:
    return [str(result.directory),
            *(f"  {path.relative_to(result.directory)}{'' if path.exists() else ', which is gone'}"
              for path in result.figures.values())]


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
