"""Convolution and its derivatives against a plain loop, finite differences, its laws, its types, and flax."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from sandbox.convolution import conv, conv_general_dilated
from tests.sandbox.convolution.problems import (
    DEPTHWISE,
    ONE_AXIS,
    PROBLEMS,
    assert_equal,
    by_hand,
    compiled,
    whole,
)

CONV = jax.jit(conv, static_argnames=("strides", "padding", "dilation", "input_dilation", "groups"))


@pytest.mark.parametrize("name", PROBLEMS)
def test_value_gradient_and_both_along_a_direction_are_a_plain_loop_s(name):
    assert_equal(compiled(name)(*PROBLEMS[name][:5]), by_hand(PROBLEMS[name]))


def test_finite_differences_to_second_order_in_both_modes(float64):
    problem = PROBLEMS[ONE_AXIS]
    squared = jax.jit(lambda x, w: jnp.sum(conv(x, w, **problem.how) ** 2))
    check_grads(squared, (problem.x.astype(float), problem.w.astype(float)), order=2, modes=("fwd", "rev"), rtol=1e-5)


def test_eager_is_compiled():
    x, w, *_, how, _ = PROBLEMS[DEPTHWISE]
    assert_equal(conv(x, w, **how), CONV(x, w, **how))


X, W = whole(2, 6, 5, 4), whole(3, 3, 4, 2)


def test_a_shifted_image_gives_a_shifted_map():
    y = CONV(X, W, padding="VALID")
    assert_equal(CONV(np.roll(X, 1, axis=1), W, padding="VALID")[:, 1:], y[:, :-1])


def test_it_is_linear_in_each_operand():
    y = CONV(X, W)
    assert_equal(CONV(2 * X + X[::-1], W), 2 * y + y[::-1])
    assert_equal(CONV(X, 2 * W - W[..., ::-1]), 2 * y - y[..., ::-1])


def test_a_kernel_of_one_place_is_a_matrix_product_as_is_one_of_the_whole_image():
    one = whole(1, 1, 4, 3)
    assert_equal(CONV(X, one), np.einsum("nhwi,io->nhwo", X, one[0, 0]))
    image = whole(6, 5, 4, 3)
    assert_equal(CONV(X, image, padding="VALID")[:, 0, 0], np.einsum("nhwi,hwio->no", X, image))


def test_a_kernel_that_is_one_at_its_middle_changes_nothing():
    assert_equal(CONV(X, np.pad(np.eye(4, dtype=np.float32)[None, None], ((1, 1), (1, 1), (0, 0), (0, 0)))), X)


def test_two_kernels_in_turn_are_one_that_is_the_convolution_of_both():
    """Σ_j (Σ_k x[p + j + k] v[k]) w[j] = Σ_m x[p + m] u[m],   u[m] = Σ_j v[m − j] w[j]."""
    v = whole(2, 2, 4, 4)
    inputs_as_rows = np.moveaxis(v, 2, 0)
    u = np.moveaxis(CONV(inputs_as_rows, np.flip(W, (0, 1)), padding=2), 0, 2)
    assert_equal(CONV(X, u, padding="VALID"), CONV(CONV(X, v, padding="VALID"), W, padding="VALID"))


def test_groups_are_convolutions_of_their_own():
    y = CONV(X, W[:, :, :2], groups=2)
    apart = [CONV(X[..., 2 * g:2 * g + 2], W[:, :, :2, g:g + 1]) for g in range(2)]
    assert_equal(y, jnp.concatenate(apart, axis=-1))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float64], ids=lambda dtype: dtype.__name__)
def test_types_are_kept(dtype, float64):
    """All that goes in and comes out is a whole number below 256, which is exact in any of them."""
    problem = PROBLEMS[ONE_AXIS]
    derivatives = compiled(ONE_AXIS)(*(array.astype(dtype) for array in problem[:5]))
    assert {leaf.dtype for leaf in jax.tree.leaves(derivatives)} == {jnp.dtype(dtype)}
    assert_equal(derivatives, by_hand(problem))


def test_of_no_images_there_are_no_maps_and_a_gradient_of_zero():
    y, back = jax.vjp(lambda x, w: conv(x, w, strides=2), X[:0], W)
    to_x, to_w = back(y)
    assert y.shape == (0, 3, 3, 2) and to_x.shape == (0, 6, 5, 4) and to_w.shape == W.shape and not to_w.any()


@pytest.mark.parametrize("options", [
    {"strides": (2, 1), "padding": ((1, 0), (2, 1)), "kernel_dilation": (1, 2), "feature_group_count": 2},
    {"padding": "CIRCULAR", "use_bias": False},
    {"padding": ((1, 1), (2, 2)), "input_dilation": (2, 1)},
], ids=["strides, dilation, groups, bias", "circular", "input dilation"])
def test_a_layer_of_flax_takes_it_for_its_own(options):
    layer = nn.Conv(2, (3, 2), **options)
    params = jax.tree.map(lambda leaf: whole(*leaf.shape), jax.eval_shape(layer.init, jax.random.key(0), X))

    def evaluate(layer):
        def projected(params, x):
            y = layer.apply(params, x)
            return jnp.sum(y ** 2), y
        return jax.jit(jax.grad(projected, (0, 1), has_aux=True))(params, X)

    with jax.numpy_rank_promotion("allow"):  # flax adds its bias so
        assert_equal(evaluate(layer.clone(conv_general_dilated=conv_general_dilated)), evaluate(layer))


def test_other_layouts_are_refused():
    with pytest.raises(ValueError) as error:
        conv_general_dilated(X, W, (1, 1), "SAME", dimension_numbers=("NCHW", "HWIO", "NCHW"))
    assert str(error.value) == ("dimension_numbers must have channels last, as in ('NHWC', 'HWIO', 'NHWC'), got "
                                "('NCHW', 'HWIO', 'NCHW')")


AXES = "x must be (N, *size, I) and w (*kernel_size, I, O), of the same one to three spatial axes, got"
NUMBER = "must be a number of 1 or more, or 2 of them, got"
PADDING = "padding must be SAME, VALID, a number, or a number or a pair of them for each of the 2 spatial axes, got"
FIT = "the window must fit into the padded input: on spatial axis"


@pytest.mark.parametrize("x, w, options, words", [
    (X[0], W, {}, f"{AXES} (6, 5, 4) and (3, 3, 4, 2)"),
    (X[0, 0], W[0, 0], {}, f"{AXES} (5, 4) and (4, 2)"),
    (X[:, None, None], W[None, None], {}, f"{AXES} (2, 1, 1, 6, 5, 4) and (1, 1, 3, 3, 4, 2)"),
    (X[..., :3], W, {}, "w must have 3 / 1 = 3 input channels, as x has, got 4 in its shape (3, 3, 4, 2)"),
    (X, W, {"groups": 2}, "w must have 4 / 2 = 2 input channels, as x has, got 4 in its shape (3, 3, 4, 2)"),
    (X, W, {"groups": 3}, "groups must divide the 4 input and 2 output channels, got 3"),
    (X, W[:, :, :1], {"groups": 4}, "groups must divide the 4 input and 2 output channels, got 4"),
    (X, W, {"groups": 0}, "groups must divide the 4 input and 2 output channels, got 0"),
    *((X, W, {name: wrong}, f"{name} {NUMBER} {wrong}") for name in ("strides", "dilation", "input_dilation")
      for wrong in (0, 1.5, None, (1, 0), (1.5, 1), (1, 1, 1))),
    *((X, W, {"padding": wrong}, f"{PADDING} {wrong!r}")
      for wrong in ("same", None, 0.5, (1,), ((1, 1), (1, 1, 1)), ((1, 1), (1, 0.5)))),
    (X[:, :2], W, {"padding": "VALID"}, f"{FIT} 0 it reaches over 3, the input is 2 + 0 + 0 of padding; pad more or "
                                        "dilate less"),
    (X, W, {"padding": ((1, 1), (1, -2)), "dilation": 2}, f"{FIT} 1 it reaches over 5, the input is 5 + 1 + -2 of "
                                                          "padding; pad more or dilate less"),
])
def test_shapes_and_numbers_that_cannot_be_are_refused(x, w, options, words):
    with pytest.raises(ValueError) as error:
        conv(jnp.asarray(x), jnp.asarray(w), **options)
    assert str(error.value) == words


def test_a_kernel_of_no_taps_is_refused():
    with pytest.raises(ValueError, match="kernel"):
        conv(X, W[:0])


def test_numbers_may_be_numpy_s():
    two = np.int64(2)
    assert_equal(CONV(X, W, strides=two, padding=((two, two), two)), CONV(X, W, strides=2, padding=2))


@pytest.mark.parametrize("of_x, of_w, words", [
    (np.uint8, np.float32, "x must be floating, got uint8; x / 255 is"),
    (np.float32, np.int32, "w must be floating, got int32"),
    (np.complex64, np.complex64, "x must be floating, got complex64"),
    (np.float32, np.float16, "x and w must be of one type, got float32 and float16"),
])
def test_types_that_cannot_be_are_refused(of_x, of_w, words):
    with pytest.raises(TypeError) as error:
        conv(jnp.ones((1, 3, 1), of_x), jnp.ones((3, 1, 1), of_w))
    assert str(error.value) == words
