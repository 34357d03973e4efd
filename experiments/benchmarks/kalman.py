"""The extended Kalman filter against dynamax and filterpy.

python -m experiments.benchmarks.kalman [flags]. One linear and one nonlinear problem, in float64: the same
measurements, the same outputs (log-likelihood, filtered means and covariances). Each side runs in a process of
its own; the peers run under an interpreter that has them (--peers-python). Times are wall seconds, compilation
apart.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import tyro
from rich.table import Table

from experiments.benchmarks import tracks
from experiments.benchmarks.sides import against, is_there, run_side
from experiments.runner.progress import console

PROBLEMS = {"linear": (tracks.constant_velocity, "constant velocity, 4 states, 2 measured"),
            "nonlinear": (tracks.constant_turn, "constant turn rate and velocity, 5 states, 3 measured by radar")}
CASES = {"filter": "one track", "one_kernel": "one track, the scan compiled as one kernel (XLA_FLAGS)",
         "square_root": "one track, square-root form", "parallel": "one track, one pass parallel in time",
         "smoother": "one track, filter and smoother", "many": "many tracks in one call"}


@dataclass(frozen=True)
class Config:
    """What to measure. The defaults take some minutes on two cores."""

    peers_python: str | None = ".venv-peers/bin/python"
    """Interpreter with dynamax and filterpy; where there is none, only our half runs."""
    problems: tuple[Literal["linear", "nonlinear"], ...] = ("linear", "nonlinear")
    num_steps: int = 10_000
    """Steps of the one track."""
    num_tracks: int = 4096
    """Tracks in one call."""
    many_steps: int = 50
    """Steps of each of the many tracks."""
    repeats: int = 20
    """Calls of which the median counts; filterpy makes a tenth as many, and many tracks a quarter."""
    kernel_bytes: int = 65536
    """Below so many bytes touched in a step, XLA on CPU compiles a loop as one kernel (its own limit is 1024), in the
    case that says so."""


def main(config: Config) -> dict[str, Any]:
    """Run every problem on every side, print the tables, and return the reports by problem and side."""
    reports = {}
    for problem in config.problems:
        with tempfile.TemporaryDirectory() as folder:
            reports[problem] = measure(config, problem, Path(folder))
        console.print(table(reports[problem], problem, config))
    return reports


def measure(config: Config, problem: str, folder: Path) -> dict[str, Any]:
    """Every side's report of one problem, by case."""
    simulate, _ = PROBLEMS[problem]
    np.savez(folder / "one.npz", **simulate(1, config.num_steps))
    np.savez(folder / "many.npz", **simulate(config.num_tracks, config.many_steps))
    report = {"ours": _compiled_cases(config, folder, module="kalman_ours", task=problem)}
    if is_there(config.peers_python):
        peers = {"module": "kalman_peers", "python": config.peers_python}
        report["dynamax"] = _compiled_cases(config, folder, task=f"dynamax_{problem}", **peers)
        report["filterpy"] = run_side(task=f"filterpy_{problem}", path=folder / "one.npz",
                                      options={"repeats": -(-config.repeats // 10)}, **peers)
        report["filterpy"]["one_kernel"] = report["filterpy"]["filter"]  # XLA's flag is nothing to NumPy
    return report


def _compiled_cases(config, folder, **side):
    one, many = folder / "one.npz", folder / "many.npz"
    flag = f"--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold={config.kernel_bytes}"
    flags = {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flag}"}

    def run(path, *cases, repeats=config.repeats, environment=None):
        options = {"cases": cases, "repeats": repeats}
        return run_side(path=path, options=options, environment=environment, **side)

    report = run(one, "filter", "square_root", "parallel", "smoother")
    report["one_kernel"] = run(one, "filter", environment=flags)["filter"]
    report["many"] = run(many, "many", repeats=-(-config.repeats // 4))["many"]
    return report


def table(report: Mapping[str, Any], problem: str, config: Config) -> Table:
    """Microseconds a step of every case, and how many times faster ours is."""
    title = f"{PROBLEMS[problem][1]}, {config.num_steps:,} steps: µs a step"
    ours, peers = report["ours"], {name: report[name] for name in ("dynamax", "filterpy") if name in report}
    shown = Table("", "here", *(column for name in peers for column in (name, "ratio")), title=title)
    times = {case: [step_microseconds(side, case, config) for side in (ours, *peers.values())] for case in CASES}
    for case, (here, *theirs) in times.items():
        shown.add_row(CASES[case].replace("many", f"{config.num_tracks:,}"), f"{here:.3f}",
                      *(cell for peer in theirs for cell in against(here, peer)[1:]))
    pairs = zip(times["filter"], times["many"])
    shown.add_row("rate of each of them over one alone", *_beside(
        f"{alone / each:.1f} x" if alone and each else "-" for alone, each in pairs))
    compiling = [side["filter"].get("compile_seconds") for side in (ours, *peers.values())]
    shown.add_row("seconds to compile, one track", *_beside(f"{s:.2f}" if s else "-" for s in compiling))
    value, *values = [side["filter"]["log_likelihood"] for side in (ours, *peers.values())]
    shown.add_row("log-likelihood, nats", f"{value:.4f}", *(
        cell for theirs in values for cell in (f"{theirs:.4f}", f"{abs(theirs / value - 1):.0e} apart")))
    return shown


def step_microseconds(side: Mapping[str, Any], case: str, config: Config) -> float | None:
    """Median of a case; None where the side has not got it."""
    if case not in side:
        return None
    steps = config.num_tracks * config.many_steps if case == "many" else config.num_steps
    return 1e6 * median(side[case]["seconds"]) / steps


def _beside(cells):
    """Cells of all sides, the ratios' columns left empty."""
    here, *theirs = cells
    return here, *(cell for text in theirs for cell in (text, ""))


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m experiments.benchmarks.kalman"))
