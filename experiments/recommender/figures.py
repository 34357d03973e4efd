"""Pictures of a recommender: how it learns, what its posterior knows, which films it finds alike."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.runner.figures import style


def learning(traces: Mapping[str, Sequence[dict]], by_rank: Mapping[int, float], floor: float | None) -> Figure:
    """Test error against time for each method, every fold a line, and against the rank.

    Args:
      traces: lines of metrics.jsonl by method, each with run, seconds and test_rmse.
      by_rank: test RMSE by rank. floor: RMSE of the test ratings' own noise, if known.
    """
    with plt.rc_context(style()):
        compared = len(by_rank) > 1
        figure, panels = plt.subplots(1, 1 + compared, figsize=(9.5, 3.8), width_ratios=[3, 2][: 1 + compared],
                                      squeeze=False)
        left = panels[0, 0]
        for index, (method, lines) in enumerate(traces.items()):
            color = f"C{index}"
            for run in sorted({line["run"] for line in lines}):
                own = [line for line in lines if line["run"] == run and line["test_rmse"] is not None]
                left.plot([line["seconds"] for line in own], [line["test_rmse"] for line in own], color=color,
                          alpha=0.7, linewidth=1.2)
            left.plot([], [], color=color, label=method)
        left.set(title="Test error while learning, a line a fold", xlabel="seconds of running, all folds together",
                 ylabel="test RMSE, rating units", xscale="log")
        finals = [float(line["test_rmse"]) for lines in traces.values() for line in lines[-1:]
                  if line["test_rmse"] is not None]  # null where a run turned non-finite
        if finals:
            lowest = min([*finals, *by_rank.values()]) if floor is None else floor
            left.set_ylim(lowest - 0.01, max(finals) + 0.12)
        if compared:
            right = panels[0, 1]
            right.plot(list(by_rank), list(by_rank.values()), "o-")
            right.set(title="Error by rank, Bayesian, fold 1", xlabel="rank D", xscale="log",
                      ylabel="test RMSE, rating units")
            right.set_xticks(list(by_rank), [str(rank) for rank in by_rank])
            right.minorticks_off()
        if floor is not None:
            for axes in panels.flat:
                axes.axhline(floor, color="black", linestyle=":", linewidth=1, label="noise floor")
        left.legend()
        return figure


def posterior(std: np.ndarray, error: np.ndarray) -> Figure:
    """Whether the model knows what it does not know: claimed against actual error.

    Args:
      std: (T,) claimed standard deviation of each test rating. error: (T,) rating − prediction.
    """
    bins = np.quantile(std, np.linspace(0, 1, 11))
    group = np.clip(np.searchsorted(bins, std, side="right") - 1, 0, 9)
    filled = [k for k in range(10) if np.any(group == k)]
    claimed = [np.sqrt(np.mean(std[group == k] ** 2)) for k in filled]
    actual = [np.sqrt(np.mean(error[group == k] ** 2)) for k in filled]
    with plt.rc_context(style()):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
        left.hist(std, bins=60, color="C0")
        left.set(title="Spread of the posterior predictive", xlabel="claimed std of a test rating, rating units",
                 ylabel="test ratings")
        ends = [min(claimed + actual) * 0.95, max(claimed + actual) * 1.05]
        right.plot(ends, ends, color="black", linestyle=":", linewidth=1, label="claimed = actual")
        right.plot(claimed, actual, "o-", label="tenths of the test ratings")
        right.set(title="Claimed against actual error", xlabel="claimed std, rating units",
                  ylabel="RMSE, rating units")
        right.legend()
        return figure


def neighbours(similar: Mapping[str, Sequence[tuple[str, float]]]) -> Figure:
    """The nearest items of a few items: title -> [(title, cosine)]."""
    with plt.rc_context(style()):
        figure, panels = plt.subplots(-(-len(similar) // 2), 2, figsize=(10, 0.75 * len(similar) + 0.5), sharex=True)
        for axes, (title, found) in zip(panels.flat, similar.items(), strict=False):
            names, cosines = zip(*reversed(found), strict=True)
            axes.barh(range(len(names)), cosines, color="C0", height=0.7)
            axes.set_yticks(range(len(names)), [name[:40] for name in names])
            axes.set(title=title[:48], xlim=(0, 1))
            axes.grid(False)
        figure.supxlabel("cosine of the factors", fontsize=9)
        return figure
