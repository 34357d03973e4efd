"""Where a convolution's window goes: strides, padding and dilations, and those of its two gradients."""

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

__all__ = ["Geometry", "each_axis", "geometry_of", "of_input_gradient", "of_weight_gradient", "output_size"]

SPATIAL = {1: "W", 2: "HW", 3: "DHW"}  # letters of jax.lax for as many spatial axes
Sizes = tuple[int, ...]
Padding = str | int | Sequence[int | tuple[int, int]]


class Geometry(NamedTuple):
    """The index arithmetic of y[p] = Σ_k x[p s + k d − lo] w[k], of each spatial axis its own.

    strides: s. padding: (lo, hi) places of zero before and after, less than 0 to crop. dilation: d, the distance of two
    taps of the kernel. input_dilation: a; between two places of the input are a − 1 of zero.
    """

    strides: Sizes
    padding: tuple[tuple[int, int], ...]
    dilation: Sizes
    input_dilation: Sizes


def geometry_of(input_size: Sizes, kernel_size: Sizes, *, strides: int | Sequence[int] = 1, padding: Padding = "SAME",
                dilation: int | Sequence[int] = 1, input_dilation: int | Sequence[int] = 1) -> Geometry:
    """The geometry that a convolution's keywords describe.

    "SAME": ⌈n/s⌉ places come out of n, the odd zero behind. "VALID": no zeros. n: n zeros on every side. Otherwise a
    number or a pair (before, after) for each spatial axis.

    Args:
      input_size, kernel_size: of each spatial axis. strides, dilation, input_dilation: one number for all, or one each.
    Returns:
      Geometry.
    Raises:
      ValueError: a kernel size, stride or dilation below 1, or another number of them than of spatial axes.
      ValueError: no such padding.
      ValueError: the window, with its dilation, is larger than the padded input.

    >>> geometry_of((5,), (3,), strides=2)
    Geometry(strides=(2,), padding=((1, 1),), dilation=(1,), input_dilation=(1,))
    """
    rank = len(input_size)
    kernel_size = each_axis("kernel_size", kernel_size, rank)
    s, d = each_axis("strides", strides, rank), each_axis("dilation", dilation, rank)
    a = each_axis("input_dilation", input_dilation, rank)
    reach = tuple(step * (taps - 1) + 1 for step, taps in zip(d, kernel_size))
    spread = tuple((size - 1) * step + 1 for size, step in zip(input_size, a))
    pairs = _padding(padding, spread, reach, s)
    for axis, (size, (lo, hi), needed) in enumerate(zip(spread, pairs, reach)):
        if size + lo + hi < needed:
            raise ValueError(f"the window must fit into the padded input: on spatial axis {axis} it reaches over "
                             f"{needed}, the input is {size} + {lo} + {hi} of padding; pad more or dilate less")
    return Geometry(s, pairs, d, a)


def output_size(geometry: Geometry, input_size: Sizes, kernel_size: Sizes) -> Sizes:
    """⌊(a (n − 1) + 1 + lo + hi − d (k − 1) − 1) / s⌋ + 1, of each spatial axis.

    >>> output_size(Geometry((2,), ((1, 1),), (1,), (1,)), (5,), (3,))
    (3,)
    """
    return tuple((a * (n - 1) + lo + hi - d * (k - 1)) // s + 1
                 for s, (lo, hi), d, a, n, k in zip(*geometry, input_size, kernel_size))


def of_input_gradient(geometry: Geometry, input_size: Sizes, kernel_size: Sizes) -> Geometry:
    """∂L/∂x is the convolution of ∂L/∂y with the flipped kernel: the stride becomes the dilation of its input.

    lo' = d (k − 1) − lo, and hi' such that as many places come out as went in.

    >>> of_input_gradient(Geometry((2,), ((1, 1),), (1,), (1,)), (5,), (3,))
    Geometry(strides=(1,), padding=((1, 1),), dilation=(1,), input_dilation=(2,))
    """
    out = output_size(geometry, input_size, kernel_size)
    pairs = tuple((d * (k - 1) - lo, a * (n - 1) + lo - s * (m - 1))
                  for s, (lo, _), d, a, n, k, m in zip(*geometry, input_size, kernel_size, out))
    return Geometry(geometry.input_dilation, pairs, geometry.dilation, geometry.strides)


def of_weight_gradient(geometry: Geometry, input_size: Sizes, kernel_size: Sizes) -> Geometry:
    """∂L/∂w is the cross-correlation of x with ∂L/∂y, which is the kernel now: stride and dilation change places.

    hi' is such that as many places come out as the kernel has taps.

    >>> of_weight_gradient(Geometry((2,), ((1, 1),), (1,), (1,)), (5,), (3,))
    Geometry(strides=(1,), padding=((1, 1),), dilation=(2,), input_dilation=(1,))
    """
    out = output_size(geometry, input_size, kernel_size)
    pairs = tuple((lo, d * (k - 1) + s * (m - 1) - a * (n - 1) - lo)
                  for s, (lo, _), d, a, n, k, m in zip(*geometry, input_size, kernel_size, out))
    return Geometry(geometry.dilation, pairs, geometry.strides, geometry.input_dilation)


def each_axis(name: str, given: int | Sequence[int], rank: int) -> Sizes:
    """One number for all axes, or one each, as one each.

    >>> each_axis("strides", 2, 3)
    (2, 2, 2)
    """
    each = tuple(given) if isinstance(given, Sequence) else (given,) * rank
    if len(each) != rank or not all(isinstance(one, Integral) and one >= 1 for one in each):
        raise ValueError(f"{name} must be a number of 1 or more, or {rank} of them, got {given}")
    return tuple(map(int, each))


def _padding(padding: Padding, spread: Sizes, reach: Sizes, strides: Sizes) -> tuple[tuple[int, int], ...]:
    if padding == "VALID":
        return ((0, 0),) * len(spread)
    if padding == "SAME":
        missing = [max(0, (-(-n // s) - 1) * s + r - n) for n, r, s in zip(spread, reach, strides)]
        return tuple((one // 2, one - one // 2) for one in missing)
    each = padding if isinstance(padding, Sequence) else [padding] * len(spread)
    pairs: list = [(one, one) if isinstance(one, Integral) else one for one in each]
    if len(pairs) != len(spread) or not all(
            isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(side, Integral) for side in pair)
            for pair in pairs):
        raise ValueError("padding must be SAME, VALID, a number, or a number or a pair of them for each of the "
                         f"{len(spread)} spatial axes, got {padding!r}")
    return tuple((int(lo), int(hi)) for lo, hi in pairs)
