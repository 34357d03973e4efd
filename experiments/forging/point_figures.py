"""Pictures of points: what was forged over the density that it should have, and the plane as the discriminator sees it.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.forging.forger import Forger
from experiments.runner.figures import style
from sandbox.gan import Coverage, Mixture, log_density

ACROSS = 200  # places on a side of a map


def samples(drawn: np.ndarray, found: Coverage, spread: float, mixture: Mixture, first: int) -> Figure:
    """The first seed's samples over the density; and all of its samples of each mode, laid over each other.

    Args:
      drawn: (K, N, 2). found: of the K seeds. spread: of the first one's modes. first: its number.
    """
    points, sigma = drawn[0], mixture.sigma
    away = points[:, None] - mixture.centres[None]
    nearest = np.argmin(np.linalg.norm(away, axis=-1), axis=1)
    offsets = np.take_along_axis(away, nearest[:, None, None], axis=1)[:, 0] / sigma
    with plt.rc_context(style()):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 4.6))
        _density(left, mixture)
        left.plot(*points.T, ".", color="C1", markersize=2, alpha=0.5)
        left.set(title=f"Seed {first}: {int(found.modes[0])} of {len(mixture.centres)} modes, high quality "
                       f"{found.high_quality[0]:.3f}", aspect="equal")
        radius = 6
        for sigmas in (1, 2, 3):
            right.add_patch(plt.Circle((0, 0), sigmas, fill=False, color="gray", linewidth=0.8))
        right.plot(*offsets.T, ".", color="C1", markersize=2.5, alpha=0.5)
        right.set(title=f"All modes in one: spread {spread:.2f}, at best 1",
                  xlabel="σ from the nearest centre; circles at 1, 2 and 3", xlim=(-radius, radius),
                  ylim=(-radius, radius), aspect="equal")
        return figure


def every_seed(drawn: np.ndarray, found: Coverage, mixture: Mixture, first: int) -> Figure:
    """Samples of each seed, small."""
    columns = min(5, len(drawn))
    rows = -(-len(drawn) // columns)
    with plt.rc_context({**style(), "axes.grid": False, "axes.titlesize": 7.5, "axes.titleweight": "normal"}):
        figure, axes = plt.subplots(rows, columns, figsize=(2.1 * columns + 0.3, 2.3 * rows + 0.3), squeeze=False)
        bound = _bound(mixture)
        for k, one in enumerate(axes.flat):
            one.set(xticks=[], yticks=[], xlim=(-bound, bound), ylim=(-bound, bound), aspect="equal")
            if k >= len(drawn):
                one.axis("off")
                continue
            one.plot(*drawn[k].T, ",", color="C0")
            one.set_title(f"seed {first + k}: {int(found.modes[k])} modes\n{found.high_quality[k]:.3f} good, rKL "
                          f"{found.reverse_kl[k]:.3f}")
        return figure


def landscape(forger: Forger, mixture: Mixture) -> Figure:
    """The first seed's discriminator over the plane, and where its gradient draws what is forged."""
    bound = _bound(mixture)
    places = np.linspace(-bound, bound, ACROSS)
    plane = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2).astype(np.float32)
    logits = forger.realness(plane).reshape(ACROSS, ACROSS)
    low, high = np.quantile(logits, (0.02, 0.995))
    up, right = np.gradient(logits, places, places)
    few = slice(ACROSS // 40, None, ACROSS // 20)
    norms = np.maximum(np.hypot(up, right), 1e-12)
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, axes = plt.subplots(figsize=(5.4, 4.6))
        shown = axes.imshow(logits.clip(low, high), extent=(-bound, bound, -bound, bound), origin="lower",
                           cmap="RdBu_r")
        axes.quiver(places[few], places[few], (right / norms)[few, few], (up / norms)[few, few], color="black",
                    alpha=0.5, width=0.003)
        axes.plot(*mixture.centres.T, "o", markerfacecolor="none", markeredgecolor="black", markersize=7)
        axes.set(title="How real the discriminator takes a point for", aspect="equal",
                 xlabel="arrows: ∇D, along which a forged point is drawn; circles: modes")
        figure.colorbar(shown, ax=axes, label="logit", shrink=0.85)
        return figure


def _density(axes, mixture: Mixture) -> None:
    """Drawn as if wider where a mode would be smaller than a dot."""
    bound = _bound(mixture)
    places = np.linspace(-bound, bound, 2 * ACROSS)
    wider = mixture._replace(sigma=max(mixture.sigma, bound / 40))
    plane = np.stack(np.meshgrid(places, places), axis=-1).astype(np.float32)
    axes.contourf(places, places, np.exp(np.asarray(log_density(plane, wider))), levels=8, cmap="Blues", alpha=0.8)
    axes.set(xlim=(-bound, bound), ylim=(-bound, bound))


def _bound(mixture: Mixture) -> float:
    return float(1.25 * np.abs(mixture.centres).max() + 4 * mixture.sigma)
