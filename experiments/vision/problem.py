"""Images on the device, and how a batch of them is drawn."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import image_sets, images
from sandbox.convolution import Images, augmentation, mean_over_views
from sandbox.epochs import epoch_rows

MIRRORED = ("fashion-mnist", "cifar-10")  # whose things are the same seen in a mirror


def looked_at(apply_fn: Callable[..., jax.Array], mirrored: bool) -> Callable[..., jax.Array]:
    """The network as it is judged: where images may be mirrored, the mean of an image and its mirror image."""
    return mean_over_views(apply_fn, (lambda x: x, lambda x: x[:, :, ::-1])) if mirrored else apply_fn


class Scale(NamedTuple):
    """What pixels are brought to before a network sees them: (x / max_pixel − mean) / std. mean, std: (C,)."""

    mean: np.ndarray
    std: np.ndarray
    max_pixel: int


class Part(NamedTuple):
    """images: (N, H, W, C) uint8. labels: (N,) int32."""

    images: jax.Array
    labels: jax.Array


class Problem(NamedTuple):
    """train, judged: parts. held_out: whether `judged` is of the training part. class_names: K of them. scale: of the
    pixels that are learned from. mirrored: whether images may be flipped. fingerprint: of the data."""

    train: Part
    judged: Part
    held_out: bool
    class_names: tuple[str, ...]
    scale: Scale
    mirrored: bool
    fingerprint: str


class Augmentation(NamedTuple):
    """flip: probability. shift: pixels. cutout: pixels of a side. mixup: α, or 0."""

    flip: float = 0.0
    shift: int = 0
    cutout: int = 0
    mixup: float = 0.0


def read(dataset: str, data_dir: Any, hold_out: float = 0.0) -> Problem:
    """The problem that a set of images poses.

    Args:
      dataset: see `image_sets.load`. data_dir: see RunConfig.
      hold_out: share of the training part that is judged on in the place of the test part; 0: the test part.
    Raises:
      DataError, DataUnavailable: see experiments.data.
    """
    data = image_sets.load(dataset, data_dir)
    fingerprint = images.fingerprint(data)
    if hold_out:
        data = images.hold_out(data, hold_out)
    mean, std = images.channel_statistics(data.train_images, data.max_pixel)
    return Problem(
        Part(jnp.asarray(data.train_images), jnp.asarray(data.train_labels)),
        Part(jnp.asarray(data.test_images), jnp.asarray(data.test_labels)), hold_out > 0, data.class_names,
        Scale(mean, std, data.max_pixel), data.name in MIRRORED, fingerprint)


def scaled(images: jax.Array, scale: Scale) -> jax.Array:
    """(..., H, W, C) float32 of pixels.

    >>> scaled(jnp.array([[[[0], [16]]]]), Scale(np.array([0.5]), np.array([0.25]), 16)).ravel()
    Array([-2.,  2.], dtype=float32)
    """
    channels = (1,) * (images.ndim - 1) + (-1,)
    mean, std = (np.asarray(one, np.float32).reshape(channels) for one in (scale.mean, scale.std))
    return (images.astype(jnp.float32) / scale.max_pixel - mean) / std


def draw(key: jax.Array, step: jax.Array, train: Part, *, scale: Scale, num_classes: int, batch_size: int,
         how: Augmentation) -> Images:
    """The batch of a step: every image once an epoch, each as it could have been as well.

    Args:
      key: of the run. step: () steps done. train: to draw from. scale: of its pixels.
    """
    to_rows, to_change = jax.random.split(key)
    rows, _ = epoch_rows(to_rows, step, num_rows=train.images.shape[0], batch_size=batch_size)
    to_shift, to_flip, to_cutout, to_mixup = jax.random.split(jax.random.fold_in(to_change, step), 4)
    x = scaled(train.images[rows], scale)
    black = jnp.asarray(-np.asarray(scale.mean) / np.asarray(scale.std), jnp.float32)
    if how.shift:
        x = augmentation.shift(to_shift, x, most=how.shift, fill=black)
    if how.flip:
        x = augmentation.flip(to_flip, x, rate=how.flip)
    if how.cutout:  # by 0, the mean of all pixels
        x = augmentation.cutout(to_cutout, x, size=how.cutout)
    batch = Images(x, jax.nn.one_hot(train.labels[rows], num_classes), jnp.ones(batch_size))
    return augmentation.mixup(to_mixup, batch, alpha=how.mixup) if how.mixup else batch
