"""Attention against a plain loop, its laws whatever implements it, and all that it refuses."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.attention import attention
from tests.sandbox.attention import textbook
from tests.sandbox.attention.problems import (
    PLAIN,
    PROBLEMS,
    SEGMENTS,
    assert_close,
    compiled,
    derivatives,
    normal_like,
)

ATTEND = jax.jit(attention, static_argnames=("causal", "window", "implementation", "block_size"))
Q, K, V, _ = PLAIN.floats
RNG = np.random.default_rng(0)


@pytest.fixture(params=["dense", "blockwise"])
def attend(request, float64):
    return functools.partial(ATTEND, implementation=request.param, block_size=3)


@pytest.mark.parametrize("name", PROBLEMS)
def test_dense_is_a_plain_loop(name):
    (q, k, v, bias), options = PROBLEMS[name]
    assert_close(derivatives(name, "dense").out, textbook.attention(q, k, v, bias=bias, **options), 1e-12)


@pytest.mark.parametrize("name", PROBLEMS)
def test_dense_by_finite_differences_to_second_order(name, float64):
    floats, evaluate = PROBLEMS[name].floats, compiled(name, "dense")
    tangents, cotangent, step = normal_like(floats, 10), normal_like(floats[0], 11), 1e-5
    ahead, behind = (evaluate(jax.tree.map(lambda x, dx, h=h: x + h * dx, floats, tangents), tangents, cotangent)
                     for h in (step, -step))
    _, gradient, out_tangent, hessian_tangent = derivatives(name, "dense")
    slopes = jax.tree.map(lambda one, other: (one - other) / (2 * step), ahead[:2], behind[:2])
    assert_close((out_tangent, hessian_tangent), slopes, 1e-7)
    along = sum(np.vdot(slope, dx) for slope, dx in zip(gradient, tangents, strict=True))
    np.testing.assert_allclose(along, np.vdot(cotangent, out_tangent), rtol=1e-12)


def test_plain_attention_is_a_plain_loop(attend):
    assert_close(attend(Q, K, V), textbook.attention(Q, K, V), 1e-12)


def test_the_order_of_keys_does_not_matter_and_that_of_queries_is_kept(attend):
    out, queries, keys = attend(Q, K, V), RNG.permutation(7), RNG.permutation(7)
    assert_close(attend(Q, K[:, keys], V[:, keys]), out)
    assert_close(attend(Q[:, queries], K, V), out[:, queries])


def test_queries_of_zero_take_the_mean(attend):
    mean = np.repeat(V.mean(axis=1, keepdims=True), 2, axis=2)
    assert_close(attend(0 * Q, K, V), np.broadcast_to(mean, Q.shape))


def test_what_comes_out_lies_between_the_values_that_go_in(attend):
    out = attend(30 * Q, K, V)
    least, most = (np.repeat(bound(V, axis=1, keepdims=True), 2, axis=2) for bound in (np.min, np.max))
    assert np.all(out >= least - 1e-12) and np.all(out <= most + 1e-12)


def test_a_constant_on_a_query_s_logits_changes_nothing(attend):
    bias, constants = RNG.normal(size=(2, 4, 7, 7)), 100 * RNG.normal(size=(2, 4, 7, 1))
    assert_close(attend(Q, K, V, bias=bias + constants), attend(Q, K, V, bias=bias))


def test_a_causal_query_knows_nothing_of_what_follows_it(attend):
    out = attend(Q, K, V, causal=True)
    for last in (0, 3, 5):
        later = (np.arange(7) > last)[None, :, None, None]
        changed = attend(*(np.where(later, 1e3, array) for array in (Q, K, V)), causal=True)
        np.testing.assert_array_equal(changed[:, :last + 1], out[:, :last + 1])
        assert not np.allclose(changed[:, last + 1:], out[:, last + 1:])


def test_a_window_as_long_as_the_sequence_hides_nothing(attend):
    for causal in (False, True):
        assert_close(attend(Q, K, V, causal=causal, window=7), attend(Q, K, V, causal=causal))


def test_a_window_of_one_is_the_value_at_the_query_s_own_position(attend):
    assert_close(attend(Q, K, V, window=1), np.repeat(V, 2, axis=2))


def test_segments_are_sequences_of_their_own(attend):
    together = attend(Q, K, V, causal=True, segment_ids=SEGMENTS)
    for row, start, stop in ((0, 0, 3), (0, 3, 5), (1, 1, 7)):
        q, k, v = (array[row:row + 1, start:stop] for array in (Q, K, V))
        assert_close(together[row:row + 1, start:stop], textbook.attention(q, k, v, causal=True))


def test_without_keys_there_are_zeros_and_without_queries_nothing(attend):
    assert not attend(Q, K[:, :0], V[:, :0]).any()
    assert attend(Q[:, :0], K, V).shape == (2, 0, 4, 2)


LOW = {"bfloat16": jnp.bfloat16, "float16": jnp.float16}
CHECK_LOW = jax.jit(lambda q, k, v, implementation: jax.value_and_grad(
    lambda q: (lambda out: (jnp.sum(out.astype(jnp.float32)), out))(
        attention(q, k, v, causal=True, implementation=implementation, block_size=3)), has_aux=True)(q),
    static_argnames="implementation")


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("implementation", ["dense", "blockwise"])
def test_half_precision_sums_in_single(implementation, dtype):
    """Products are exact in float32; what is rounded is the shares, and the output once: 2 eps of the largest value.

    Blockwise's shares are at most 1 before they are divided by their sum, so their errors are no larger.
    """
    q, k, v = (np.asarray(array, LOW[dtype]) for array in (Q, K, V))
    (_, out), slope = CHECK_LOW(q, k, v, implementation)
    assert out.dtype == slope.dtype == LOW[dtype]
    exact = textbook.attention(*(array.astype(np.float64) for array in (q, k, v)), causal=True)
    np.testing.assert_allclose(np.asarray(out).astype(np.float64), exact, rtol=0,
                               atol=2 * float(jnp.finfo(LOW[dtype]).eps) * np.abs(exact).max())
    (_, out), slope = CHECK_LOW(*(100 * array for array in (q, k)), v, implementation)  # logits of up to 3e4
    chex.assert_tree_all_finite((out, slope))
