"""Small convolutions that the tests of this wing share: together they ask for every feature.

All are of whole numbers, so in float32 nothing is rounded, and what is equal is equal to the bit.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.convolution import conv
from tests.sandbox.convolution import textbook

RNG = np.random.default_rng(0)


def whole(*shape, dtype=np.float32):
    return RNG.integers(-3, 4, shape).astype(dtype)


class Problem(NamedTuple):
    """x, w, directions of both, and the gradient at the output; how: keywords of conv, loop: those of the textbook."""

    x: np.ndarray
    w: np.ndarray
    dx: np.ndarray
    dw: np.ndarray
    dy: np.ndarray
    how: dict[str, Any]
    loop: dict[str, Any]


class Derivatives(NamedTuple):
    """y, the gradient of ⟨dy, y⟩ to x and w, and both differentiated along dx and dw."""

    y: Any
    gradient: tuple
    y_tangent: Any
    gradient_tangent: tuple


def _problem(size, kernel_size, channels, how, padding):
    inside, out = channels
    every = {name: (value,) * len(size) if isinstance(value := how.get(name, 1), int) else value
             for name in ("strides", "dilation", "input_dilation")}
    loop = {"groups": how.get("groups", 1), "padding": padding, **every}
    x, w = (2, *size, inside), (*kernel_size, inside // loop["groups"], out)
    y = textbook.output_size(size, kernel_size, padding=padding, **every)
    return Problem(*map(lambda shape: whole(*shape), (x, w, x, w, (2, *y, out))), how, loop)


PROBLEMS = {
    "of one axis, strided, dilated": _problem((9,), (4,), (2, 3), {"strides": 2, "dilation": 2}, ((3, 3),)),
    "in groups, cropped, dilated twice": _problem(
        (7, 6), (3, 2), (4, 6), {"groups": 2, "strides": (2, 1), "padding": ((1, 2), (-1, 2)), "dilation": (2, 3),
                                 "input_dilation": (1, 2)}, ((1, 2), (-1, 2))),
    "depthwise": _problem((4, 5), (3, 2), (3, 6), {"groups": 3}, ((1, 1), (0, 1))),
    "of three axes, spread": _problem((3, 2, 3), (2, 2, 2), (1, 2), {"input_dilation": 2, "padding": 1,
                                                                    "strides": (1, 2, 1)}, ((1, 1),) * 3),
}
ONE_AXIS, GROUPED, DEPTHWISE, SPREAD = PROBLEMS


def by_hand(problem: Problem) -> Derivatives:
    """From the formulas: what is linear in each operand is its own derivative."""
    x, w, dx, dw, dy, _, loop = problem
    return Derivatives(textbook.conv(x, w, **loop), textbook.gradient(x, w, dy, **loop),
                       textbook.conv(dx, w, **loop) + textbook.conv(x, dw, **loop),
                       textbook.gradient(dx, dw, dy, **loop))


@functools.cache
def compiled(name):
    """(x, w, dx, dw, dy) -> Derivatives, forward over reverse."""
    @jax.jit
    def evaluate(x, w, dx, dw, dy):
        def projected(x, w):
            y = conv(x, w, **PROBLEMS[name].how)
            return jnp.sum(dy * y), y
        (gradient, y), (gradient_tangent, y_tangent) = jax.jvp(
            jax.grad(projected, (0, 1), has_aux=True), (x, w), (dx, dw))
        return Derivatives(y, gradient, y_tangent, gradient_tangent)
    return evaluate


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_array_equal(np.asarray(one, np.float64), np.asarray(other, np.float64))
