"""By hand: the gradients of a convolution, which are convolutions; of pooling; of the losses."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.convolution import stacked
from sandbox.convolution.convolve import check_groups, conv, join_groups, split_groups
from sandbox.convolution.geometry import Geometry, Padding, Sizes, each_axis, geometry_of, output_size
from sandbox.convolution.losses import Images, Maps
from sandbox.convolution.pooling import largest_seen, places_seen, window_of
from sandbox.convolution.taps import added, sent_by_tap

__all__ = [
    "average_pool_grad",
    "conv_jvp",
    "cross_entropy_logits_grad",
    "input_grad",
    "max_pool_grad",
    "squared_error_grad",
    "weight_grad",
]


def weight_grad(x: jax.Array, dy: jax.Array, *, kernel_size: int | Sequence[int], strides: int | Sequence[int] = 1,
                padding: Padding = "SAME", dilation: int | Sequence[int] = 1,
                input_dilation: int | Sequence[int] = 1, groups: int = 1, precision: Any = None) -> jax.Array:
    """∂L/∂w of `conv`: the cross-correlation of its input and of the gradient at its output.

    ∂L/∂w[k, i, o] = Σ_n Σ_p x[n, p s + k d − lo, i] ∂L/∂y[n, p, o].

    It is a convolution: of x, whose channels are the rows and whose rows are the channels, with ∂L/∂y as its kernel;
    dilation and stride change places.

    Args:
      x: (N, *size, I). dy: ∂L/∂y, (N, *output_size, O). kernel_size: of each spatial axis, or one number for
      all. The others: those of `conv`.
    Returns:
      (*kernel_size, I / groups, O).
    Raises:
      TypeError: the operands are of two types.
      ValueError: groups do not divide the channels, or dy is not of the shape that `conv` returns.
    Source: Goodfellow, Bengio, Courville 2016, "Deep learning", eq. 9.11.

    >>> x = jnp.arange(4.0).reshape(1, 4, 1)
    >>> weight_grad(x, jnp.ones((1, 3, 1)), kernel_size=(2,), padding="VALID").ravel()
    Array([3., 6.], dtype=float32)
    """
    check_groups(x.shape[-1], dy.shape[-1], groups)
    kernel_size = each_axis("kernel_size", kernel_size, x.ndim - 2)
    geometry = _checked(x, dy, x.shape[0], x.shape[1:-1], kernel_size, dy.shape[-1], strides=strides, padding=padding,
                        dilation=dilation, input_dilation=input_dilation)
    return join_groups(stacked.weight_gradient(split_groups(x, groups), split_groups(dy, groups), geometry,
                                               kernel_size, precision))


def input_grad(w: jax.Array, dy: jax.Array, *, input_size: Sequence[int], strides: int | Sequence[int] = 1,
               padding: Padding = "SAME", dilation: int | Sequence[int] = 1, input_dilation: int | Sequence[int] = 1,
               groups: int = 1, precision: Any = None) -> jax.Array:
    """∂L/∂x of `conv`: the convolution of the gradient at its output with the flipped kernel.

    ∂L/∂x[n, q, i] = Σ_k Σ_o ∂L/∂y[n, (q + lo − k d) / s, o] w[k, i, o], over the k for which that is a place of y.

    Args:
      w: (*kernel_size, I / groups, O). dy: ∂L/∂y, (N, *output_size, O). input_size: of each spatial axis of x.
      The others: those of `conv`.
    Returns:
      (N, *input_size, I).
    Raises:
      TypeError: the operands are of two types.
      ValueError: groups do not divide the channels, or dy is not of the shape that `conv` returns.
    Source: Goodfellow, Bengio, Courville 2016, "Deep learning", eq. 9.13.

    >>> w = jnp.array([1.0, 2.0]).reshape(2, 1, 1)
    >>> input_grad(w, jnp.ones((1, 3, 1)), input_size=(4,), padding="VALID").ravel()
    Array([1., 3., 3., 2.], dtype=float32)
    """
    check_groups(w.shape[-2] * groups, w.shape[-1], groups)
    geometry = _checked(w, dy, dy.shape[0], input_size, w.shape[:-2], w.shape[-1], strides=strides, padding=padding,
                        dilation=dilation, input_dilation=input_dilation)
    return join_groups(stacked.input_gradient(split_groups(dy, groups), split_groups(w, groups), geometry,
                                              tuple(input_size), precision))


def conv_jvp(x: jax.Array, w: jax.Array, dx: jax.Array, dw: jax.Array, **how: Any) -> jax.Array:
    """Directional derivative of `conv`, which is linear in each operand: dx ∗ w + x ∗ dw.

    Args:
      x, dx: (N, *size, I). w, dw: (*kernel_size, I / groups, O). how: keywords of `conv`.
    Returns:
      (N, *output_size, O).

    >>> one = jnp.ones((1, 1, 1))
    >>> conv_jvp(one, 2 * one, 3 * one, 4 * one).ravel()
    Array([10.], dtype=float32)
    """
    return conv(dx, w, **how) + conv(x, dw, **how)


def average_pool_grad(x: jax.Array, dy: jax.Array, *, window: int | Sequence[int],
                      strides: int | Sequence[int] | None = None, padding: Padding = "VALID") -> jax.Array:
    """∂L/∂x of `average_pool`: each place gets its share of the gradient at every window that sees it.

    Args:
      x: (N, *size, C). dy: ∂L/∂y, (N, *output_size, C). window, strides, padding: those of `average_pool`.
    Returns:
      (N, *size, C).
    Raises:
      TypeError, ValueError: what `average_pool` refuses; or dy is not of the shape that it returns.

    >>> average_pool_grad(jnp.zeros((1, 4, 1)), jnp.array([[[1.0], [3.0]]]), window=2).ravel()
    Array([0.5, 0.5, 1.5, 1.5], dtype=float32)
    """
    geometry, size = _window_checked(x, dy, window, strides, padding)
    share = dy / jnp.maximum(places_seen(x, geometry, size), 1)
    return added(sent_by_tap(share, tap, geometry, x.shape[1:-1], size) for tap in np.ndindex(*size)).astype(dy.dtype)


def max_pool_grad(x: jax.Array, dy: jax.Array, *, window: int | Sequence[int],
                  strides: int | Sequence[int] | None = None, padding: Padding = "VALID") -> jax.Array:
    """∂L/∂x of `max_pool`: the first of the largest places that a window sees gets its whole gradient.

    Args:
      x: (N, *size, C). dy: ∂L/∂y, (N, *output_size, C). window, strides, padding: those of `max_pool`.
    Returns:
      (N, *size, C).
    Raises:
      TypeError, ValueError: what `max_pool` refuses; or dy is not of the shape that it returns.

    >>> max_pool_grad(jnp.array([1.0, 3.0, 5.0, 5.0]).reshape(1, 4, 1), jnp.array([[[1.0], [2.0]]]), window=2).ravel()
    Array([0., 1., 2., 0.], dtype=float32)
    """
    geometry, size = _window_checked(x, dy, window, strides, padding)
    _, by = largest_seen(x, geometry, size)
    return added(sent_by_tap(jnp.where(by == number, dy, 0), tap, geometry, x.shape[1:-1], size)
                 for number, tap in enumerate(np.ndindex(*size)))


def cross_entropy_logits_grad(logits: jax.Array, batch: Images, *, label_smoothing: float = 0.0) -> jax.Array:
    """Gradient of `cross_entropy` to the logits: w_n / Σw · (p Σy' − y'), with y' = (1 − ε) y + ε/K.

    Args:
      logits: (N, K). batch: Images of N rows. label_smoothing: ε.
    Returns:
      (N, K).
    Source: Bishop 2006, eq. 4.109.

    >>> batch = Images(jnp.ones((1, 2, 2, 1)), jnp.array([[1.0, 0.0]]), jnp.ones(1))
    >>> cross_entropy_logits_grad(jnp.zeros((1, 2)), batch)
    Array([[-0.5,  0.5]], dtype=float32)
    """
    y = (1 - label_smoothing) * batch.targets + label_smoothing / logits.shape[-1]
    total = jnp.sum(batch.weights)
    share = batch.weights / jnp.where(total > 0, total, 1)
    return share[:, None] * (jax.nn.softmax(logits) * jnp.sum(y, axis=-1, keepdims=True) - y)


def squared_error_grad(maps: jax.Array, batch: Maps) -> jax.Array:
    """Gradient of `squared_error` to the predicted maps: 2 w / Σw · (f(x) − t).

    Args:
      maps: (N, *places, D). batch: Maps of N rows.
    Returns:
      (N, *places, D).

    >>> one = jnp.ones((1, 1, 1))
    >>> squared_error_grad(3 * one, Maps(one, one, jnp.ones((1, 1))))
    Array([[[4.]]], dtype=float32)
    """
    total = jnp.sum(batch.weights)
    share = batch.weights / jnp.where(total > 0, total, 1)
    return 2 * share[..., None] * (maps - batch.targets)


def _checked(other, dy, rows, input_size, kernel_size, out, **how) -> Geometry:
    geometry = geometry_of(tuple(input_size), tuple(kernel_size), **how)
    if dy.dtype != other.dtype:
        raise TypeError(f"dy must be of the type of the other operand, {other.dtype}, got {dy.dtype}")
    _check_shape(dy, (rows, *output_size(geometry, tuple(input_size), tuple(kernel_size)), out), "conv")
    return geometry


def _window_checked(x, dy, window, strides, padding) -> tuple[Geometry, Sizes]:
    geometry, size = window_of(x, window, strides, padding)
    _check_shape(dy, (x.shape[0], *output_size(geometry, x.shape[1:-1], size), x.shape[-1]), "pooling")
    return geometry, size


def _check_shape(dy: jax.Array, expected: tuple[int, ...], what: str) -> None:
    if dy.shape != expected:
        raise ValueError(f"dy must be what {what} returns, of the shape {expected}, got {dy.shape}")
