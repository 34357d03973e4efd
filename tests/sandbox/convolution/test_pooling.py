"""Pooling and its gradient, by hand and by autodiff, against a plain loop and flax; ties, NaN, windows of padding."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.convolution import average_pool, derivatives, max_pool
from tests.sandbox.convolution import textbook
from tests.sandbox.convolution.problems import assert_equal, whole

BY_HAND = {average_pool: derivatives.average_pool_grad, max_pool: derivatives.max_pool_grad}
KINDS = {  # size, keywords, and in full: window, strides, padding, output size
    "side by side": ((4, 6), {"window": 2}, (2, 2), (2, 2), ((0, 0), (0, 0)), (2, 3)),
    "overlapping, same": ((5, 4), {"window": (4, 2), "strides": (1, 2), "padding": "SAME"},
                          (4, 2), (1, 2), ((1, 2), (0, 0)), (5, 2)),
    "cropped, padded": ((7, 3), {"window": 2, "padding": ((-1, 0), (1, 0))}, (2, 2), (2, 2), ((-1, 0), (1, 0)), (3, 2)),
    "of one axis": ((6,), {"window": 4, "strides": 1}, (4,), (1,), ((0, 0),), (3,)),
}


@pytest.mark.parametrize("pool", BY_HAND, ids=lambda pool: pool.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradient_by_autodiff_and_by_hand_are_a_plain_loop_s(kind, pool, float64):
    """Of whole numbers of which many are equal: the first of the largest takes the whole gradient."""
    size, how, window, strides, padding, out = KINDS[kind]
    x, dy = whole(2, *size, 3, dtype=float), whole(2, *out, 3, dtype=float)

    @jax.jit
    def evaluate(x, dy):
        y, back = jax.vjp(functools.partial(pool, **how), x)
        return y, back(dy)[0], BY_HAND[pool](x, dy, **how)

    y, dx = textbook.pool(x, dy, window, largest=pool is max_pool, strides=strides, padding=padding)
    for one, expected in zip(evaluate(x, dy), (y, dx, dx), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-14, atol=1e-14)


def test_pools_are_flax_s():
    how = {"strides": (2, 1), "padding": "SAME"}

    @jax.jit
    def evaluate(x):
        return ((max_pool(x, window=(3, 2), **how), average_pool(x, window=(3, 2), **how)),
                (nn.max_pool(x, (3, 2), **how), nn.avg_pool(x, (3, 2), count_include_pad=False, **how)))

    for one, other in zip(*evaluate(whole(2, 5, 4, 3)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_nan_in_a_window_is_its_largest_and_no_other_s():
    x = np.array([1, np.nan, 3, 4, 5, np.nan, 7, np.inf], np.float32).reshape(1, 8, 1)
    np.testing.assert_array_equal(max_pool(x, window=2).ravel(), [np.nan, 4, np.nan, np.inf])
    np.testing.assert_array_equal(max_pool(-x, window=2).ravel(), [np.nan, -3, np.nan, -7])


@pytest.mark.parametrize("pool, nothing", [(max_pool, -np.inf), (average_pool, 0)], ids=["max_pool", "average_pool"])
def test_a_window_of_padding_alone_sees_nothing_and_sends_no_gradient(pool, nothing):
    x, how = np.array([7, 7], np.float32).reshape(1, 2, 1), {"window": 2, "padding": ((2, 0),)}

    @jax.jit
    def evaluate(dy):
        y, back = jax.vjp(functools.partial(pool, **how), x)
        return y, back(dy)[0], BY_HAND[pool](x, dy, **how)

    y, slope, by_hand = evaluate(np.array([100, 1], np.float32).reshape(1, 2, 1))
    np.testing.assert_array_equal(y.ravel(), [nothing, 7])
    assert_equal(slope, by_hand)
    assert float(np.sum(slope)) == 1


def test_an_average_in_half_precision_is_rounded_once():
    x = 1 + np.random.default_rng(0).random((1, 6, 6, 50))
    y = jax.jit(functools.partial(average_pool, window=6))(jnp.asarray(x, jnp.bfloat16))
    assert y.dtype == max_pool(y, window=1).dtype == jnp.bfloat16
    exact = np.mean(np.asarray(x, jnp.bfloat16).astype(float), axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(np.asarray(y, float), exact, rtol=2**-8)


@pytest.mark.parametrize("options, words", [
    *(({"window": wrong}, f"window must be a number of 1 or more, or 2 of them, got {wrong}")
      for wrong in (0, 1.5, None, (2,), (2, 0), (2, 1.5))),
    ({"window": 2, "strides": 0}, "strides must be a number of 1 or more, or 2 of them, got 0"),
    ({"window": 2, "padding": "same"},
     "padding must be SAME, VALID, a number, or a number or a pair of them for each of the 2 spatial axes, got 'same'"),
    ({"window": (2, 5)}, "the window must fit into the padded input: on spatial axis 1 it reaches over 5, the input is "
                         "4 + 0 + 0 of padding; pad more or dilate less"),
])
@pytest.mark.parametrize("pool", BY_HAND, ids=lambda pool: pool.__name__)
def test_windows_that_cannot_be_are_refused(pool, options, words):
    with pytest.raises(ValueError) as error:
        pool(jnp.ones((1, 3, 4, 2)), **options)
    assert str(error.value) == words


@pytest.mark.parametrize("pool", BY_HAND, ids=lambda pool: pool.__name__)
def test_integers_are_refused(pool):
    with pytest.raises(TypeError, match="x must be floating, got int32"):
        pool(jnp.ones((1, 2, 1), int), window=2)
