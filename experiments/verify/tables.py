"""What a person sees of verdicts, and of mutants."""

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from experiments.verify.certificate import Verdict
from experiments.verify.mutations import Report


def certificate(verdicts: list[Verdict]) -> Table:
    """A row an identity, under its application."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("identity")
    for column in ("float64 error\n≤ tolerance", "float32 error\n≤ tolerance"):
        table.add_column(column, no_wrap=True)
    table.add_column("cases", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for application in dict.fromkeys(verdict.application for verdict in verdicts):
        if table.row_count:
            table.add_row()
        table.add_row(f"[bold]{application}[/]")
        for one in verdicts:
            if one.application == application:
                table.add_row(Padding(Text(one.identity), (0, 0, 0, 2)), _held(one.float64, one.tolerance),
                              _held(one.float32, one.float32_tolerance), str(one.cases),
                              "[green]holds[/]" if one.holds else "[bold red]FAILS[/]")
    return table


def _held(error: float, tolerance: float) -> str:
    if error <= tolerance:
        return f"{error:.1e} ≤ {tolerance:.0e}"
    return f"[bold red]{error:.1e} > {tolerance:.0e}[/]" if error > tolerance else "[bold red]none[/]"


def mutations(reports: list[Report]) -> Table:
    """A row an application."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("closed forms of")
    for column in ("functions", "broken in ways", "turn a row red", "equivalent", "not noticed"):
        table.add_column(column, justify="right")
    for one in reports:
        table.add_row(one.application, str(one.functions), str(one.mutants), str(one.mutants - len(one.survivors)),
                      str(len(one.equivalent)), f"[bold red]{len(one.holes)}[/]" if one.holes else "0")
    return table
