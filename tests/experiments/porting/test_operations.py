"""Operations counted from programs whose number is known."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec

from experiments.porting.operations import Operations, count, primitives
from sandbox.convolution import conv
from sandbox.sharding import make_mesh

A, B = jnp.ones((2, 3)), jnp.ones((3, 4))
PRODUCT = 2 * 2 * 3 * 4


def counted(function, *arguments):
    return count(jax.make_jaxpr(function)(*arguments))


def test_a_scan_within_a_scan_multiplies():
    def scanned(x):
        inner = lambda x, _: (jnp.tanh(x @ x), None)
        outer = lambda x, _: (jax.lax.scan(inner, x, length=10)[0] + 1, None)
        return jax.lax.scan(outer, x, length=3)[0]

    square = 16
    assert counted(scanned, jnp.ones((4, 4))) == Operations(30 * 2 * 4**3, 30 * square + 3 * square)


def test_a_gradient_takes_two_products_more_and_a_checkpoint_the_first_again():
    loss = lambda a, b: jnp.sum(jnp.sin(a @ b))
    assert counted(loss, A, B).matrix == PRODUCT
    assert counted(jax.grad(loss, (0, 1)), A, B).matrix == 3 * PRODUCT
    assert counted(jax.grad(jax.checkpoint(loss), (0, 1)), A, B).matrix == 4 * PRODUCT


@pytest.mark.parametrize(("groups", "terms"), [(1, 3 * 3 * 4), (2, 3 * 3 * 2)])
def test_each_number_of_a_convolution_is_a_sum_over_its_window(groups, terms):
    x, w = jnp.ones((2, 8, 8, 4)), jnp.ones((3, 3, 4 // groups, 6))
    convolve = lambda x, w: jax.lax.conv_general_dilated(
        x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups)
    assert counted(convolve, x, w) == Operations(2 * (2 * 6 * 6 * 6) * terms)


def test_stacked_convolutions_count_as_each_alone():
    x, w = jnp.ones((1, 8, 8, 4)), jnp.ones((3, 3, 4, 6))
    gradient = jax.grad(lambda w, x: jnp.sum(conv(x, w) ** 2))
    alone = counted(gradient, w, x)
    stacked = jax.make_jaxpr(jax.vmap(gradient))(jnp.stack([w] * 5), jnp.stack([x] * 5))
    assert "stacked_conv" in set(primitives(stacked))
    assert count(stacked).matrix == 5 * alone.matrix


def test_of_branches_the_dearer_one_counts_and_loops_of_unknown_length_are_told():
    branches = lambda x: jax.lax.cond(x[0, 0] > 0, lambda x: x @ B, lambda x: x @ B + 1.0, x)
    assert counted(branches, A) == Operations(PRODUCT, 8 + 1)
    doubled = lambda x: jax.lax.while_loop(lambda x: x < 100, lambda x: 2 * x, x)
    assert counted(doubled, 1.0) == Operations(0, 2, unbounded=1)


N, WIDE = jnp.eye(6), jnp.ones((3, 4, 6))


@pytest.mark.parametrize(("function", "operand", "matrix"), [
    (jnp.linalg.cholesky, N, 6**3 // 3),
    (jnp.linalg.slogdet, N, 2 * 6**3 // 3),
    (jnp.linalg.qr, N, 8 * 6**3 // 3),
    (jnp.linalg.eigh, jnp.stack([N, N]), 2 * 9 * 6**3),
    (lambda x: jnp.linalg.svd(x, full_matrices=False), WIDE, 3 * (14 * 6 * 4**2 + 8 * 4**3)),
    (lambda x: jnp.linalg.svd(x, compute_uv=False), WIDE, 3 * (4 * 6 * 4**2 - 4 * 4**3 // 3)),
    (jnp.linalg.svd, WIDE, 3 * (4 * 6**2 * 4 + 8 * 6 * 4**2 + 9 * 4**3)),
])
def test_factorizations_count_as_in_the_textbook(function, operand, matrix):
    assert counted(function, operand).matrix == matrix


def test_a_linear_solve_counts_its_solving_alone():
    """Factors, then a solve with either; its products with the matrix and its transposed solve are for derivatives."""
    assert counted(lambda x: jnp.linalg.solve(x, x), N).matrix == 2 * 6**3 // 3 + 2 * 6**3


def test_sorting_counts_its_comparisons():
    assert counted(jnp.sort, jnp.ones((3, 8))).elementwise == 3 * 8 * 3


def test_a_program_of_shards_counts_for_all_devices():
    mesh = make_mesh({"data": 8})
    product = lambda x: x @ B
    rows = jnp.ones((16, 3))
    sharded = jax.shard_map(product, mesh=mesh, in_specs=PartitionSpec("data"), out_specs=PartitionSpec("data"))
    assert counted(sharded, rows) == counted(product, rows)
