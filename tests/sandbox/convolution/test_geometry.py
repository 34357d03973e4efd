"""Index arithmetic, on drawn geometries of one axis, by counting and by plain loops: nothing is compiled."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import lax

from sandbox.convolution.geometry import (
    Geometry,
    geometry_of,
    of_input_gradient,
    of_weight_gradient,
    output_size,
)
from tests.sandbox.convolution import textbook
from tests.sandbox.convolution.problems import assert_equal, whole

drawn = settings(deadline=None, database=None, derandomize=True, max_examples=100)
FEW = st.integers(1, 4)


@st.composite
def windows(draw):
    """A geometry, and the sizes of an input and a kernel that fits into it."""
    size, kernel_size = draw(st.integers(1, 8)), draw(FEW)
    padding = draw(st.integers(-3, 4)), draw(st.integers(-3, 4))
    geometry = Geometry((draw(FEW),), (padding,), (draw(FEW),), (draw(FEW),))
    left = geometry.input_dilation[0] * (size - 1) + 1 + sum(padding)
    assume(left > geometry.dilation[0] * (kernel_size - 1))
    return geometry, (size,), (kernel_size,)


@drawn
@given(windows())
def test_the_window_fits_as_often_as_one_counts(window):
    geometry, size, kernel_size = window
    assert output_size(*window) == textbook.output_size(size, kernel_size, **geometry._asdict())


@drawn
@given(windows())
def test_both_gradients_are_the_convolutions_that_their_geometries_describe(window):
    """∂L/∂x of dy with the flipped kernel; ∂L/∂w of x, channels as rows, with dy, rows as channels."""
    geometry, size, kernel_size = window
    x, w, dy = whole(2, *size, 1), whole(*kernel_size, 1, 2), whole(2, *output_size(*window), 2)
    to_x = textbook.conv(dy, np.flip(w, 0).swapaxes(-1, -2), **of_input_gradient(*window)._asdict())
    to_w = textbook.conv(x.swapaxes(0, -1), np.moveaxis(dy, 0, -2), **of_weight_gradient(*window)._asdict())
    assert_equal((to_x, np.moveaxis(to_w, 0, -2)), textbook.gradient(x, w, dy, **geometry._asdict()))


@drawn
@given(windows())
def test_the_gradient_of_a_gradient_is_the_convolution_again(window):
    geometry, size, kernel_size = window
    out = output_size(*window)
    assert output_size(of_input_gradient(*window), out, kernel_size) == size
    assert output_size(of_weight_gradient(*window), size, out) == kernel_size
    again = of_input_gradient(of_input_gradient(*window), out, kernel_size)
    unused = (size[0] - 1) * geometry.input_dilation[0] + sum(geometry.padding[0]) - (
        geometry.dilation[0] * (kernel_size[0] - 1)) - geometry.strides[0] * (out[0] - 1)
    (lo, hi), = geometry.padding
    assert again == geometry._replace(padding=((lo, hi - unused),))  # but for places that no window sees
    assert of_weight_gradient(of_weight_gradient(*window), size, out) == again


@drawn
@given(st.integers(1, 12), FEW, FEW, FEW)
def test_same_is_jax_s_and_gives_a_place_per_stride(size, kernel_size, stride, dilation):
    geometry = geometry_of((size,), (kernel_size,), strides=stride, dilation=dilation)
    reach = dilation * (kernel_size - 1) + 1
    assert geometry.padding == tuple(lax.padtype_to_pads((size,), (reach,), (stride,), "SAME"))
    assert output_size(geometry, (size,), (kernel_size,)) == (-(-size // stride),)


def test_one_number_is_of_all_axes_and_both_sides():
    assert geometry_of((5, 6), (2, 2), strides=2, padding=1, dilation=3, input_dilation=2) == Geometry(
        (2, 2), ((1, 1), (1, 1)), (3, 3), (2, 2))
    assert geometry_of((5, 6), (2, 2), padding=(1, (2, -1))).padding == ((1, 1), (2, -1))
    assert geometry_of((5, 6), (2, 2), padding="VALID").padding == ((0, 0), (0, 0))
