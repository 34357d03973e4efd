"""Learning to balance CartPole's pole against a loop of gymnasium and PyTorch.

python -m experiments.benchmarks.reinforce [flags]. Environment steps a second that are acted on and learned from, of
all agents together: here many agents in one compiled program, by each way that the experiment learns and by its plain
form; there one agent, in one environment, whose gradients are recorded while it plays or of each episode at once.
The environment and the networks are the same, a policy and a value of the same layers, and both sides learn by Adam;
the algorithms are not: the peer updates once an episode, here a batch is of several environments, and the experiment's
own way goes over it more than once, in parts, which the row of one update does without. Whole
episodes, with no value network, do what the peer does, ten at a time. So a row says what a step costs, not how much is
learned by it. The peer runs under an interpreter that has it (--peers-python). Times are wall seconds, compilation
apart.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

import numpy as np
import tyro
from rich.table import Column, Table

from experiments.benchmarks.sides import is_there, run_side
from experiments.runner.progress import console

Way = Literal["learned baseline", "learned baseline, one update", "whole episodes"]  # of reinforce_ours
WAYS: tuple[Way, ...] = get_args(Way)
PEERS = ("step by step", "at once")  # of reinforce_peers


@dataclass(frozen=True)
class Config:
    """What to measure. The defaults take some minutes on two cores."""

    peers_python: str | None = ".venv-peers/bin/python"
    """Interpreter with PyTorch and gymnasium; where there is none, only our half runs."""
    ways: tuple[Way, ...] = WAYS
    """To learn, here."""
    seeds: int = 64
    """Agents that learn together; each way is measured for one agent, too."""
    devices: int = 2
    """To divide these agents over. A CPU counts as many as are asked for, an accelerator as 1."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Of the layers of policy and value, on both sides."""
    chunk_steps: int = 10
    """Batches that are timed together."""
    repeats: int = 5
    """Such times of which the median counts."""
    peer_steps: int = 5000
    """Of the peer's environment, that are timed together; as often as the batches."""


def main(config: Config) -> dict[str, Any]:
    """Run every way, print the table, and return the reports: ours by way and number of agents, and the peer's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nothing.npz"
        np.savez(path)
        reports = {"ours": ours(config, path), "peers": peers(config, path)}
    console.print(table(reports, config))
    return reports


def ours(config: Config, path: Path) -> dict[str, dict[int, Any]]:
    """Reports by way and number of agents."""
    options = {"hidden_sizes": config.hidden_sizes, "chunk_steps": config.chunk_steps, "repeats": config.repeats}
    placed = {1: 1, config.seeds: config.devices} if config.seeds > 1 else {1: 1}
    return {way: {seeds: run_side("reinforce_ours", "learn", path,
                                  options | {"way": way, "seeds": seeds, "devices": devices})
                  for seeds, devices in placed.items()} for way in config.ways}


def peers(config: Config, path: Path) -> dict[str, Any]:
    """Reports by way; none without an interpreter that has the peer."""
    if not is_there(config.peers_python):
        return {}
    options = {"hidden_sizes": config.hidden_sizes, "learning_rate": 1e-3, "steps": config.peer_steps,
               "repeats": config.repeats}
    return {way: run_side("reinforce_peers", "train", path, options | {"way": way}, python=config.peers_python)
            for way in PEERS}


def table(reports: Mapping[str, Any], config: Config) -> Table:
    """Each way's rate, and how many times the peer's rate it is."""
    one = next(iter(reports["ours"].values()))[config.seeds]
    versions = "".join({f", PyTorch {report['torch']}" for report in reports["peers"].values()})
    title = (f"environment steps learned from a second, of all agents together; networks of {config.hidden_sizes}, "
             f"jax {one['jax']}{versions}, on {config.devices} x {one['device']}")
    peer_rates = {way: [1 / seconds for seconds in report["seconds"]] for way, report in reports["peers"].items()}
    shown = Table(Column(no_wrap=True), "agents", Column("steps/s", justify="right"),
                  *(f"PyTorch, {way}" for way in peer_rates), "compile, s", "return", title=title)

    def row(name, agents, rates, compiling, mean_return):
        ratios = (f"{median(rates) / median(peer):,.1f} x" for peer in peer_rates.values())
        shown.add_row(name, str(agents), f"{median(rates):,.0f}", *ratios, compiling, f"{mean_return:.0f}")

    for way, by_agents in reports["ours"].items():
        for agents, report in by_agents.items():
            rates = [steps / seconds for steps, seconds in zip(report["steps"], report["seconds"])]
            row(way, agents, rates, f"{report['compile_seconds']:.1f}", report["mean_return"])
    for way, report in reports["peers"].items():
        row(f"PyTorch, {way}", 1, peer_rates[way], "-", report["mean_return"])
    return shown


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m experiments.benchmarks.reinforce"))
