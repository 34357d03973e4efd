"""Made images beside the training images that they are nearest to."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.data.images import Images
from experiments.runner.figures import style
from experiments.vision.likeness import nearest_training

OF_CLASS, WITH_NEAREST = 10, 2


def beside_nearest(made: np.ndarray, labels: np.ndarray, data: Images) -> Figure:
    """A row for each class: made images, then some of them with their nearest neighbours among the training images.

    Args:
      made: (N, H, W, C) uint8 of one seed. labels: (N,).
    """
    names = data.class_names
    columns = OF_CLASS + 2 * WITH_NEAREST
    with plt.rc_context({**style(), "axes.grid": False, "axes.titlesize": 7, "axes.titleweight": "normal"}):
        figure, axes = plt.subplots(len(names), columns, figsize=(0.62 * columns + 1, 0.66 * len(names) + 0.8),
                                    squeeze=False, width_ratios=[1] * columns)
        for label, row in enumerate(axes):
            own = np.flatnonzero(labels == label)[:OF_CLASS + WITH_NEAREST]
            shown = [made[n] for n in own[:OF_CLASS]]
            for image, nearest in zip(made[own[OF_CLASS:]], nearest_training(made[own[OF_CLASS:]], data)):
                shown += [image, data.train_images[nearest]]
            for one, image in zip(row, shown):
                one.imshow(image[..., 0] if image.shape[-1] == 1 else image / data.max_pixel, cmap="gray", vmin=0,
                           vmax=data.max_pixel if image.shape[-1] == 1 else 1)
            for one in row:
                one.set(xticks=[], yticks=[])
                for spine in one.spines.values():
                    spine.set_visible(False)
            row[0].set_ylabel(names[label], rotation=0, ha="right", va="center", fontsize=7)
        for pair in range(WITH_NEAREST):
            axes[0, OF_CLASS + 2 * pair].set_title("made")
            axes[0, OF_CLASS + 2 * pair + 1].set_title("nearest\nreal")
        figure.suptitle("By class; at the right with the nearest training image", fontsize=10)
        return figure
