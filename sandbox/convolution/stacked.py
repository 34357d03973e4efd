"""Several convolutions side by side, as one operation that differentiation and `vmap` turn into itself.

y[r] = x[r] ∗ w[r]. Its gradient to x is the same operation, that to w its other form, which correlates x and ∂L/∂y by
transposing both into the layout of the first; the gradients of that form are the first again; and a `vmap` over both
operands only adds to the stack. So whatever is asked of it, what is compiled is a plain convolution in the layout that
a processor's fast kernels take: XLA on CPU would undo another layout outside a loop, and inside one falls back on a
kernel 20 to 30 times slower; and of stacked kernels it makes one convolution with groups, several times slower than one
after another. An operation with rules of its own, and not a `custom_jvp`, because the rule for `vmap` has to hold for
the transposed operation too.
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
    return _bind(x, w, geometry, precision, correlates=False)


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
    return _bind(x, dy, of_weight_gradient(geometry, x.shape[2:-1], kernel_size), precision, correlates=True)


def _bind(x, w, geometry, precision, correlates):
    if precision is None:  # it is traced once more when it is lowered, and a caller's context is over by then
        precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    return _conv_p.bind(*_varying_alike(x, w), geometry=geometry, precision=precision, correlates=correlates)


def _varying_alike(x, w):
    """Under `shard_map`: what is the same on all devices meets what is not, so its gradient is summed over them."""
    own = [jax.typeof(one).manual_axis_type.varying for one in (x, w)]
    return [lax.pcast(one, tuple(sorted((own[0] | own[1]) - axes)), to="varying") for one, axes in zip((x, w), own)]


def _one(x, w, *, geometry: Geometry, precision, correlates):
    """One of the stack. To correlate, the channels of x are the rows, its rows the channels, and w is ∂L/∂y."""
    spatial = SPATIAL[len(geometry.strides)]
    if correlates:
        x, w = jnp.swapaxes(x, 0, -1), jnp.moveaxis(w, 0, -2)
    y = lax.conv_general_dilated(
        x, w, geometry.strides, geometry.padding, lhs_dilation=geometry.input_dilation,
        rhs_dilation=geometry.dilation, dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        precision=precision)
    return jnp.moveaxis(y, 0, -2) if correlates else y


def _side_by_side(x, w, **how):
    """All at once, which an accelerator takes as groups."""
    if x.shape[0] == 1:
        return _one(x[0], w[0], **how)[None]
    return jax.vmap(partial(_one, **how))(x, w)


def _one_by_one(x, w, **how):
    """One after another, each at the speed of one alone; where each has one channel, as sums of shifted products."""
    depthwise = not how["correlates"] and x.shape[0] > 1 and w.shape[-2:] == (1, 1)
    if depthwise and math.prod(w.shape[1:-2]) <= MOST_TAPS:
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


def _batched(operands, axes, *, correlates, **how):
    """Of x alone: more rows, or to correlate, more channels. Of w alone: more channels out. Of both: a higher stack."""
    bind = partial(_bind, **how, correlates=correlates)
    (x, w), (of_x, of_w) = operands, axes
    if of_w is None:
        axis = -2 if correlates else 1
        return _parted(bind(_merged(jnp.moveaxis(x, of_x, axis), axis), w), axis, x.shape[of_x])
    if of_x is None:
        y = bind(x, _merged(jnp.moveaxis(w, of_w, -2), -2))
        return _parted(y, -1, w.shape[of_w])
    y = bind(*(_merged(jnp.moveaxis(one, axis, 0), 0) for one, axis in ((x, of_x), (w, of_w))))
    return _parted(y, 0, x.shape[of_x])


def _merged(x, axis):
    """An axis and the next as one."""
    axis %= x.ndim
    return x.reshape(*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2:])


def _parted(x, axis, number):
    """The inverse, with the place of the first of the two, of length `number`."""
    axis %= x.ndim
    return x.reshape(*x.shape[:axis], number, x.shape[axis] // number, *x.shape[axis + 1:]), axis


def _transposed_to_x(cotangent, x, w, *, geometry, precision, correlates):
    size = x.aval.shape[2:-1]
    if correlates:
        return input_gradient(w, cotangent, of_weight_gradient(geometry, size, w.shape[2:-1]), size, precision)
    return input_gradient(cotangent, w, geometry, size, precision)


def _transposed_to_w(cotangent, x, w, *, geometry, precision, correlates):
    if correlates:
        convolution = of_weight_gradient(geometry, x.shape[2:-1], w.aval.shape[2:-1])
        return stacked_conv(x, cotangent, convolution, precision)
    return weight_gradient(x, cotangent, geometry, w.aval.shape[1:-2], precision)


_conv_p = Primitive("stacked_conv")
_conv_p.def_impl(_in_turn)
_conv_p.def_abstract_eval(lambda x, w, **how: jax.make_jaxpr(partial(_side_by_side, **how))(x, w).out_avals[0])
ad.defbilinear(_conv_p, _transposed_to_x, _transposed_to_w)
batching.primitive_batchers[_conv_p] = _batched
mlir.register_lowering(_conv_p, mlir.lower_fun(_side_by_side, multiple_results=False))
mlir.register_lowering(_conv_p, mlir.lower_fun(_one_by_one, multiple_results=False), platform="cpu")
