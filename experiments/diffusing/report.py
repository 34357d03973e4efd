"""What every run tells: how its seeds learned, and what each of them reached."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.runner.figures import style


def of_seeds(metrics: Mapping[str, np.ndarray], labels: list[str]) -> list[str]:
    """A line for each metric that differs by seed, with every seed's value; none of one seed, which the table has."""
    return [f"{name} of {labels[0]} to {labels[-1].removeprefix('seed ')}: "
            + ", ".join(f"{value:.4g}" for value in values)
            for name, values in metrics.items() if len(set(np.asarray(values).tolist())) > 1]


def learning(lines: Mapping[str, list[dict]]) -> Figure:
    """Loss against steps, a panel for each objective: each in its own unit, less what no score could change or not."""
    with plt.rc_context(style()):
        figure, axes = plt.subplots(1, len(lines), figsize=(max(4.6, 2.7 * len(lines)), 3.2), squeeze=False)
        for one, (name, own) in zip(axes.flat, lines.items()):
            for run in dict.fromkeys(line["run"] for line in own):
                one.plot(*zip(*((line["step"], line["loss"]) for line in own if line["run"] == run)), linewidth=0.9,
                         label=run)
            one.set(title=name, xlabel="step")
        axes[0, 0].set_ylabel("loss")
        axes[0, 0].legend()
        return figure
