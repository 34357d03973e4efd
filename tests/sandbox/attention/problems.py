"""Small attention problems that the tests of this wing share, in NumPy: together they ask for every feature."""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from sandbox.attention import attention

BATCH, QUERIES, KEYS, HEADS, KEY_HEADS, SIZE = 2, 7, 5, 4, 2, 2
BLOCK = 3  # neither length is a multiple of it


class Problem(NamedTuple):
    """floats: q, k, v and bias, or None, which have derivatives. options: the rest."""

    floats: tuple
    options: dict


class Derivatives(NamedTuple):
    """The output o, the gradient of ⟨cotangent, o⟩ to the floats, and both differentiated along the tangents."""

    out: jax.Array
    gradient: tuple
    out_tangent: jax.Array
    hessian_tangent: tuple


def _problem(seed, *, keys=QUERIES, bias=None, **options):
    rng = np.random.default_rng(seed)
    shapes = [(BATCH, QUERIES, HEADS, SIZE), *[(BATCH, keys, KEY_HEADS, SIZE)] * 2]
    q, k, v = (rng.normal(size=shape) for shape in shapes)
    return Problem((q, k, v, None if bias is None else rng.normal(size=bias)), options)


def _hidden():
    """No key for query 4, nor for head 1 of the second row; the first block of keys for none at all."""
    mask = np.random.default_rng(2).random((BATCH, HEADS, QUERIES, QUERIES)) < 0.8
    mask[:, :, 4], mask[1, 1], mask[..., :BLOCK] = False, False, False
    return mask


SEGMENTS = np.array([[0, 0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 1, 1, 1]])
KEY_SEGMENTS = np.array([[0, 1, 1, 2, 2], [0, 0, 0, 1, 2]])

PLAIN = _problem(0)
PROBLEMS = {
    "causal, window, segments, soft cap, bias of heads": _problem(
        1, bias=(1, HEADS, QUERIES, QUERIES), causal=True, window=4, segment_ids=SEGMENTS, softcap=1.5),
    "window to both sides, scale, rows and blocks that see nothing": _problem(
        2, bias=(BATCH, 1, QUERIES, QUERIES), window=3, scale=2.0, mask=_hidden()),
    "other keys, their segments, mask and bias of keys": _problem(
        3, keys=KEYS, bias=(1, 1, 1, KEYS), segment_ids=SEGMENTS, key_segment_ids=KEY_SEGMENTS,
        mask=np.random.default_rng(3).random((BATCH, 1, 1, KEYS)) < 0.7),
}
SEGMENTED, UNSEEN, CROSSED = PROBLEMS


def normal_like(tree, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), tree)


def derivatives_of(floats, tangents, cotangent, *, implementation, **options):
    """Forward over reverse, of attention with any implementation."""
    def projected(floats):
        q, k, v, bias = floats
        out = attention(q, k, v, bias=bias, implementation=implementation, block_size=BLOCK, **options)
        return jnp.sum(cotangent * out), out

    (gradient, out), (hessian_tangent, out_tangent) = jax.jvp(jax.grad(projected, has_aux=True), (floats,), (tangents,))
    return Derivatives(out, gradient, out_tangent, hessian_tangent)


@functools.cache
def compiled(name, implementation):
    """(floats, tangents, cotangent) -> Derivatives, of a problem."""
    return jax.jit(functools.partial(derivatives_of, implementation=implementation, **PROBLEMS[name].options))


@functools.cache
def derivatives(name, implementation) -> Derivatives:
    """Of a problem, along drawn directions, in double precision."""
    floats = PROBLEMS[name].floats
    with jax.enable_x64(True):
        run = compiled(name, implementation)
        return jax.tree.map(np.asarray, run(floats, normal_like(floats, 10), normal_like(floats[0], 11)))


def assert_close(left, right, tolerance=1e-10):
    """Every pair of leaves equal, relative to the largest value of the leaf, or a thousandth of the tree's."""
    chex.assert_trees_all_equal_shapes_and_dtypes(left, right)
    sizes = [np.max(np.abs(leaf), initial=0) for leaf in jax.tree.leaves(right)]
    for one, other, size in zip(jax.tree.leaves(left), jax.tree.leaves(right), sizes, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(size, 1e-3 * max(sizes)))
