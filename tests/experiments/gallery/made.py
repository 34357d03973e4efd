"""Run directories as a run would leave them, made without one."""

import itertools
import json
import math
import shutil

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import rc_context

from experiments.gallery import source
from experiments.runner import figures

CERTIFICATE = [{"application": "kalman", "identity": f"∂ of identity {k}", "cases": 50, "float64": 3e-16,
                "tolerance": 1e-10, "float32": 2e-7, "float32_tolerance": 1e-4, "holds": k != 1} for k in range(3)]


def run(runs, name="kalman", run_id="20260101-120000-quick", *, directory=None, seeds=2, steps=20, metrics=("rmse_px",),
        values=("loss",), dataset="embedded", figure=None, figure_names=("track", "errors"), flags=None,
        reference=0.3):
    """A finished run of an experiment; returns its directory."""
    directory = directory or runs / name / run_id
    (directory / "figures").mkdir(parents=True)
    started = f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T{run_id[9:11]}:{run_id[11:13]}:00+00:00"
    usual = source.preset(name, "quick")
    flags_of_today = dict.fromkeys(sorted((source.flags(name) or set()) - set(usual)))
    write(directory / "config.json", {"experiment": name, **usual, **flags_of_today, "preset": "quick",
                                      "dataset": dataset, "seeds": seeds, "out": str(directory), **(flags or {})})
    write(directory / "manifest.json", {
        "command": ["python", "-m", "experiments", name, "--seeds", str(seeds)], "started": started, "python": "3.11.7",
        "system": "Linux x86_64", "cpus": 2, "versions": {"jax": "0.10.2"}, "commit": "abcdef",
        "devices": {"platform": "cpu", "kind": "cpu", "count": 1}})
    lines = [{"stage": "learn", "step": 10 * step, "run": f"seed {seed}", "seconds": 0.1,
              **{value: math.exp(-step / steps) + 0.01 * seed + 0.003 * ((7 * step) % 5) for value in values}}
             for step in range(1, steps + 1) for seed in range(seeds)]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write(directory / "summary.json", {
        "experiment": name, "preset": "quick", "dataset": dataset, "seeds": list(range(seeds)),
        "metrics": {metric: {"mean": 0.25, "ci95": 0.03, "per_seed": [0.24 + 0.01 * k for k in range(seeds)]}
                    for metric in metrics},
        "seconds": {"compile": 1.0, "run": 2.0, "total": 4.0}, "failures": [], "sample": "It is said.",
        "figures": list(figure_names if figure else ()),
        "devices": {"platform": "cpu", "kind": "cpu", "count": 1},
        "reference": {metrics[0]: {"value": reference, "source": "the best of others"}}})
    for each in figure_names if figure else ():
        shutil.copy(figure, directory / "figures" / f"{each}.png")
    return directory


def write(path, value):
    """A JSON document."""
    path.write_text(json.dumps(value))


def sweep(runs, figure, name="kalman"):
    """A finished sweep over two keys, with the run of each point."""
    directory = runs / name / "20260102-120000-sweep"
    (directory / "figures").mkdir(parents=True)
    write(directory / "config.json", {"experiment": name, "sweep": ["learning_rate=0.1,0.01", "steps=5,6"]})
    write(directory / "manifest.json", {"started": "2026-01-02T12:00:00+00:00"})
    write(directory / "sweep.json", {
        "experiment": name, "keys": ["learning_rate", "steps"], "metric": "rmse_px",
        "points": [{"directory": f"points/{rate}-{steps}", "failures": [],
                    "values": {"learning_rate": rate, "steps": steps},
                    "metrics": {"other": {"mean": 1.5, "ci95": None, "per_seed": [1.5]},
                                "rmse_px": {"mean": rate + steps, "ci95": None, "per_seed": [rate + steps]}}}
                   for rate in (0.1, 0.01) for steps in (5, 6)]})
    shutil.copy(figure, directory / "figures" / "heat_map.png")
    for rate, steps in itertools.product((0.1, 0.01), (5, 6)):
        run(runs, name, directory=directory / "points" / f"{rate}-{steps}", seeds=1, steps=steps,
            flags={"learning_rate": rate, "steps": steps})
    return directory


def figure(directory):
    """A figure as experiments draw them: its path; some 150 kB."""
    rng = np.random.default_rng(0)
    with rc_context(figures.style()):
        drawn, axes = plt.subplots(1, 2, figsize=(10, 4))
        axes[0].scatter(*rng.normal(size=(2, 1500)), s=4, alpha=0.4)
        axes[0].set(title="Many points", xlabel="x, m", ylabel="y, m")
        for k in range(6):
            axes[1].plot(np.cumsum(rng.normal(size=400)), label=f"seed {k}")
        axes[1].legend()
    return figures.save(directory, "figure", drawn)
