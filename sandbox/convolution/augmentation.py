"""Images as they could have been as well: flipped, shifted, with a piece cut out, two mixed."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from sandbox.convolution.losses import Images
from sandbox.convolution.taps import added

__all__ = ["cutout", "flip", "mean_over_views", "mixup", "shift"]


def flip(key: jax.Array, images: jax.Array, *, rate: float = 0.5) -> jax.Array:
    """Each image mirrored, left for right, with a probability.

    Args:
      key: PRNG key. images: (N, H, W, C). rate: the probability, in [0, 1].
    Returns:
      (N, H, W, C).
    Raises:
      ValueError: rate is not in [0, 1].

    >>> flip(jax.random.key(0), jnp.arange(3.0).reshape(1, 1, 3, 1), rate=1.0).ravel()
    Array([2., 1., 0.], dtype=float32)
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must be in [0, 1], got {rate}")
    mirrored = jax.random.bernoulli(key, rate, (images.shape[0], 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


def shift(key: jax.Array, images: jax.Array, *, most: int, fill: jax.Array | float = 0.0) -> jax.Array:
    """Each image moved by whole pixels, each way by −most to most.

    Args:
      key: PRNG key. images: (N, H, W, C). most: pixels. fill: what comes in at the edges, a number or (C,).
    Returns:
      (N, H, W, C).
    Raises:
      ValueError: most is negative.

    >>> shift(jax.random.key(0), jnp.arange(1.0, 4.0).reshape(1, 1, 3, 1), most=1).ravel()
    Array([0., 1., 2.], dtype=float32)
    """
    if most < 0:
        raise ValueError(f"most must be 0 pixels or more, got {most}")
    rows, height, width, channels = images.shape
    padded = jnp.broadcast_to(_of_channels(fill, images), (rows, height + 2 * most, width + 2 * most, channels))
    padded = padded.at[:, most:most + height, most:most + width].set(images)
    start = jax.random.randint(key, (rows, 2), 0, 2 * most + 1)

    def window(image: jax.Array, at: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (at[0], at[1], 0), images.shape[1:])

    return jax.vmap(window)(padded, start)


def cutout(key: jax.Array, images: jax.Array, *, size: int, fill: jax.Array | float = 0.0) -> jax.Array:
    """Each image with a square of it covered; its centre is anywhere in the image, so that it may reach over the edge.

    Args:
      key: PRNG key. images: (N, H, W, C). size: of a side, in pixels; 0 covers nothing.
      fill: of the square, a number or (C,).
    Returns:
      (N, H, W, C).
    Raises:
      ValueError: size is negative.
    Source: DeVries, Taylor 2017.

    >>> cutout(jax.random.key(0), jnp.ones((1, 3, 3, 1)), size=6).sum()
    Array(0., dtype=float32)
    """
    if size < 0:
        raise ValueError(f"size must be 0 pixels or more, got {size}")
    rows, height, width, _ = images.shape
    to_row, to_column = jax.random.split(key)

    def covered(key: jax.Array, length: int) -> jax.Array:
        start = jax.random.randint(key, (rows, 1), 0, length) - size // 2
        place = jnp.arange(length)[None]
        return (place >= start) & (place < start + size)

    square = covered(to_row, height)[:, :, None, None] & covered(to_column, width)[:, None, :, None]
    return jnp.where(square, _of_channels(fill, images), images)


def mixup(key: jax.Array, batch: Images, *, alpha: float) -> Images:
    """Each image with another of the batch, and their targets in the same proportion.

    x = λ x_a + (1 − λ) x_b,   y = λ y_a + (1 − λ) y_b,   λ ~ Beta(α, α), one for the batch; weights likewise, but 0
    where either is padding.

    Args:
      key: PRNG key. batch: Images. alpha: α > 0; the smaller, the less is mixed.
    Returns:
      Images.
    Raises:
      ValueError: alpha is not positive.
    Source: Zhang et al. 2018, "mixup: beyond empirical risk minimization".

    >>> batch = Images(jnp.ones((2, 2, 2, 1)), jnp.eye(2), jnp.ones(2))
    >>> mixup(jax.random.key(0), batch, alpha=1.0).targets.sum(axis=1)
    Array([1., 1.], dtype=float32)
    """
    if not alpha > 0:
        raise ValueError(f"alpha must be positive, got {alpha}")
    to_share, to_order = jax.random.split(key)
    share = jax.random.beta(to_share, alpha, alpha, dtype=batch.images.dtype)
    other = jax.random.permutation(to_order, batch.images.shape[0])
    mixed = jax.tree.map(lambda leaf: share * leaf + (1 - share) * leaf[other], batch)
    real = (batch.weights > 0) & (batch.weights[other] > 0)
    return mixed._replace(weights=jnp.where(real, mixed.weights, 0))


def mean_over_views(apply_fn: Callable[..., jax.Array], views: Sequence[Callable[[jax.Array], jax.Array]]
                    ) -> Callable[..., jax.Array]:
    """The same network, which looks at an image in several ways: the mean of its logits.

    Args:
      apply_fn: (params, images) -> logits. views: functions of images, as the identity and a mirror.
    Returns:
      (params, images) -> logits.
    Raises:
      ValueError: no view.

    >>> twice = mean_over_views(lambda params, x: params * x[:, 0, :, 0], (lambda x: x, lambda x: x[:, :, ::-1]))
    >>> twice(2.0, jnp.arange(3.0).reshape(1, 1, 3, 1))
    Array([[2., 2., 2.]], dtype=float32)
    """
    if not views:
        raise ValueError("views must be one function of images or more, got none")

    def apply(params, images):
        return added(apply_fn(params, view(images)) for view in views) / len(views)

    return apply


def _of_channels(fill: jax.Array | float, images: jax.Array) -> jax.Array:
    """(1, 1, 1, C), of a number or (C,)."""
    return jnp.broadcast_to(jnp.asarray(fill, images.dtype), images.shape[-1:])[None, None, None]
