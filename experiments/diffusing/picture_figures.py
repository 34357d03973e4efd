"""Pictures of images in the making, and of what was missing of them."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.runner.figures import style

SHOWN, CLASSES = 9, 5  # moments, and images


def making(levels: np.ndarray, path: np.ndarray) -> Figure:
    """Noise to images, a strip: of each image what it is at some levels, and below it what the score takes it for.

    Args:
      levels: (M,). path: (M, 2, N, H, W, C).
    """
    chosen = np.unique(np.linspace(0, len(levels) - 1, SHOWN).round().astype(int))
    num = min(CLASSES, path.shape[2])
    with plt.rc_context({**style(), "axes.grid": False, "axes.titlesize": 8, "axes.titleweight": "normal"}):
        figure, axes = plt.subplots(2 * num, len(chosen), figsize=(0.75 * len(chosen) + 0.6, 1.5 * num + 0.5),
                                    squeeze=False)
        for column, number in enumerate(chosen):
            for n in range(num):
                for kind in range(2):
                    _show(axes[2 * n + kind, column], path[number, kind, n])
            axes[0, column].set_title(f"σ {levels[number]:.2g}")
        for n in range(num):
            axes[2 * n, 0].set_ylabel("noised", fontsize=6)
            axes[2 * n + 1, 0].set_ylabel("denoised", fontsize=6)
        return figure


def inpainting(real: np.ndarray, filled: np.ndarray, mask: np.ndarray, max_pixel: int) -> Figure:
    """Rows: images as they are, what was shown of them, and several fillings.

    Args:
      real: (N, H, W, C). filled: (M, N, H, W, C). mask: (H, W, C), true where shown.
    """
    shown = np.where(mask[None], real.astype(float), np.nan)
    rows = [("real", real), ("shown", shown), *((f"filled {number + 1}", one) for number, one in enumerate(filled))]
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, axes = plt.subplots(len(rows), len(real), figsize=(0.75 * len(real) + 0.9, 0.78 * len(rows) + 0.4),
                                    squeeze=False)
        for line, (name, images) in zip(axes, rows):
            for one, image in zip(line, images):
                _show(one, image, (0, max_pixel))
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7)
        figure.suptitle("Unseen images, the lower half made anew", fontsize=10)
        return figure


def _show(axes, image: np.ndarray, bounds: tuple[float, float] | None = None) -> None:
    low, high = bounds or (image.min(), image.max())
    pixels = (image[..., 0] if image.shape[-1] == 1 else ((image - low) / max(high - low, 1e-6)).clip(0, 1))
    axes.imshow(pixels, cmap="gray", vmin=low, vmax=high)
    axes.set_facecolor("C1")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
