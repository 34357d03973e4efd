"""Pictures of a classifier: how it learned, its filters, the gradient that taught them, what it mistakes and why."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.runner.figures import style
from experiments.vision.classifier import ImageClassifier
from experiments.vision.problem import Part
from sandbox.convolution import derivatives

MOST_FILTERS, WORST, LOOKED_AT = 32, 16, 8
LAGS = 4  # pixels beyond the kernel, each way, of the correlation that is shown


def learning(lines: list[dict], accuracy: np.ndarray, name: str) -> Figure:
    """Training loss of every seed, and what share of unseen images each tells right at the end.

    Args:
      lines: of metrics.jsonl. accuracy: of as many seeds. name: of what was judged.
    """
    runs = list(dict.fromkeys(line["run"] for line in lines))
    with plt.rc_context(style()):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), width_ratios=(1.6, 1))
        for k, run in enumerate(runs):
            own = [line for line in lines if line["run"] == run]
            left.plot([line["step"] for line in own], [line["loss"] for line in own], linewidth=0.9, label=run)
            right.plot(accuracy[k] * 100, k, "o", color=f"C{k}")
        left.set(title="Training loss, on augmented images", xlabel="step", ylabel="nats")
        left.legend()
        right.axvline(np.mean(accuracy) * 100, color="gray", linewidth=0.9, label=f"mean, {np.mean(accuracy):.2%}")
        right.set_yticks(range(len(runs)), runs)
        right.margins(0.2)
        right.set(title="Accuracy", xlabel=f"% of {name} images")
        right.legend()
        return figure


def filters(classifier: ImageClassifier) -> Figure:
    """Kernels of the first convolution, the channels of each mixed as they are coloured."""
    kernel = classifier.filters()[..., :MOST_FILTERS]
    bound = np.abs(kernel).max()
    columns = min(8, kernel.shape[-1])
    rows = -(-kernel.shape[-1] // columns)
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, axes = plt.subplots(rows, columns, figsize=(columns, rows + 0.5), squeeze=False)
        for number, one in enumerate(axes.flat):
            one.axis("off")
            if number < kernel.shape[-1]:
                _show_signed(one, kernel[..., number], bound)
        figure.suptitle("What the first convolution looks for: red is bright, blue is dark", fontsize=10)
        return figure


def weight_gradient(classifier: ImageClassifier, part: Part) -> Figure:
    """An image, the gradient at the output of the first convolution, their cross-correlation, and the gradient of the
    kernel by autodiff, which is its middle; of the image that is understood least."""
    row = int(np.argmin(_p_of_label(classifier, part, min(200, len(part.labels)))))
    x, at_output, by_autodiff = classifier.back_through_stem(np.asarray(part.images[row]), int(part.labels[row]))
    filter_ = int(np.abs(by_autodiff).sum(axis=(0, 1, 2)).argmax())
    size = by_autodiff.shape[0]
    strides = -(-x.shape[1] // at_output.shape[1])
    lags = correlation_by_lag(x, at_output, size, strides)[..., 0, filter_]
    own = by_autodiff[..., 0, filter_]
    middle = lags[LAGS:-LAGS, LAGS:-LAGS]
    apart = np.abs(middle - own).max() / np.abs(own).max()
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, axes = plt.subplots(1, 4, figsize=(11, 3.2))
        axes[0].imshow(x[0, ..., 0], cmap="gray")
        axes[0].set_title("x, the image" if x.shape[-1] == 1 else "x, its first channel")
        _show_signed(axes[1], at_output[0, ..., filter_])
        axes[1].set_title("∂L/∂y, at the output")
        bound = np.abs(lags).max()
        _show_signed(axes[2], lags, bound)
        axes[2].add_patch(plt.Rectangle((LAGS - 0.5,) * 2, size, size, fill=False, linewidth=2))
        axes[2].set_title("their cross-correlation")
        _show_signed(axes[3], own, bound)
        axes[3].set_title("∂L/∂w by autodiff")
        axes[0].axis("off")
        figure.suptitle(f"A kernel's gradient is what the box holds: they differ by {apart:.0e} of its largest entry",
                        fontsize=10)
        return figure


def correlation_by_lag(x: np.ndarray, at_output: np.ndarray, size: int, strides: int) -> np.ndarray:
    """Σ_p x[p s + k − lo] dy[p] for the taps k of a kernel, padded SAME, and LAGS more each way: what is wanted of the
    kernel's gradient is its middle."""
    wide = size + 2 * LAGS
    missing = [(m - 1) * strides + size - n for n, m in zip(x.shape[1:3], at_output.shape[1:3])]
    padding = [(max(0, one) // 2 + LAGS, max(0, one) - max(0, one) // 2 + LAGS) for one in missing]
    return np.asarray(derivatives.weight_grad(x, at_output, kernel_size=(wide, wide), strides=strides, padding=padding))


def confusion(counts: np.ndarray, class_names: tuple[str, ...]) -> Figure:
    """What was taken for what: shares of a row's images, in percent."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    off = share - np.diag(np.diag(share))
    size = 2.5 + 0.45 * len(counts)
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, one = plt.subplots(figsize=(size + 0.6, size))
        one.imshow(off, cmap="Reds", vmin=0, vmax=max(off.max(), 0.01))
        for i, j in np.ndindex(*counts.shape):
            if counts[i, j]:
                shade = "gray" if i == j else "white" if off[i, j] > off.max() / 2 else "black"
                one.text(j, i, f"{share[i, j] * 100:.1f}" if i == j else f"{share[i, j] * 100:.2g}", ha="center",
                         va="center", fontsize=7, color=shade)
        one.set_xticks(range(len(class_names)), class_names, rotation=45, ha="right")
        one.set_yticks(range(len(class_names)), class_names)
        one.set(title="Taken for what, in percent", xlabel="taken for", ylabel="is")
        return figure


def saliency(classifier: ImageClassifier, part: Part) -> Figure:
    """Images of some classes, and how the logit of the likeliest class changes with each pixel."""
    labels = np.asarray(part.labels)
    rows = [int(np.argmax(labels == label)) for label in np.unique(labels)[:LOOKED_AT]]
    images = np.asarray(part.images[np.array(rows)])
    p = classifier.probabilities(images)
    slopes = classifier.saliency(images)
    with plt.rc_context({**style(), "axes.grid": False, "axes.titlesize": 7.5, "axes.titlelocation": "center"}):
        figure, axes = plt.subplots(2, len(rows), figsize=(1.35 * len(rows), 3.1), squeeze=False)
        for k, row in enumerate(rows):
            _show(axes[0, k], images[k], classifier.scale.max_pixel)
            axes[0, k].set_title(classifier.class_names[labels[row]])
            _show_signed(axes[1, k], slopes[k])
            axes[1, k].set_title(f"{classifier.class_names[p[k].argmax()]}, {p[k].max():.0%}")
        figure.suptitle("Brighter where red, and it would be surer of what it sees", fontsize=10)
        return figure


def worst_mistakes(classifier: ImageClassifier, part: Part, log_p: np.ndarray) -> Figure:
    """The images whose class was thought least likely.

    Args:
      log_p: (N, classes) of the part's images.
    """
    of_label = np.take_along_axis(log_p, np.asarray(part.labels)[:, None], axis=1)[:, 0]
    rows = np.argsort(of_label)[:WORST]
    with plt.rc_context({**style(), "axes.grid": False, "axes.titlesize": 6.5, "axes.titleweight": "normal",
                         "axes.titlelocation": "center"}):
        figure, axes = plt.subplots(2, -(-len(rows) // 2), figsize=(10, 3.6), squeeze=False)
        for one in axes.flat:
            one.axis("off")
        for one, row in zip(axes.flat, rows):
            taken = int(log_p[row].argmax())
            _show(one, np.asarray(part.images[int(row)]), classifier.scale.max_pixel)
            is_, was = classifier.class_names[int(part.labels[int(row)])], classifier.class_names[taken]
            taken_for = "right, though unsure" if is_ == was else f"{was}: {np.exp(log_p[row, taken]):.0%}"
            one.set_title(f"{is_}: {np.exp(of_label[row]):.0%}\n{taken_for}")
        figure.suptitle("Worst mistakes: what it is, and what it was taken for", fontsize=10)
        return figure


def _p_of_label(classifier: ImageClassifier, part: Part, num_images: int) -> np.ndarray:
    """Of the first images of a part."""
    p = classifier.probabilities(np.asarray(part.images[:num_images]))
    return p[np.arange(num_images), np.asarray(part.labels[:num_images])]


def _show(axes, image: np.ndarray, max_pixel: int) -> None:
    axes.imshow(image[..., 0] if image.shape[-1] == 1 else image / max_pixel, cmap="gray", vmin=0,
                vmax=max_pixel if image.shape[-1] == 1 else 1)
    axes.axis("off")


def _show_signed(axes, values: np.ndarray, bound: float | None = None) -> None:
    """A map in red and blue; of several channels, three of them as colours around gray."""
    bound = bound or max(float(np.abs(values).max()), 1e-12)
    if values.ndim == 3 and values.shape[-1] == 3:
        axes.imshow(0.5 + values / (2 * bound))
    else:
        axes.imshow(values.mean(axis=-1) if values.ndim == 3 else values, cmap="RdBu_r", vmin=-bound, vmax=bound)
    axes.axis("off")
