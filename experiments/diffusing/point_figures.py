"""Pictures of points: the learned field over the true one, samples in the making, and what evaluations buy."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.diffusing.diffuser import Diffuser
from experiments.runner.figures import style
from sandbox.score_matching import mixture_log_density, mixture_score, noised

ACROSS, ARROWS = 90, 20  # places and arrows on a side
LEAST = 7.0  # nats below the highest density at which arrows are shown
SHOWN = 8  # moments of a sample in the making
MARKS = ("o", "s", "^", "D", "v", "P")


def field(diffuser: Diffuser, plane: Any) -> Figure:
    """The first seed's score at two levels of noise, over the learned density without noise; and over the true score,
    where that is known."""
    bound = 2.6 * diffuser.sigma_data
    dense, places = _grid(bound, ACROSS), np.linspace(-bound, bound, ACROSS)
    density = np.exp(diffuser.log_density(dense)).reshape(ACROSS, ACROSS)
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, axes = plt.subplots(1, 3, figsize=(12.6, 4.9))
        axes[0].imshow(density, extent=(-bound, bound, -bound, bound), origin="lower", cmap="Blues",
                       interpolation="bilinear")
        axes[0].set_title("Learned density, by the flow")
        for one, level in zip(axes[1:], (diffuser.sigma_data / 6, diffuser.sigma_data / 1.5)):
            arrows = _grid(bound, ARROWS)
            if plane.mixture is None:
                learned = diffuser.score(arrows, level)
                _arrows(one, arrows, learned, "C1", 0.004, np.linalg.norm(learned, axis=1).max())
                one.set_title(f"Score at σ = {level:.2f}")
            else:
                near = noised(plane.mixture, level)
                log_p = np.asarray(mixture_log_density(arrows, near))
                arrows, p = arrows[log_p > log_p.max() - LEAST], np.exp(log_p[log_p > log_p.max() - LEAST])
                true, learned = np.asarray(mixture_score(arrows, 0.0, near)), diffuser.score(arrows, level)
                over = np.exp(np.asarray(mixture_log_density(dense, near))).reshape(density.shape)
                one.contourf(places, places, over, levels=8, cmap="Blues", alpha=0.8)
                longest = np.linalg.norm(true, axis=1).max()
                _arrows(one, arrows, true, "black", 0.007, longest)
                _arrows(one, arrows, learned, "C1", 0.0035, longest)
                off = np.sqrt(np.sum(p[:, None] * (learned - true)**2) / np.sum(p[:, None] * true**2))
                one.set_title(f"Score at σ = {level:.2f}, {off:.1%} off")
                one.set_xlabel("orange: learned; black, below it: true")
        for one in axes:
            one.set(aspect="equal", xlim=(-bound, bound), ylim=(-bound, bound))
        return figure


def making(levels: np.ndarray, points: np.ndarray) -> Figure:
    """Noise to data, a strip: each moment at its own scale.

    Args:
      levels: (M,). points: (M, N, 2).
    """
    chosen = np.unique(np.linspace(0, len(points) - 1, SHOWN).round().astype(int))
    with plt.rc_context({**style(), "axes.grid": False, "axes.titlesize": 8, "axes.titleweight": "normal"}):
        figure, axes = plt.subplots(1, len(chosen), figsize=(1.6 * len(chosen), 1.95))
        for one, number in zip(axes, chosen):
            one.plot(*points[number].T, ",", color="C0")
            bound = 1.05 * np.quantile(np.abs(points[number]), 0.999)
            one.set(xticks=[], yticks=[], aspect="equal", xlim=(-bound, bound), ylim=(-bound, bound),
                    title=f"σ = {levels[number]:.2g}")
        return figure


def by_evaluations(likelihoods: Mapping[str, Mapping[int, float]], distances: Mapping[tuple[str, int], np.ndarray],
                   noise: float) -> Figure:
    """Error of a likelihood, and squared distance of samples, by evaluations of the score; noise: of that distance
    between true points."""
    with plt.rc_context(style()):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.8))
        for mark, (name, errors) in zip(MARKS, likelihoods.items()):
            counts = sorted(errors)
            left.loglog(counts, [errors[count] for count in counts], mark + "-", markersize=4, label=name)
        left.set(title="Likelihood against a fine adaptive solver", xlabel="evaluations of the score",
                 ylabel="mean absolute error, nats")
        if likelihoods:
            left.legend()
            _plain_counts(left, sorted({count for errors in likelihoods.values() for count in errors})[::2])
        for mark, sampler in zip(MARKS, dict.fromkeys(name for name, _ in distances)):
            counts = [count for name, count in distances if name == sampler]
            right.loglog(counts, [max(distances[sampler, count].mean(), noise / 3) for count in counts], mark + "-",
                         markersize=4, label=sampler)
        right.axhspan(noise / 3, noise, color="gray", alpha=0.2, linewidth=0, label="of true points to others")
        right.set(title="Samples against true points", xlabel="evaluations of the score, at most",
                  ylabel="mmd, squared")
        right.legend()
        _plain_counts(right, sorted({count for _, count in distances}))
        return figure


def _plain_counts(axes, counts: list[int]) -> None:
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()


def _grid(bound: float, side: int) -> np.ndarray:
    places = np.linspace(-bound, bound, side, dtype=np.float32)
    return np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)


def _arrows(axes, places: np.ndarray, vectors: np.ndarray, color: str, width: float, longest: float) -> None:
    """One as long as the longest is a tenth of the picture."""
    axes.quiver(*places.T, *vectors.T, color=color, width=width, scale=10 * longest, scale_units="width")
