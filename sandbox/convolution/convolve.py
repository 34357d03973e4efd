"""Convolution with its derivatives: a drop-in for JAX's own that stays fast inside a compiled loop and under `vmap`."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from sandbox.convolution.geometry import SPATIAL, Padding, geometry_of
from sandbox.convolution.stacked import stacked_conv

__all__ = ["conv", "conv_general_dilated"]


def conv(x: jax.Array, w: jax.Array, *, strides: int | Sequence[int] = 1, padding: Padding = "SAME",
         dilation: int | Sequence[int] = 1, input_dilation: int | Sequence[int] = 1, groups: int = 1,
         precision: Any = None) -> jax.Array:
    """Convolution as networks have it: a cross-correlation, channels last.

    y[n, p, o] = Σ_k Σ_i x[n, p s + k d − lo, i] w[k, i, o];   with g groups, an output channel sees the I/g inputs of
    its own group. Its derivatives, of any order, are convolutions too: see `derivatives`.

    Dimensions: N rows, p and k of one to three spatial axes, I channels in, O out.

    Args:
      x: (N, *size, I) floating. w: (*kernel_size, I / groups, O), of the same type.
      strides, dilation: s and d, one for all axes or one each. input_dilation: zeros put between places of x, and one.
      padding: SAME, VALID, or numbers; see `geometry_of`.
      groups: of channels; I for a depthwise convolution. precision: of jax.lax.
    Returns:
      (N, *output_size, O).
    Raises:
      TypeError: operands that are not floating, or of two types.
      ValueError: x and w do not have the same one to three spatial axes.
      ValueError: groups do not divide the channels.
      ValueError: w is of another number of input channels than x / groups.
      ValueError: strides, dilation or padding that cannot be, or a kernel larger than the padded input.
    Source: Dumoulin, Visin 2016, "A guide to convolution arithmetic for deep learning".

    It is an operation of its own, `stacked_conv`, by that name in a jaxpr: policies of jax.checkpoint that save "dots"
    do not know it, jax.experimental.jet has no rule for it, and a mesh must leave sharding to the compiler
    (AxisType.Auto, as `sandbox.sharding` makes it).

    >>> conv(jnp.arange(4.0).reshape(1, 4, 1), jnp.array([1.0, 0.0, -1.0]).reshape(3, 1, 1)).ravel()
    Array([-1., -2., -2.,  2.], dtype=float32)
    """
    _check(x, w, groups)
    geometry = geometry_of(x.shape[1:-1], w.shape[:-2], strides=strides, padding=padding, dilation=dilation,
                           input_dilation=input_dilation)
    y = stacked_conv(split_groups(x, groups), split_groups(w, groups), geometry, precision)
    return join_groups(y)


def conv_general_dilated(lhs: jax.Array, rhs: jax.Array, window_strides: Sequence[int], padding: Padding,
                         lhs_dilation: Sequence[int] | None = None, rhs_dilation: Sequence[int] | None = None,
                         dimension_numbers: Any = None, feature_group_count: int = 1, precision: Any = None
                         ) -> jax.Array:
    """`conv` by the signature of jax.lax, for flax: nn.Conv(..., conv_general_dilated=conv_general_dilated).

    Args:
      lhs, rhs: x, w. window_strides: strides. lhs_dilation, rhs_dilation: input_dilation, dilation.
      dimension_numbers: those of nn.Conv, channels last. feature_group_count: groups.
    Returns:
      See `conv`.
    Raises:
      ValueError: dimension numbers of another layout. TypeError, ValueError: see `conv`.

    >>> conv_general_dilated(jnp.ones((1, 4, 1)), jnp.ones((2, 1, 1)), (2,), "VALID",
    ...                      dimension_numbers=("NWC", "WIO", "NWC")).ravel()
    Array([2., 2.], dtype=float32)
    """
    axes = SPATIAL.get(lhs.ndim - 2, "")
    ours = lax.conv_dimension_numbers(lhs.shape, rhs.shape, (f"N{axes}C", f"{axes}IO", f"N{axes}C"))
    if lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers) != ours:
        raise ValueError(f"dimension_numbers must have channels last, as in ('N{axes}C', '{axes}IO', 'N{axes}C'), got "
                         f"{dimension_numbers}")
    return conv(lhs, rhs, strides=window_strides, padding=padding, dilation=rhs_dilation or 1,
                input_dilation=lhs_dilation or 1, groups=feature_group_count, precision=precision)


def split_groups(x: jax.Array, groups: int) -> jax.Array:
    """(..., C) as a stack of (groups, ..., C / groups).

    >>> split_groups(jnp.arange(4.0), 2)
    Array([[0., 1.],
           [2., 3.]], dtype=float32)
    """
    return jnp.moveaxis(x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups), -2, 0)


def join_groups(x: jax.Array) -> jax.Array:
    """The stack of `split_groups` as (..., C) again.

    >>> join_groups(split_groups(jnp.arange(4.0), 2))
    Array([0., 1., 2., 3.], dtype=float32)
    """
    return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], x.shape[0] * x.shape[-1])


def check_groups(channels: int, out: int, groups: int) -> None:
    """Refuse groups that do not divide the channels.

    >>> check_groups(4, 6, 2)
    """
    if groups < 1 or channels % groups or out % groups:
        raise ValueError(f"groups must divide the {channels} input and {out} output channels, got {groups}")


def _check(x: jax.Array, w: jax.Array, groups: int) -> None:
    for name, operand in (("x", x), ("w", w)):
        if not jnp.issubdtype(operand.dtype, jnp.floating):
            mend = f"; {name} / 255 is" if operand.dtype == jnp.uint8 else ""
            raise TypeError(f"{name} must be floating, got {operand.dtype}{mend}")
    if x.dtype != w.dtype:
        raise TypeError(f"x and w must be of one type, got {x.dtype} and {w.dtype}")
    if x.ndim != w.ndim or x.ndim - 2 not in SPATIAL:
        raise ValueError("x must be (N, *size, I) and w (*kernel_size, I, O), of the same one to three spatial axes, "
                         f"got {x.shape} and {w.shape}")
    channels = x.shape[-1]
    check_groups(channels, w.shape[-1], groups)
    if w.shape[-2] != channels // groups:
        raise ValueError(f"w must have {channels} / {groups} = {channels // groups} input channels, as x has, got "
                         f"{w.shape[-2]} in its shape {w.shape}")
