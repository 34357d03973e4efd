"""The gradients by hand: a plain loop's, transposes of the convolution, and what does not fit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.convolution import Images, backpropagation, conv, derivatives
from sandbox.convolution.backpropagation import Classifier
from sandbox.convolution.geometry import SPATIAL, geometry_of
from tests.sandbox.convolution.problems import GROUPED, PROBLEMS, SPREAD, assert_equal, by_hand


@pytest.mark.parametrize("name", [GROUPED, SPREAD])
def test_the_convolution_and_its_two_gradients_are_transposes_of_each_other(name):
    """⟨dy, x ∗ w⟩ = ⟨x, ∂L/∂x⟩ = ⟨w, ∂L/∂w⟩, and each gradient is a plain loop's."""
    x, w, _, _, dy, how, _ = PROBLEMS[name]

    @jax.jit
    def evaluate(x, w, dy):
        return (derivatives.input_grad(w, dy, input_size=x.shape[1:-1], **how),
                derivatives.weight_grad(x, dy, kernel_size=w.shape[:-2], **how)), conv(x, w, **how)

    (to_x, to_w), y = evaluate(x, w, dy)
    assert np.vdot(dy, y) == np.vdot(x, to_x) == np.vdot(w, to_w) != 0
    assert_equal((to_x, to_w), by_hand(PROBLEMS[name]).gradient)


def test_a_network_of_one_axis_is_back_propagated_too(float64):
    """A max-pool of 7 places leaves one out; the second image is padding, so its gradient is none."""
    rng = np.random.default_rng(0)
    params = Classifier(rng.normal(size=(3, 2, 4)), rng.normal(size=4), rng.normal(size=(4, 3)))
    batch = Images(rng.normal(size=(2, 7, 2)), np.eye(3)[:2], np.array([2.0, 0.0]))

    def loss(params):
        log_p = jax.nn.log_softmax(backpropagation.classifier_logits(params, batch.images))
        return -jnp.sum(batch.targets[0] * log_p[0])

    gradient, by_hand = jax.jit(lambda params: (
        jax.grad(loss)(params), backpropagation.classifier_grad(params, batch)))(params)
    for one, other in zip(by_hand, gradient, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_types_that_differ_are_refused():
    with pytest.raises(TypeError, match="dy must be of the type of the other operand, float32, got float16"):
        derivatives.weight_grad(X, DY.astype(jnp.float16), kernel_size=(3, 2))
    with pytest.raises(TypeError, match="dy must be of the type of the other operand, float16, got float32"):
        derivatives.input_grad(W.astype(jnp.float16), DY, input_size=(5, 4))


X, W, DY = jnp.ones((1, 5, 4, 2)), jnp.ones((3, 2, 2, 3)), jnp.ones((1, 5, 4, 3))


@pytest.mark.parametrize("call, words", [
    (lambda: derivatives.weight_grad(X, DY[:, 1:], kernel_size=(3, 2)), "dy must be what conv returns"),
    (lambda: derivatives.weight_grad(X, jnp.ones((2, 5, 4, 3)), kernel_size=(3, 2)), "dy must be what conv returns"),
    (lambda: derivatives.weight_grad(X, DY, kernel_size=(3, 2), groups=2),
     "groups must divide the 2 input and 3 output"),
    (lambda: derivatives.input_grad(W, DY, input_size=(5, 4), strides=2), "dy must be what conv returns"),
    (lambda: derivatives.input_grad(W, DY[..., :2], input_size=(5, 4)), "dy must be what conv returns"),
])
def test_what_conv_would_not_return_is_refused(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value).startswith(words)


@pytest.mark.parametrize("by_hand", [derivatives.average_pool_grad, derivatives.max_pool_grad])
def test_a_gradient_of_another_shape_than_pooling_returns_is_refused(by_hand):
    with pytest.raises(ValueError, match=r"dy must be what pooling returns, of the shape \(1, 3, 1\), got \(1, 1, 1\)"):
        by_hand(jnp.ones((1, 6, 1)), jnp.ones((1, 1, 1)), window=2)


def drawn(rng):
    """Shapes of x and w, and keywords of conv and of jax.lax, of any convolution."""
    rank, groups = rng.integers(1, 3), int(rng.choice([1, 2, 4]))
    size, kernel_size, strides, dilation, spread = (
        rng.integers(low, high, rank).tolist() for low, high in ((6, 12), (1, 4), (1, 4), (1, 3), (1, 3)))
    padding = ("SAME", "VALID", rng.integers(-1, 3, (rank, 2)).tolist())[rng.integers(3)]
    how = {"strides": strides, "padding": padding, "dilation": dilation, "input_dilation": spread}
    geometry, letters = geometry_of(tuple(size), tuple(kernel_size), **how), SPATIAL[int(rank)]
    lax_conv = functools.partial(
        jax.lax.conv_general_dilated, window_strides=strides, padding=geometry.padding, lhs_dilation=spread,
        rhs_dilation=dilation, feature_group_count=groups,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"))
    return (2, *size, 4), (*kernel_size, 4 // groups, 4 * int(rng.integers(1, 3))), how | {"groups": groups}, lax_conv


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_of_drawn_shapes_strides_dilations_and_groups_they_are_autodiffs(seed, float64):
    """Of jax.lax, by hand and by the operation's own rules, to 1e-10."""
    rng = np.random.default_rng(seed)
    x_shape, w_shape, how, lax_conv = drawn(rng)
    x, w = rng.normal(size=x_shape), rng.normal(size=w_shape)
    dy = rng.normal(size=jax.eval_shape(lax_conv, x, w).shape)

    @jax.jit
    def three(x, w, dy):
        return (jax.vjp(lax_conv, x, w)[1](dy), jax.vjp(functools.partial(conv, **how), x, w)[1](dy),
                (derivatives.input_grad(w, dy, input_size=x_shape[1:-1], **how),
                 derivatives.weight_grad(x, dy, kernel_size=w_shape[:-2], **how)))

    expected, own, by_hand = three(x, w, dy)
    for of in (own, by_hand):
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10), of, expected)
