"""python -m experiments.verify: a table of verdicts, also as JSON; exit status 1 if one fails."""

import dataclasses
import json
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from experiments.runner import files
from experiments.runner.errors import UserError
from experiments.runner.progress import bar, console, say
from experiments.verify import tables
from experiments.verify.certificate import applications, certify_listed, identities_of
from experiments.verify.mutations import mutate
from experiments.verify.workers import cores, spread


@dataclasses.dataclass(frozen=True)
class Options:
    """Try every closed form against what it must equal, on drawn inputs, in float64 and float32."""

    cases: int = 50
    """Drawn inputs per identity and precision."""
    only: tuple[str, ...] = ()
    """The applications to try; all of them, if none is named."""
    json: Path = Path("runs/certificate.json")
    """Where the verdicts go as JSON."""
    workers: int = cores()
    """Processes that work side by side."""
    mutate: bool = False
    """Try the identities instead: break each formula in every way, and see that one of them fails, on 20 inputs in
    float64. Nothing is written."""


def main(options: Options) -> int:
    """Certify all applications, or those named; returns the exit status."""
    try:
        names = _chosen(options)
        return _mutate(names, options) if options.mutate else _verify(names, options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped: nothing was written.", file=sys.stderr)
        return 128 + signal.SIGINT


def _chosen(options: Options) -> list[str]:
    for name in ("cases", "workers"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} must be at least 1, got {getattr(options, name)}")
    unknown = [name for name in options.only if name not in applications()]
    if unknown:
        raise UserError(f"--only must name some of {', '.join(applications())}; got {', '.join(unknown)}")
    try:
        options.json.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--json must be a file that can be written, got {options.json}: {error.strerror}") from error
    if options.json.is_dir():
        raise UserError(f"--json must be a file to write, got the directory {options.json}")
    return [name for name in applications() if not options.only or name in options.only]


def _verify(names: list[str], options: Options) -> int:
    started = time.monotonic()
    listed = [(name, number) for name in names for number in range(len(identities_of(name)))]
    verdicts = _each("verify", partial(certify_listed, num_cases=options.cases), listed, options,
                     lambda verdict: f"{verdict.application}: {verdict.identity}")
    files.write_json(options.json, [*_of_others(options.json, names), *(verdict._asdict() for verdict in verdicts)])
    console.print(tables.certificate(verdicts))
    for one in verdicts:
        if one.error:
            say(f"{one.application}: {one.identity}\n  {one.error}")
    holding = sum(verdict.holds for verdict in verdicts)
    say(f"{holding} of {len(verdicts)} hold, in both precisions, on {options.cases} drawn inputs each. "
        f"{time.monotonic() - started:.0f} s. {options.json}")
    return 0 if verdicts and holding == len(verdicts) else 1


def _of_others(path: Path, names: list[str]) -> list[dict]:
    """Verdicts that a file has of other applications than these: a certificate that is tried in parts stays whole."""
    try:
        return [row for row in json.loads(path.read_text()) if row["application"] not in names]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _mutate(names: list[str], options: Options) -> int:
    started = time.monotonic()
    reports = _each("mutate", mutate, names, options, lambda report: report.application)
    console.print(tables.mutations(reports))
    holes = [f"{report.application}: {hole}" for report in reports for hole in report.holes]
    say("\n".join([*holes, f"{sum(report.mutants for report in reports)} mutants, {len(holes)} not accounted for. "
                           f"{time.monotonic() - started:.0f} s."]))
    return 1 if holes or not reports else 0


def _each(title: str, function: Callable, work: list, options: Options, words: Callable[[Any], str]) -> list:
    """What the function makes of each, in their order."""
    made = {}
    with bar(title, len(work)) as show:
        # The last applications have the longest programs: begun first, none is left for one process at the end.
        for one, result in spread(function, work[::-1], options.workers):
            made[one] = result
            show(len(made), words(result))
    return [made[one] for one in work]


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, prog="python -m experiments.verify")))
