"""Alternating least squares against Surprise and implicit.

python -m experiments.benchmarks.matrix_factorization [flags]. Each side runs in a process of its own,
so that its peak memory is its own; the peers run under an interpreter that has them (--peers-python),
since they pin other versions. Times are wall seconds.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import tyro
from rich.table import Table

from experiments.benchmarks.pairs import zipf_pairs
from experiments.benchmarks.sides import against, is_there, run_side
from experiments.data import embedded_ratings, movielens
from experiments.data.ratings import Fold
from experiments.runner.progress import console


@dataclass(frozen=True)
class Config:
    """What to measure. The defaults take some minutes on two cores."""

    peers_python: str | None = ".venv-peers/bin/python"
    """Interpreter with scikit-surprise and implicit; where there is none, only our half runs."""
    dataset: Literal["movielens-100k", "embedded"] = "movielens-100k"
    """Ratings to fit, on their five folds."""
    data_dir: str | None = None
    """Where real data sets are looked for first."""
    rank: int = 4
    """Factors of the fit to ratings; Surprise keeps its default, 100."""
    sweeps: int = 3
    l2: float = 10.0
    bias_l2: float = 3.0
    repeats: int = 5
    """Fits of all folds, of which the median counts."""
    implicit_rank: int = 64
    """Factors of the implicit sweeps, on both sides."""
    implicit_sweeps: int = 5
    num_users: int = 1_000_000
    num_items: int = 100_000
    num_pairs: int = 20_000_000
    """Size of the generated set of pairs."""


def main(config: Config) -> dict[str, Any]:
    """Run every case on both sides, print the tables, and return the reports by case and side."""
    with tempfile.TemporaryDirectory() as folder:
        folds = embedded_ratings.folds() if config.dataset == "embedded" else movielens.folds(config.data_dir)
        reports = {"fit": fit_case(config, Path(folder), folds)}
        console.print(fit_table(reports["fit"], config))
        for name, case in pair_cases(config, folds).items():
            reports[name] = sweep_case(config, Path(folder), case)
            console.print(sweep_table(reports[name], name, case))
    return reports


def fit_case(config: Config, folder: Path, folds: tuple[Fold, ...]) -> dict[str, Any]:
    """Both sides fit the same folds."""
    table = folds[0].train
    path = folder / "folds.npz"
    parts = {f"{part}{k}": np.stack([one.user, one.item, one.rating], axis=1).astype(np.float64)
             for k, fold in enumerate(folds) for part, one in (("train", fold.train), ("test", fold.test))}
    np.savez(path, num_folds=len(folds), num_users=len(table.user_ids), num_items=len(table.item_ids),
             scale=table.scale, **parts)
    options = {"rank": config.rank, "sweeps": config.sweeps, "l2": config.l2, "bias_l2": config.bias_l2}
    return _both_sides(config, "fit_ratings", path, ours=options | {"repeats": config.repeats},
                       peers={"repeats": min(config.repeats, 2)})


def pair_cases(config: Config, folds: tuple[Fold, ...]) -> dict[str, Mapping[str, Any]]:
    """The pairs to sweep over: all ratings of the data set, and a generated set."""
    parts = folds[0].train, folds[0].test
    shape = len(parts[0].user_ids), len(parts[0].item_ids)
    user, item = (np.concatenate([getattr(part, side) for part in parts]) for side in ("user", "item"))
    size = config.num_users, config.num_items
    return {config.dataset: _case(user, item, *shape),
            "generated": _case(*zipf_pairs(*size, config.num_pairs), *size)}


def _case(user, item, num_users, num_items):
    return {"user": user, "item": item, "num_users": num_users, "num_items": num_items}


def sweep_case(config: Config, folder: Path, case: Mapping[str, Any]) -> dict[str, Any]:
    """Both sides sweep over the same pairs."""
    path = folder / "pairs.npz"
    np.savez(path, **case)
    options = {"rank": config.implicit_rank, "sweeps": config.implicit_sweeps}
    return _both_sides(config, "sweep_pairs", path, ours=options, peers=options)


def fit_table(report: Mapping[str, Any], config: Config) -> Table:
    """Seconds and error of a fit, and how many times faster ours is."""
    title = f"fitting ratings, {config.dataset}, all folds"
    table = Table("", "explicit ALS", "Surprise SVD", "ratio", title=title)
    ours, peer = report["ours"], report.get("peers")
    fold = [_median_fold(side) if side else None for side in (ours, peer)]
    every = [_median_total(side) if side else None for side in (ours, peer)]
    table.add_row("test RMSE", f"{ours['rmse']:.4f}", f"{peer['rmse']:.4f}" if peer else "-", "")
    table.add_row("seconds a fold, compiled", *against(*fold))
    table.add_row("seconds all folds, compilation counted", *against(ours["compile_seconds"] + every[0], every[1]))
    return table


def sweep_table(report: Mapping[str, Any], name: str, case: Mapping[str, Any]) -> Table:
    """Seconds and memory of a sweep, and how many times faster (smaller) ours is."""
    dense = 4 * case["num_users"] * case["num_items"] / 1e9
    title = f"one sweep, {name}: {len(case['user']):,} pairs, {case['num_users']:,} users"
    table = Table("", "implicit ALS", "implicit's", "ratio", title=title)
    ours, peer = report["ours"], report.get("peers")
    seconds = [median(side["seconds"]) if side else None for side in (ours, peer)]
    table.add_row("seconds a sweep", *against(*seconds))
    table.add_row("peak memory, GB", *against(*(side["peak_bytes"] / 1e9 if side else None for side in (ours, peer))))
    table.add_row("of it temporaries, GB", f"{ours['temporary_bytes'] / 1e9:.3f}", "-", "")
    table.add_row("seconds to pack", f"{ours['pack_seconds']:.3f}", "-", "")
    table.add_row("seconds to compile", f"{ours['compile_seconds']:.3f}", "-", "")
    table.add_row("a dense matrix would take, GB", f"{dense:.3f}", "", "")
    return table


def _both_sides(config, task, path, *, ours, peers):
    report = {"ours": run_side("matrix_factorization_ours", task, path, ours)}
    if is_there(config.peers_python):
        report["peers"] = run_side("matrix_factorization_peers", task, path, peers, python=config.peers_python)
    return report


def _median_fold(side):
    return median(seconds for fold in side["seconds"] for seconds in fold)


def _median_total(side):
    return median(sum(folds) for folds in side["seconds"])


if __name__ == "__main__":
    main(tyro.cli(Config, prog="python -m experiments.benchmarks.matrix_factorization"))
