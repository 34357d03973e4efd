"""A picture of forged images of three channels."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.runner.figures import style


def stacked(forged: np.ndarray, max_pixel: int) -> Figure:
    """A square of images of three channels."""
    side = int(min(10, len(forged)**0.5))
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, axes = plt.subplots(side, side, figsize=(5, 5.3), squeeze=False)
        for one, image in zip(axes.flat, forged):
            one.imshow(image / max_pixel)
            one.axis("off")
        figure.suptitle("Forged: three images in one, as red, green and blue", fontsize=10)
        return figure
