"""Attention and the transformer against jax.nn and PyTorch.

python -m experiments.benchmarks.attention [flags]. Memory of blockwise attention by the compiler's own count; its time
beside jax.nn.dot_product_attention's; a training step of the full preset beside the same model, parameters and all, in
PyTorch, eager and compiled, on the same cores. PyTorch runs under an interpreter that has it (--peers-python), in turns
with ours. Times are wall seconds, compilation apart.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import tyro
from rich.table import Table

from experiments.benchmarks.sides import against, is_there, run_side
from experiments.data import embedded_text, tinyshakespeare
from experiments.runner.progress import console

MEMORY = {"gradient": "blockwise, forward and gradient", "hessian": "blockwise, Hessian-vector product",
          "dense": "dense, forward and gradient"}
RATES = {"matrices": 0.02, "embedding": 0.02, "head": 0.005, "vectors": 0.01}
TOLERANCE = 1e-10  # between two implementations in float64


@dataclass(frozen=True)
class Config:
    """What to measure. The defaults take some minutes on two cores."""

    peers_python: str | None = ".venv-peers/bin/python"
    """Interpreter with PyTorch; where there is none, only our half runs."""
    dataset: Literal["tinyshakespeare", "embedded"] = "tinyshakespeare"
    """Text to train on."""
    data_dir: str | None = None
    """Where real data sets are looked for first."""
    lengths: tuple[int, int] = (8192, 16384)
    """Lengths whose memory is compared: one head."""
    timed_length: int = 4096
    """Length whose time is compared."""
    timed_heads: int = 4
    head_size: int = 64
    repeats: int = 15
    """Calls of which the median counts."""
    layers: int = 4
    width: int = 128
    model_heads: int = 4
    context: int = 64
    batch_size: int = 12
    chunk_steps: int = 20
    """Steps that are timed together."""
    chunks: int = 10
    """Such chunks in a turn."""
    turns: int = 3
    """Of each side, in a process of its own; the median of all their chunks counts."""
    generated: int = 1000
    """Tokens to generate."""


def main(config: Config) -> dict[str, Any]:
    """Run every case, print the tables, and return the reports by case."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens.npz"
        text = embedded_text.load() if config.dataset == "embedded" else tinyshakespeare.load(config.data_dir)
        np.savez(path, tokens=text.train)
        sizes = {"num_tokens": text.alphabet.size, "num_layers": config.layers, "width": config.width,
                 "num_heads": config.model_heads}
        reports = {"memory": _ours("memory", path, lengths=config.lengths, head_size=config.head_size)}
        console.print(memory_table(reports["memory"], config))
        reports["time"] = _ours("time_attention", path, length=config.timed_length, heads=config.timed_heads,
                                head_size=config.head_size, repeats=config.repeats)
        console.print(time_table(reports["time"], config))
        reports["oracle"] = oracle_case(config, path, sizes)
        reports["train"] = train_case(config, path, sizes)
        reports["generate"] = _ours("generate", path, sizes=sizes, context=config.context,
                                    num_tokens=config.generated, repeats=config.turns)
        console.print(train_table(reports, config))
        require_agreement(reports["oracle"])
    return reports


def oracle_case(config: Config, path: Path, sizes: Mapping[str, int]) -> dict[str, float] | None:
    """How far PyTorch's logits, loss and gradients are from ours, in float64; None without PyTorch."""
    if not is_there(config.peers_python):
        return None
    reference = path.with_name("reference.npz")
    _ours("reference", path, sizes=sizes, rows=2, context=config.context, target=str(reference))
    return run_side("attention_peers", "oracle", reference, {"sizes": sizes}, python=config.peers_python)


def train_case(config: Config, path: Path, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Every side's training, in turns: its last report, with the seconds a step of all turns."""
    options = {"sizes": sizes, "context": config.context, "batch_size": config.batch_size, "rates": RATES,
               "chunk_steps": config.chunk_steps, "chunks": config.chunks}
    sides = {"ours": lambda: _ours("train", path, **options)}
    if is_there(config.peers_python):
        modes = ("eager", "compiled") if shutil.which("g++") else ("eager",)  # torch.compile writes C++
        for mode in modes:
            sides[mode] = lambda compiling=mode == "compiled": run_side(
                "attention_peers", "train", path, options | {"compiling": compiling}, python=config.peers_python)
    turns = [{name: side() for name, side in sides.items()} for _ in range(config.turns)]
    return {name: turns[-1][name] | {"seconds": [one for turn in turns for one in turn[name]["seconds"]],
                                     "compile_seconds": turns[0][name]["compile_seconds"]} for name in sides}


def require_agreement(oracle: Mapping[str, float] | None) -> None:
    """Refuse to compare two models that are not the same."""
    if oracle and (apart := max(oracle[name] for name in ("logits", "loss", "gradients"))) > TOLERANCE:
        raise ValueError(f"in float64 the two models must agree to {TOLERANCE:.0e}, but are {apart:.0e} apart")


def memory_table(report: Mapping[str, Any], config: Config) -> Table:
    """Peak temporary memory at both lengths, and how it grows."""
    short, long = config.lengths
    title = f"peak temporary memory, MiB, of one causal head of size {config.head_size}"
    shown = Table("", f"T = {short:,}", f"T = {long:,}", "growth", title=title)
    for case, label in MEMORY.items():
        small, large = report[case]
        shown.add_row(label, f"{small / 2**20:.1f}", f"{large / 2**20:.1f}", f"{large / small:.2f} x")
    shown.add_row("dense over blockwise", *(f"{dense / ours:.0f} x" for dense, ours in
                                            zip(report["dense"], report["gradient"])), "")
    return shown


def time_table(report: Mapping[str, Any], config: Config) -> Table:
    """Milliseconds of each case, and how many times faster ours is."""
    title = f"attention over {config.timed_length:,}, {config.timed_heads} heads of size {config.head_size}: ms"
    shown = Table("", "blockwise", "jax.nn", "ratio", "seconds to compile", "values apart", title=title)
    for case, sides in ((case, sides) for case, sides in report.items() if isinstance(sides, dict)):
        ours, theirs = sides["ours"], sides["jax.nn"]
        shown.add_row(case, *against(*(1e3 * median(side["seconds"]) for side in (ours, theirs)), digits=1),
                      f"{ours['compile_seconds']:.2f}, {theirs['compile_seconds']:.2f}", f"{sides['apart']:.0e}")
    return shown


def train_table(reports: Mapping[str, Any], config: Config) -> Table:
    """A training step beside PyTorch's faster one, agreement in float64, and generation."""
    train, oracle, written = reports["train"], reports["oracle"], reports["generate"]
    seconds = {name: median(side["seconds"]) for name, side in train.items()}
    fastest = min((name for name in train if name != "ours"), key=seconds.__getitem__, default=None)
    tokens = config.batch_size * config.context
    title = f"training, {train['ours']['parameters']:,} parameters, {tokens} tokens a step"
    shown = Table("", "here", f"PyTorch, {fastest}" if fastest else "PyTorch", "ratio", title=title)
    peer = train.get(fastest)
    shown.add_row("ms a step", *against(1e3 * seconds["ours"], 1e3 * seconds[fastest] if fastest else None, digits=2))
    shown.add_row("tokens a second", f"{tokens / seconds['ours']:,.0f}",
                  f"{tokens / seconds[fastest]:,.0f}" if fastest else "-", "")
    shown.add_row("seconds to compile", *against(train["ours"]["compile_seconds"],
                                                 peer["compile_seconds"] if peer else None, digits=1))
    for name in seconds.keys() - {"ours", fastest}:
        shown.add_row(f"ms a step, {name}", "", f"{1e3 * seconds[name]:.2f}", "")
    shown.add_row("loss at the end, nats", f"{train['ours']['loss']:.3f}", f"{peer['loss']:.3f}" if peer else "-", "")
    for name in ("logits", "loss", "gradients") if oracle else ():
        shown.add_row(f"{name} in float64", "", "", f"{oracle[name]:.0e} apart")
    shown.add_row("characters generated a second", f"{config.generated / median(written['seconds']):,.0f}", "", "")
    return shown


def _ours(task, path, **options):
    return run_side("attention_ours", task, path, options)


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m experiments.benchmarks.attention"))
