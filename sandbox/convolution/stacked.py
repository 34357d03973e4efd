"""Several convolutions side by side, as one operation that differentiation and `vmap` turn into itself.

y[r] = x[r] ∗ w[r]. Its two gradients are written with the same operation, on operands that are transposed into its one
layout, and a `vmap` over inputs and kernels only adds to the stack. So whatever is asked of it, what is compiled is a
plain convolution in the layout that a processor's fast kernels take: XLA on CPU would undo another layout outside a
loop, and inside one falls back on a kernel 20 to 30 times slower; and of stacked kernels it makes one convolution with
groups, several times slower than one after another. An operation with rules of its own, and not a `custom_jvp`, because
the rule for `vmap` has to hold for the transposed operation too.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from sandbox.convolution.geometry import SPATIAL, Geometry, of_input_gradient, of_weight_gradient
from sandbox.convolution.taps import added, seen_by_taps

__all__ = ["input_gradient", "stacked_conv", "weight_gradient"]

MOST_TAPS = 64  # of a sum written out: each takes time to compile
MOST_WRITTEN_OUT = 8  # of a stack, likewise; a loop would copy each operand out of it, and each result into it


def stacked_conv(x: jax.Array, w: jax.Array, geometry: Geometry, precision: Any = None) -> jax.Array:
    """y[r, n, p, o] = Σ_k Σ_i x[r, n, p s + k d − lo, i] w[r, k, i, o].

    Dimensions: R of the stack, N rows, p and k of one to three spatial axes, I channels in, O out.

    Args:
      x: (R, N, *input_size, I). w: (R, *kernel_size, I, O), of the same type. geometry: see Geometry.
      precision: of jax.lax.
    Returns:
      (R, N, *output_size, O).

    >>> two = jnp.arange(4.0).reshape(1, 1, 4, 1)
    >>> stacked_conv(two, jnp.ones((1, 2, 1, 1)), Geometry((1,), ((0, 0),), (1,), (1,))).ravel()
    Array([1., 3., 5.], dtype=float32)
    """
    if precision is None:  # it is traced once more when it is lowered, and a caller's context is over by then
        precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    return _conv_p.bind(*_varying_alike(x, w), geometry=geometry, precision=precision)


def input_gradient(dy: jax.Array, w: jax.Array, geometry: Geometry, input_size: tuple[int, ...],
                   precision: Any = None) -> jax.Array:
    """∂L/∂x of `stacked_conv`: the convolution of ∂L/∂y with the kernel flipped, its channels in for out.

    Args:
      dy: (R, N, *output_size, O). w: (R, *kernel_size, I, O). geometry: of the convolution. input_size: of its input.
      precision: of jax.lax.
    Returns:
      (R, N, *input_size, I).

    >>> input_gradient(jnp.ones((1, 1, 2, 1)), jnp.array([1.0, 2.0]).reshape(1, 2, 1, 1),
    ...                Geometry((1,), ((0, 0),), (1,), (1,)), (3,)).ravel()
    Array([1., 3., 2.], dtype=float32)
    """
    spatial = tuple(range(1, w.ndim - 2))
    flipped = jnp.flip(jnp.swapaxes(w, -1, -2), spatial)
    return stacked_conv(dy, flipped, of_input_gradient(geometry, input_size, w.shape[1:-2]), precision)


def weight_gradient(x: jax.Array, dy: jax.Array, geometry: Geometry, kernel_size: tuple[int, ...],
                    precision: Any = None) -> jax.Array:
    """∂L/∂w of `stacked_conv`: the cross-correlation of x and ∂L/∂y, Σ_n Σ_p x[n, p s + k d − lo, i] dy[n, p, o].

    As a convolution: the channels of x are its rows, the rows of x its channels, and ∂L/∂y is its kernel.

    Args:
      x: (R, N, *input_size, I). dy: (R, N, *output_size, O). geometry, kernel_size: of the convolution.
      precision: of jax.lax.
    Returns:
      (R, *kernel_size, I, O).

    >>> weight_gradient(jnp.arange(3.0).reshape(1, 1, 3, 1), jnp.ones((1, 1, 2, 1)),
    ...                 Geometry((1,), ((0, 0),), (1,), (1,)), (2,)).ravel()
    Array([1., 3.], dtype=float32)
    """
    channels_as_rows = jnp.swapaxes(x, 1, -1)
    dy_as_kernel = jnp.moveaxis(dy, 1, -2)
    correlation = of_weight_gradient(geometry, x.shape[2:-1], kernel_size)
    return jnp.moveaxis(stacked_conv(channels_as_rows, dy_as_kernel, correlation, precision), 1, -2)


def _varying_alike(x, w):
    """Under `shard_map`: what is the same on all devices meets what is not, so its gradient is summed over them."""
    own = [jax.typeof(one).manual_axis_type.varying for one in (x, w)]
    return [lax.pcast(one, tuple(sorted((own[0] | own[1]) - axes)), to="varying") for one, axes in zip((x, w), own)]


def _one(x, w, *, geometry: Geometry, precision):
    """One of the stack."""
    spatial = SPATIAL[len(geometry.strides)]
    return lax.conv_general_dilated(
        x, w, geometry.strides, geometry.padding, lhs_dilation=geometry.input_dilation,
        rhs_dilation=geometry.dilation, dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        precision=precision)


def _side_by_side(x, w, **how):
    """All at once, which an accelerator takes as groups."""
    if x.shape[0] == 1:
        return _one(x[0], w[0], **how)[None]
    return jax.vmap(partial(_one, **how))(x, w)


def _one_by_one(x, w, **how):
    """One after another, each at the speed of one alone; where each has one channel, as sums of shifted products."""
    if x.shape[0] > 1 and w.shape[-2:] == (1, 1) and math.prod(w.shape[1:-2]) <= MOST_TAPS:
        return _by_taps(x, w, how["geometry"])
    if x.shape[0] > MOST_WRITTEN_OUT:
        return lax.map(lambda operands: _one(*operands, **how), (x, w))
    return _in_turn(x, w, **how)


def _in_turn(x, w, **how):
    """One after another, written out."""
    return jnp.stack([_one(x[number], w[number], **how) for number in range(x.shape[0])])


def _by_taps(x, w, geometry: Geometry):
    """Σ_k x[r, n, p s + k d − lo] w[r, k], a term a tap."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return added(seen * jnp.expand_dims(w[(slice(None), *tap, 0, 0)], range(1, x.ndim)).astype(wide)
                 for tap, seen in seen_by_taps(x.astype(wide), geometry, w.shape[1:-2])).astype(x.dtype)


def _batched(operands, axes, **how):
    (x, w), (of_x, of_w) = operands, axes
    if of_w is None:
        x = jnp.moveaxis(x, of_x, 2)
        y = stacked_conv(x.reshape(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]), w, **how)
        return y.reshape(*x.shape[:3], *y.shape[2:]), 2
    if of_x is None:
        w = jnp.moveaxis(w, of_w, -2)
        y = stacked_conv(x, w.reshape(*w.shape[:-2], w.shape[-2] * w.shape[-1]), **how)
        return y.reshape(*y.shape[:-1], *w.shape[-2:]), y.ndim - 1
    x, w = jnp.moveaxis(x, of_x, 0), jnp.moveaxis(w, of_w, 0)
    y = stacked_conv(*(one.reshape(one.shape[0] * one.shape[1], *one.shape[2:]) for one in (x, w)), **how)
    return y.reshape(*x.shape[:2], *y.shape[1:]), 0


def _transposed_to_x(dy, x, w, *, geometry, precision):
    return input_gradient(dy, w, geometry, x.aval.shape[2:-1], precision)


def _transposed_to_w(dy, x, w, *, geometry, precision):
    return weight_gradient(x, dy, geometry, w.aval.shape[1:-2], precision)


_conv_p = Primitive("stacked_conv")
_conv_p.def_impl(_in_turn)
_conv_p.def_abstract_eval(lambda x, w, **how: jax.make_jaxpr(partial(_side_by_side, **how))(x, w).out_avals[0])
ad.defbilinear(_conv_p, _transposed_to_x, _transposed_to_w)
batching.primitive_batchers[_conv_p] = _batched
mlir.register_lowering(_conv_p, mlir.lower_fun(_side_by_side, multiple_results=False))
mlir.register_lowering(_conv_p, mlir.lower_fun(_one_by_one, multiple_results=False), platform="cpu")
