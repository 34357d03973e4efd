"""python -m experiments.verify: a table of verdicts, also as JSON; exit status 1 if one fails."""

import dataclasses
import sys
from pathlib import Path

import tyro
from rich.table import Table

from experiments.runner import files
from experiments.runner.progress import bar, console, say
from experiments.verify.certificate import Verdict, applications, certify, identities_of


@dataclasses.dataclass(frozen=True)
class Options:
    """Try every closed form against automatic differentiation, on drawn inputs, in float64 and float32."""

    cases: int = 50
    """Drawn inputs per identity and precision."""
    json: Path = Path("runs/certificate.json")
    """Where the verdicts go as JSON."""


def main(options: Options) -> int:
    """Certify all applications; returns the exit status."""
    work = [(application, identity) for application in applications() for identity in identities_of(application)]
    verdicts = []
    with bar("verify", len(work)) as show:
        for application, identity in work:
            verdicts.append(certify(application, identity, num_cases=options.cases))
            show(len(verdicts), f"{application}: {identity.name}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(options.json, [verdict._asdict() for verdict in verdicts])
    console.print(_table(verdicts))
    failed = [verdict for verdict in verdicts if not verdict.holds]
    say(f"{len(verdicts) - len(failed)} of {len(verdicts)} hold, on {options.cases} drawn inputs each. {options.json}")
    return 1 if failed or not verdicts else 0


def _table(verdicts: list[Verdict]) -> Table:
    table = Table()
    table.add_column("closed form against autodiff")
    for column in ("float64", "float32", ""):
        table.add_column(column, no_wrap=True)
    for application in dict.fromkeys(verdict.application for verdict in verdicts):
        table.add_section()
        table.add_row(f"[bold]{application}[/]")
        for one in verdicts:
            if one.application == application:
                table.add_row(f"  {one.identity}", f"{one.float64:.1e} ≤ {one.tolerance:.0e}",
                              f"{one.float32:.1e} ≤ {one.float32_tolerance:.0e}",
                              "[green]holds[/]" if one.holds else "[bold red]FAILS[/]")
    return table


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, prog="python -m experiments.verify")))
