"""Blocks give what the formula gives, in value and in every derivative, with memory that is linear in length."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.attention import attention
from sandbox.attention.blockwise import blockwise_attention
from tests.sandbox.attention import textbook
from tests.sandbox.attention.problems import (
    BATCH,
    BLOCK,
    HEADS,
    PLAIN,
    PROBLEMS,
    QUERIES,
    SEGMENTED,
    UNSEEN,
    assert_close,
    compiled,
    derivatives,
    normal_like,
)


@pytest.mark.parametrize("name", PROBLEMS)
def test_values_gradients_tangents_and_hessian_products_are_dense_s(name):
    assert_close(derivatives(name, "blockwise"), derivatives(name, "dense"))


@pytest.mark.parametrize("implementation", ["dense", "blockwise"])
def test_a_query_that_sees_nothing_gives_zeros_and_sends_no_gradient(implementation):
    options = PROBLEMS[UNSEEN].options
    distance = np.abs(np.arange(QUERIES)[:, None] - np.arange(QUERIES)[None, :])
    seen = options["mask"] & (distance < options["window"])[None, None]
    seeing = seen.any(axis=3).swapaxes(1, 2)  # (B, T, N)
    out, gradient, out_tangent, hessian_tangent = derivatives(UNSEEN, implementation)
    for array in (out, gradient[0], out_tangent, hessian_tangent[0]):
        assert not array[~seeing].any()
    assert out[seeing].all() and out_tangent[seeing].all()
    for slope in (*gradient[1:3], *hessian_tangent[1:3]):
        assert not slope[:, :BLOCK].any() and slope[:, BLOCK:].all()  # keys that no query sees, and the others
    for slope in (gradient[3], hessian_tangent[3]):
        assert not slope[~seen.any(axis=1, keepdims=True)].any()
    chex.assert_tree_all_finite((out, gradient, out_tangent, hessian_tangent))


@pytest.mark.parametrize("implementation", ["dense", "blockwise"])
def test_logits_of_ten_thousand_leave_everything_finite(implementation, float64):
    q, k, v, bias = PROBLEMS[UNSEEN].floats
    floats = (100 * q, 100 * k, v, bias)
    assert np.abs(np.einsum("btkh,bskh->bkts", *(2 * array[:, :, :2] for array in floats[:2]))).max() > 1e4
    chex.assert_tree_all_finite(compiled(UNSEEN, implementation)(floats, normal_like(floats, 10), normal_like(q, 11)))


AXES = [axes for axes in itertools.product((False, True), repeat=4) if sum(axes) % 2 == 0]


@pytest.mark.parametrize("axes", AXES, ids=["".join("1*"[full] for full in axes) for axes in AXES])
def test_any_axis_of_mask_and_bias_may_be_one_long(axes, float64):
    """Masks take the even half of the sixteen shapes, biases the odd half."""
    rng, full = np.random.default_rng(5), (BATCH, HEADS, QUERIES, QUERIES)
    of_bias = (*axes[:3], not axes[3])
    mask = rng.random([length if whole else 1 for length, whole in zip(full, axes)]) < 0.7
    bias = rng.normal(size=[length if whole else 1 for length, whole in zip(full, of_bias)])
    q, k, v, _ = PLAIN.floats
    attend = jax.jit(functools.partial(attention, implementation="blockwise", block_size=BLOCK))
    assert_close(attend(q, k, v, mask=mask, bias=bias), textbook.attention(q, k, v, mask=mask, bias=bias))


@pytest.mark.parametrize("block_size", [1, 100])
def test_the_size_of_a_block_does_not_matter(block_size, float64):
    q, k, v, _ = PLAIN.floats
    out = jax.jit(functools.partial(attention, causal=True, window=3, implementation="blockwise",
                                    block_size=block_size))(q, k, v)
    assert_close(out, textbook.attention(q, k, v, causal=True, window=3))


def test_under_vmap_each_is_itself(float64):
    """Three problems at once, a mask each, one bias for all."""
    floats, options = PROBLEMS[SEGMENTED]
    many = normal_like(jax.tree.map(lambda leaf: np.stack([leaf] * 3), floats[:3]), 6)
    masks = np.random.default_rng(7).random((3, 1, HEADS, 1, QUERIES)) < 0.7
    cotangent = normal_like(floats[0], 8)

    def gradients(implementation):
        def one(qkv, mask):
            return jax.grad(lambda qkv, bias: jnp.sum(cotangent * attention(
                *qkv, bias=bias, mask=mask, implementation=implementation, block_size=BLOCK, **options)),
                argnums=(0, 1))(qkv, floats[3])
        return one

    together = jax.jit(jax.vmap(gradients("blockwise")))(many, masks)
    alone = jax.jit(gradients("dense"))
    for n in range(3):
        assert_close(jax.tree.map(lambda leaf, n=n: leaf[n], together),
                     alone(jax.tree.map(lambda leaf, n=n: leaf[n], many), masks[n]))


@functools.cache
def temporary_bytes(implementation, length, *, second_order):
    """Of the compiled gradient to q, k and v, or Hessian-vector product: by the compiler's account, never run."""
    one = jax.ShapeDtypeStruct((1, length, 1, 16), jnp.float32)
    gradient = jax.grad(lambda qkv: jnp.sum(
        attention(*qkv, causal=True, implementation=implementation, block_size=128) ** 2))

    def product(qkv):
        return jax.jvp(gradient, (qkv,), (qkv,))[1]

    memory = jax.jit(product if second_order else gradient).lower((one, one, one)).compile().memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


@pytest.mark.parametrize("second_order", [False, True], ids=["gradient", "Hessian-vector product"])
def test_memory_is_linear_in_length(second_order):
    long = temporary_bytes("blockwise", 4096, second_order=second_order)
    assert long <= 2.2 * temporary_bytes("blockwise", 2048, second_order=second_order)
    assert 20 * long <= temporary_bytes("dense", 4096, second_order=False)


def test_a_block_of_none_is_refused():
    one = jnp.ones((1, 2, 1, 2))
    with pytest.raises(ValueError, match="block_size must be at least 1, got 0"):
        blockwise_attention(one, one, one, scale=1.0, block_size=0)
